/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * Areas of a process's memory, found by the kernel's own tree: what the caller asked for is no proof of what it got.
 * A node of the tree is read at once; a process with a thousand areas has three levels of them.
 */
#pragma once

#define AREA_LEVELS  6  /* of the tree, ten branches each: more than a process may have */
#define AREA_DEPTH   34 /* of the tree before 6.1 */
#define MAPLE_PIVOTS 15

#define VM_WRITE     0x2
#define VM_EXEC      0x4
#define VM_SHARED    0x8
#define VM_MAYWRITE  0x20
#define VM_GROWSDOWN 0x100
#define VM_HUGETLB   0x400000

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct vm_area_struct {
	unsigned long vm_start, vm_end, vm_flags;
	void *anon_vma;
	struct file *vm_file;
};

struct maple_tree {
	void *ma_root;
};

struct maple_range_64 {
	unsigned long pivot[15];
	void *slot[16];
};

struct maple_arange_64 {
	unsigned long pivot[9];
	void *slot[10];
};

struct mm_struct___maple { /* 6.1, d4af56c5c7c6: areas in a maple tree */
	struct maple_tree mm_mt;
};

struct rb_node {
	struct rb_node *rb_right, *rb_left;
};

struct rb_root {
	struct rb_node *rb_node;
};

struct mm_struct___tree { /* until 6.1, 524e00b36e8c */
	struct rb_root mm_rb;
};

struct vm_area_struct___tree {
	struct rb_node vm_rb;
};

#pragma clang attribute pop

/* How many of a node's pivots are below the address. Without branches: the verifier would follow each of them. */
static __always_inline u64 area_slot(const u64 *pivots, u64 address)
{
	u64 slot = 0, below = 1;
	for (int number = 0; number < MAPLE_PIVOTS; number++) {
		u64 pivot = pivots[number];
		below &= ((pivot >> 1) - (address >> 1)) >> 63; /* ends of areas are odd, so half the number tells as much */
		if (number)
			below &= (pivot | -pivot) >> 63; /* 0 ends the node */
		slot += below;
	}
	return slot;
}

static __always_inline struct vm_area_struct *area_in_maple_tree(struct mm_struct *mm, u64 address)
{
	struct mm_struct___maple *maple = (void *)mm;
	u64 entry = (u64)BPF_CORE_READ(maple, mm_mt.ma_root);
	if ((entry & 3) != 2 || entry <= 4096)
		return entry & 3 ? 0 : (void *)entry; /* one area alone needs no node */
	for (int level = 0; level < AREA_LEVELS; level++) {
		u64 node = entry & ~255ULL, type = entry >> 3 & 15, slots, pivots[MAPLE_PIVOTS] = {};
		if (type == 3) {
			slots = bpf_core_field_offset(struct maple_arange_64, slot);
			bpf_probe_read_kernel(pivots, 72, (void *)node + bpf_core_field_offset(struct maple_arange_64, pivot));
		} else {
			slots = bpf_core_field_offset(struct maple_range_64, slot);
			bpf_probe_read_kernel(pivots, 120, (void *)node + bpf_core_field_offset(struct maple_range_64, pivot));
		}
		bpf_probe_read_kernel(&entry, sizeof(entry), (void *)node + slots + area_slot(pivots, address) * 8);
		if (type < 2)
			return (void *)entry;
	}
	return 0;
}

static __always_inline struct vm_area_struct *area_in_red_black_tree(struct mm_struct *mm, u64 address)
{
	struct mm_struct___tree *tree = (void *)mm;
	struct rb_node *node = BPF_CORE_READ(tree, mm_rb.rb_node);
	for (int level = 0; level < AREA_DEPTH && node; level++) {
		struct vm_area_struct *area = (void *)node - bpf_core_field_offset(struct vm_area_struct___tree, vm_rb);
		if (BPF_CORE_READ(area, vm_end) <= address)
			node = BPF_CORE_READ(node, rb_right);
		else if (BPF_CORE_READ(area, vm_start) > address)
			node = BPF_CORE_READ(node, rb_left);
		else
			return area;
	}
	return 0;
}

/* The area that an address of the current task lies in; 0 where there is none, or the kernel keeps them in a way we do not know. A function
 * of its own: the verifier looks at it once, and follows nothing of it in those that ask.
 */
__weak __noinline u64 area_at(u64 address)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	struct mm_struct___maple *maple = (void *)mm;
	struct mm_struct___tree *tree = (void *)mm;
	struct vm_area_struct *area = 0;
	if (bpf_core_field_exists(maple->mm_mt))
		area = area_in_maple_tree(mm, address);
	else if (bpf_core_field_exists(tree->mm_rb))
		area = area_in_red_black_tree(mm, address);
	if (!area || BPF_CORE_READ(area, vm_start) > address || BPF_CORE_READ(area, vm_end) <= address)
		return 0;
	return (u64)area;
}

static __always_inline struct vm_area_struct *area_of(u64 address)
{
	return (void *)area_at(address);
}
