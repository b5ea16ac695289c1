/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * The mount that a call has just made, by the kernel's own list. mount() gives no descriptor, so the newest mounts of the caller's
 * mount namespace are looked through for one at the place that the caller named: the directory behind `/proc/self/fd/N` or `.`, or else one
 * of the same last name. About 0.1 µs for each that is looked at.
 */
#pragma once

#include "file.bpf.h"
#include "records_mount.h"

#define MOUNTS_LOOKED_AT 32 /* binds with all that is below them make as many as they have, theirs first */
#define MOUNTS_DEPTH     32 /* of the tree of mounts */
#define NAME_BYTES       64
#define TAIL_BYTES       10 /* of a path: /fd/ and six digits */
#define SYSTEM_NAME      32
#define LOWEST_ADDRESS   4096

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct rb_node___of_mounts {
	unsigned long __rb_parent_color;
	struct rb_node___of_mounts *rb_right, *rb_left;
};

struct rb_root___of_mounts {
	struct rb_node___of_mounts *rb_node;
};

struct mount___listed { /* until 6.8, 2eea9ce4310d: mounts of a namespace in a list */
	struct list_head mnt_list;
};

struct mnt_namespace___listed {
	struct list_head list;
};

struct mount___in_tree {
	struct rb_node___of_mounts mnt_node;
};

struct mnt_namespace___in_tree {
	struct rb_root___of_mounts mounts;
};

struct super_block___root {
	unsigned long s_flags;
	struct dentry *s_root;
};

#pragma clang attribute pop

#define MOUNTS_IN_TREE bpf_core_field_exists(struct mount___in_tree, mnt_node)

static __always_inline struct rb_node___of_mounts *mounts_rightmost(struct rb_node___of_mounts *node)
{
	for (int depth = 0; node && depth < MOUNTS_DEPTH; depth++) {
		struct rb_node___of_mounts *right = BPF_CORE_READ(node, rb_right);
		if (!right)
			break;
		node = right;
	}
	return node;
}

/* The one before it in the tree: the rightmost below on the left, or the first above that it is right of. */
static __always_inline void *mounts_before(struct rb_node___of_mounts *node)
{
	struct rb_node___of_mounts *left = BPF_CORE_READ(node, rb_left);
	if (left)
		return mounts_rightmost(left);
	for (int depth = 0; depth < MOUNTS_DEPTH; depth++) {
		struct rb_node___of_mounts *parent = (void *)(BPF_CORE_READ(node, __rb_parent_color) & ~3UL);
		if (!parent || BPF_CORE_READ(parent, rb_left) != node)
			return parent;
		node = parent;
	}
	return 0;
}

/* Whether a mount lies at the place: on this very directory where that is known, else on one that is called as the text ends. */
static __always_inline bool mount_is_at(struct mount *mount, struct dentry *place, const u8 *text, u32 length)
{
	u64 is[NAME_BYTES / 8] = {}, should_be[NAME_BYTES / 8] = {}, differ = 0;
	struct dentry *dentry = BPF_CORE_READ(mount, mnt_mountpoint);
	struct path_entry entry = {};
	u8 before = '/';
	if (place)
		return dentry == place;
	path_entry(&entry, dentry);
	if (!entry.length || entry.length > length || entry.length >= NAME_BYTES)
		return false;
	u32 start = length - entry.length, bytes = entry.length & (NAME_BYTES - 1);
	bpf_probe_read_kernel(is, bytes, entry.name);
	bpf_probe_read_kernel(should_be, bytes, text + (start & (PATH_END - 1)));
	if (start)
		bpf_probe_read_kernel(&before, 1, text + ((start - 1) & (PATH_END - 1)));
#pragma unroll
	for (int word = 0; word < NAME_BYTES / 8; word++)
		differ |= is[word] ^ should_be[word];
	return !differ && before == '/';
}

/* A function of its own, so that the verifier looks at it once. The text stands in the record that is being made. */
__noinline u64 mount_newest(u32 offset, u32 length, u64 place)
{
	u32 zero = 0;
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &zero);
	struct task_struct *task = (void *)bpf_get_current_task();
	struct mnt_namespace *namespace = BPF_CORE_READ(task, nsproxy, mnt_ns);
	struct mnt_namespace___listed *listed = (void *)namespace;
	struct mnt_namespace___in_tree *tree = (void *)namespace;
	struct list_head *head = 0;
	void *node;
	if (MOUNTS_IN_TREE)
		node = mounts_rightmost(BPF_CORE_READ(tree, mounts.rb_node));
	else {
		head = __builtin_preserve_access_index(&listed->list);
		node = BPF_CORE_READ(head, prev);
	}
	if (!scratch)
		return 0;
	for (int number = 0; number < MOUNTS_LOOKED_AT && node && node != head; number++) {
		struct mount *mount;
		if (MOUNTS_IN_TREE)
			mount = node - bpf_core_field_offset(struct mount___in_tree, mnt_node);
		else
			mount = node - bpf_core_field_offset(struct mount___listed, mnt_list);
		if (mount_is_at(mount, (void *)place, scratch->bytes + (offset & (RECORD_BYTES - 1)), length))
			return (u64)mount;
		if (MOUNTS_IN_TREE)
			node = mounts_before(node);
		else
			node = BPF_CORE_READ((struct list_head *)node, prev);
	}
	return 0;
}

/* The directory that the end of a text leads to: `/proc/self/fd/N` of the current process, or `.`; 0 for names. */
static __always_inline struct dentry *mount_place(const struct record *record, const struct text *text)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	u8 tail[TAIL_BYTES] = {};
	u32 number = 0, unit = 1, length = text->length;
	const u8 *from = (const u8 *)record + (text->offset & (RECORD_BYTES - 1));
	bpf_probe_read_kernel(tail, 1, from);
	if (length == 1 && tail[0] == '.')
		return BPF_CORE_READ(task, fs, pwd.dentry);
	if (length < TAIL_BYTES)
		return 0;
	bpf_probe_read_kernel(tail, sizeof(tail), from + ((length - TAIL_BYTES) & (PATH_END - 1)));
#pragma unroll
	for (int at = TAIL_BYTES - 1; at >= 3; at--) {
		if (tail[at] == '/') {
			if (at == TAIL_BYTES - 1 || tail[at - 3] != '/' || tail[at - 2] != 'f' || tail[at - 1] != 'd')
				return 0;
			struct file *file = task_file(task, number);
			return file ? BPF_CORE_READ(file, f_path.dentry) : 0;
		}
		if (tail[at] < '0' || tail[at] > '9')
			return 0;
		number += (tail[at] - '0') * unit;
		unit *= 10;
	}
	return 0;
}

/* What the kernel says of a mount. */
static __always_inline void mount_describe(struct mount_record *made, struct mount *mount, bool placed)
{
	struct vfsmount *mnt = __builtin_preserve_access_index(&mount->mnt);
	struct super_block *system = BPF_CORE_READ(mnt, mnt_sb);
	struct super_block___root *super = (void *)system;
	struct dentry *root = BPF_CORE_READ(mnt, mnt_root);
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	struct path_buffer *buffer = path_buffer();
	made->state |= MOUNT_FOUND;
	if (root != BPF_CORE_READ(super, s_root))
		made->state |= MOUNT_BOUND;
	made->device = BPF_CORE_READ(system, s_dev);
	made->system_flags = BPF_CORE_READ(super, s_flags);
	made->mount_flags = BPF_CORE_READ(mnt, mnt_flags);
	record_text(&made->record, &made->filesystem, BPF_CORE_READ(system, s_type, name), SYSTEM_NAME);
	if (placed && buffer)
		path_append(&made->record, &made->place, buffer, path_find(buffer, root, mnt, __builtin_preserve_access_index(&fs->root)));
}
