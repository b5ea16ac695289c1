/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * Prints: one number for all that a decision depended on. When the same number comes again within a second, the answer was "not told" and is so
 * still; one look at an array says it. The number of the filters in force begins each print, so that new ones are asked at once.
 *
 * A path's print is made of each entry on the way up to the root: its address, its name's hash and length, and its sequence, which counts
 * its renames. Entries above one that lives can't be freed, so nothing but a rename or a mount changes a path, and both change the print.
 */
#pragma once

#define PRINT_PARTS 24

/* Mix another number in. */
static __always_inline u64 print_with(u64 print, u64 number)
{
	print = (print ^ number) * 0x9e3779b97f4a7c15ULL;
	return print ^ print >> 29;
}

/* What each print begins with: the filters, the second (the quarter of one at 1,000 ticks), and the cgroups where those matter. */
static __always_inline u64 print_begin(struct task_struct *task, u64 number)
{
	u32 zero = 0;
	struct settings *now = bpf_map_lookup_elem(&settings, &zero);
	if (!now)
		return 0;
	u64 print = print_with(now->generation ^ bpf_jiffies64() >> 8, number);
	if (!now->asks_where)
		return print;
	struct css_set *set = (void *)READ_WORD(struct task_struct, task, cgroups);
	struct cgroup *cgroup = (void *)READ_WORD(struct css_set, set, dfl_cgrp);
	struct kernfs_node *node = (void *)READ_WORD(struct cgroup, cgroup, kn);
	return print_with(print_with(print, (u64)set), READ_WORD(struct kernfs_node, node, id));
}

static __always_inline u32 print_place(u64 print)
{
	return print >> 40 & (PRINTS - 1);
}

/* Whether this is a print of what is not told. 0 is never one. */
static __always_inline bool print_is_known(u64 print)
{
	u32 place = print_place(print);
	u64 *known = bpf_map_lookup_elem(&prints, &place);
	return known && *known == print && print;
}

static __always_inline void print_keep(u64 print)
{
	u32 place = print_place(print);
	u64 *known = bpf_map_lookup_elem(&prints, &place);
	if (known && print)
		*known = print;
}

static __always_inline void print_forget(u64 print)
{
	u32 place = print_place(print);
	u64 *known = bpf_map_lookup_elem(&prints, &place);
	if (known && *known == print)
		*known = 0;
}

/* Mix one entry in, and step up. False at the end of the walk; the print is 0 where an entry is being renamed this moment. */
static __always_inline bool print_step(struct path_walk *walk, u64 *print)
{
	struct path_entry entry = {};
	if (walk->dentry == walk->root_dentry && walk->mnt == walk->root_mnt) {
		*print = print_with(*print, (u64)walk->root_dentry);
		return false;
	}
	if (walk->dentry == walk->top) {
		*print = print_with(*print, (u64)walk->mnt);
		return path_step_out(walk);
	}
	path_entry(&entry, walk->dentry);
	if (entry.sequence & 1) {
		*print = 0;
		return false;
	}
	*print = print_with(*print, (u64)walk->dentry + ((entry.hash | (u64)entry.length << 32) ^ (u64)entry.sequence << 40));
	bool hangs_nowhere = walk->dentry == entry.parent;
	walk->dentry = entry.parent;
	return !hangs_nowhere;
}

/* Mix the path of an entry in, as seen from the current process. 0 where it is too deep, or being renamed this moment. */
static __always_inline u64 print_path(u64 print, struct dentry *dentry, struct vfsmount *mnt, struct fs_struct *fs)
{
	struct path_walk walk = {.dentry = dentry, .mnt = mnt, .top = (void *)READ_WORD(struct vfsmount, mnt, mnt_root)};
	bool goes_on = true;
	walk.root_dentry = (void *)READ_WORD(struct fs_struct, fs, root.dentry);
	walk.root_mnt = (void *)READ_WORD(struct fs_struct, fs, root.mnt);
	for (int part = 0; part < PRINT_PARTS && goes_on; part++)
		goes_on = print_step(&walk, &print);
	return goes_on ? 0 : print;
}
