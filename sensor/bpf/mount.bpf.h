/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * The mount that a call has just made, by the kernel's own list. mount() gives no descriptor, so the newest mount of the caller's
 * mount namespace is taken where it lies at the place that the caller named: the directory behind `/proc/self/fd/N` or `.`, or else one
 * of the same last name.
 */
#pragma once

#include "file.bpf.h"
#include "records_mount.h"

#define MOUNTS_DEPTH   32 /* of the tree of mounts, and of mounts on mounts */
#define MOUNTS_STACKED 8  /* on one directory */
#define NAME_BYTES     64
#define TAIL_BYTES     10 /* of a path: /fd/ and six digits */
#define SYSTEM_NAME    32
#define LOWEST_ADDRESS 4096

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

/* The directory with a name that a mount lies on: of mounts on one another, that of the lowest. */
static __always_inline struct dentry *mount_named_place(struct mount *mount)
{
	struct dentry *dentry = BPF_CORE_READ(mount, mnt_mountpoint);
	for (int depth = 0; depth < MOUNTS_STACKED; depth++) {
		struct mount *above = BPF_CORE_READ(mount, mnt_parent);
		if (above == mount || dentry != BPF_CORE_READ(above, mnt.mnt_root))
			break;
		dentry = BPF_CORE_READ(above, mnt_mountpoint);
		mount = above;
	}
	return dentry;
}

/* Whether a mount lies at the place: on this very directory where that is known, else on one that is called as the text ends. */
static __always_inline bool mount_is_at(struct mount *mount, struct dentry *place, const u8 *text, u32 length)
{
	u64 is[NAME_BYTES / 8] = {}, should_be[NAME_BYTES / 8] = {}, differ = 0;
	struct path_entry entry = {};
	u8 before = '/';
	if (place)
		return BPF_CORE_READ(mount, mnt_mountpoint) == place;
	path_entry(&entry, mount_named_place(mount));
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

static __always_inline struct mount *mounts_last(struct mnt_namespace *namespace)
{
	struct mnt_namespace___listed *listed = (void *)namespace;
	struct mnt_namespace___in_tree *tree = (void *)namespace;
	if (MOUNTS_IN_TREE) {
		void *node = mounts_rightmost(BPF_CORE_READ(tree, mounts.rb_node));
		return node ? node - bpf_core_field_offset(struct mount___in_tree, mnt_node) : 0;
	}
	struct list_head *head = __builtin_preserve_access_index(&listed->list);
	void *last = BPF_CORE_READ(head, prev);
	return last == head ? 0 : last - bpf_core_field_offset(struct mount___listed, mnt_list);
}

/* The mount that was made last in the caller's namespace, if it lies at the place; of a recursive bind, whose parts come after it, the one
 * above that does. Another is never taken for it: who races with the sensor leaves the mount unconfirmed. A function of its own, so that
 * the verifier looks at it once. The text stands in the record that is being made.
 */
__noinline u64 mount_newest(u32 offset, u32 length, u64 place, u32 recursive)
{
	u32 zero = 0;
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &zero);
	struct task_struct *task = (void *)bpf_get_current_task();
	struct mount *mount = mounts_last(BPF_CORE_READ(task, nsproxy, mnt_ns));
	if (!scratch)
		return 0;
	for (int depth = 0; mount && depth < MOUNTS_DEPTH; depth++) {
		if (mount_is_at(mount, (void *)place, scratch->bytes + (offset & (RECORD_BYTES - 1)), length))
			return (u64)mount;
		struct mount *above = BPF_CORE_READ(mount, mnt_parent);
		if (!recursive || above == mount)
			return 0;
		mount = above;
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
