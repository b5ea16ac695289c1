/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * What records of files have in common: the kernel's word on a file that a descriptor leads to, the caller's word on any other.
 */
#pragma once

#include "program.bpf.h"
#include "records_file.h"

#define AT_FDCWD      -100
#define AT_EMPTY_PATH 0x1000
#define CLAIMED_BYTES 4096
#define PROC_MAGIC    0x9fa0
#define S_IFBLK       0060000
#define FMODE_READ    0x1
#define FMODE_WRITE   0x2
#define FMODE_PATH    0x4000
#define FMODE_CREATED 0x100000
#define EPERM         1
#define EACCES        13
#define EROFS         30
#define ETXTBSY       26 /* the program runs: somebody wants to write into it */
#define IS_ERROR(x)   ((x) < 0 && (x) > -4096)
#define BIT(kind)     (1ULL << (kind)) /* kinds of files are below 64: the first word of a kind_set */

_Static_assert(FILE_SETFLAGS < 64, "kinds of files lie in the first word of a kind_set");

/* Files of which was told already that this process writes them. */
struct written_key {
	u64 inode;
	u32 device;
	u32 process;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct written_key);
	__type(value, u32);
} written SEC(".maps") __weak;

static __always_inline void file_written_key(struct written_key *key, struct task_struct *task, struct inode *inode)
{
	struct super_block *system = (void *)READ_WORD(struct inode, inode, i_sb);
	key->inode = READ_WORD(struct inode, inode, i_ino);
	key->device = READ_HALF(struct super_block, system, s_dev);
	key->process = READ_HALF(struct task_struct, task, tgid);
}

/* Print of a file that this process writes and of which was told. */
static __always_inline u64 file_written_print(struct task_struct *task, const struct written_key *key)
{
	return print_with(print_with(print_begin(task, ~0ULL), key->inode), key->device | (u64)key->process << 32);
}

static __always_inline void file_forget_writes(struct task_struct *task, struct inode *inode)
{
	struct written_key key = {};
	file_written_key(&key, task, inode);
	print_forget(file_written_print(task, &key));
	bpf_map_delete_elem(&written, &key);
}

/* What of an open file is asked most, by one read where it lies near. */
struct file_seen {
	struct dentry *dentry;
	struct vfsmount *mnt;
	struct inode *inode;
	u32 mode;
	u32 flags;
};

#define FILE_NEAR_BYTES      128
#define FILE_IS_NEAR(field)  (bpf_core_field_offset(struct file, field) <= FILE_NEAR_BYTES - 8)
#define FILE_OF(type, field) (*(type *)((void *)near + bpf_core_field_offset(struct file, field)))

static __always_inline void file_see(struct file_seen *to, struct file *file)
{
	if (!CAN_CAST && FILE_IS_NEAR(f_path.dentry) && FILE_IS_NEAR(f_path.mnt) && FILE_IS_NEAR(f_inode) && FILE_IS_NEAR(f_mode) &&
	    FILE_IS_NEAR(f_flags)) {
		u64 near[FILE_NEAR_BYTES / 8] = {};
		bpf_probe_read_kernel(near, sizeof(near), file);
		to->dentry = FILE_OF(struct dentry *, f_path.dentry);
		to->mnt = FILE_OF(struct vfsmount *, f_path.mnt);
		to->inode = FILE_OF(struct inode *, f_inode);
		to->mode = FILE_OF(u32, f_mode);
		to->flags = FILE_OF(u32, f_flags);
		return;
	}
	to->dentry = (void *)READ_WORD(struct file, file, f_path.dentry);
	to->mnt = (void *)READ_WORD(struct file, file, f_path.mnt);
	to->inode = (void *)READ_WORD(struct file, file, f_inode);
	to->mode = READ_WORD(struct file, file, f_mode);
	to->flags = READ_WORD(struct file, file, f_flags);
}

/* Whether a call is told of: it did what it was called for, or the kernel denied it. */
static __always_inline bool file_is_told(s64 result)
{
	return !IS_ERROR(result) || result == -EACCES || result == -EPERM || result == -EROFS || result == -ETXTBSY;
}

/* A number for a second record of the same act. */
static __always_inline u64 file_next_id(void)
{
	u32 zero = 0;
	u64 *count = bpf_map_lookup_elem(&sequence, &zero);
	return count ? (u64)bpf_get_smp_processor_id() << 48 | ++*count : 0;
}

/* Process that a file under /proc belongs to. */
static __always_inline u32 file_of_process(struct inode *inode)
{
	struct proc_inode *entry = (void *)inode - bpf_core_field_offset(struct proc_inode, vfs_inode);
	if (!bpf_core_type_exists(struct proc_inode))
		return 0;
	struct pid *pid = BPF_CORE_READ(entry, pid);
	if (!pid)
		return 0;
	struct hlist_node *link = BPF_CORE_READ(pid, tasks[0].first);
	if (!link)
		return node_number(pid);
	struct task_struct *task = (void *)link - bpf_core_field_offset(struct task_struct, pid_links);
	return node_process(task);
}

/* What the kernel knows of an open file, its path apart. */
static __always_inline void file_know_seen(struct file_place *to, const struct file_seen *seen)
{
	struct inode *inode = seen->inode;
	path_identity_of(&to->identity, inode, seen->dentry);
	u32 type = to->identity.mode & S_IFMT;
	if (type == S_IFBLK || type == S_IFCHR)
		to->device_number = BPF_CORE_READ(inode, i_rdev);
	if (to->identity.magic == PROC_MAGIC)
		to->of_process = file_of_process(inode);
}

static __always_inline void file_know(struct file_place *to, struct file *file)
{
	struct file_seen seen = {};
	if (!file)
		return;
	file_see(&seen, file);
	file_know_seen(to, &seen);
}

static __always_inline void file_reached(struct record *record, struct file_place *to, struct file *file)
{
	file_know(to, file);
	path_of_file(record, &to->path, file, &to->identity.flags);
}

/* Append a path as the caller gave it. What can't be read any more is counted. */
static __always_inline void file_claimed(struct record *record, struct text *text, const void *from)
{
	if (record_user_text(record, text, from, CLAIMED_BYTES) < 0)
		lost(record->kind, LOST_UNREADABLE, record->cgroup);
}

/* Append the directory that a relative path starts at. An absolute path, or none, has none. */
static __always_inline void file_directory(struct record *record, struct text *to, struct text *claimed, s32 number, u32 *flags)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	struct path_buffer *buffer = path_buffer();
	u8 first = 0;
	if (!claimed->length || !buffer)
		return;
	bpf_probe_read_kernel(&first, 1, (u8 *)record + (claimed->offset & (RECORD_BYTES - 1)));
	if (first == '/')
		return;
	struct path *start = __builtin_preserve_access_index(&fs->pwd);
	if (number != AT_FDCWD) {
		struct file *file = task_file(task, number);
		if (!file)
			return;
		start = __builtin_preserve_access_index(&file->f_path);
	}
	struct path_found found =
		path_find(buffer, BPF_CORE_READ(start, dentry), BPF_CORE_READ(start, mnt), __builtin_preserve_access_index(&fs->root));
	if (found.truncated)
		*flags |= FILE_PATH_TRUNCATED;
	path_append(record, to, buffer, found);
	if (!to->length)
		*flags |= FILE_PATH_TRUNCATED; /* no room: two paths of 4096 bytes went before */
}

/* The file that a call names by a path of the caller's. */
static __always_inline void file_named(struct record *record, struct file_place *to, s32 directory, u64 path)
{
	to->identity.flags |= FILE_PATH_USER;
	file_claimed(record, &to->claimed, (void *)path);
	file_directory(record, &to->directory, &to->claimed, directory, &to->identity.flags);
}

/* A record of a change, when its kind is wanted and the call is told of. */
static __always_inline struct file_change_record *file_change(u32 kind, const struct call *call)
{
	if (!file_is_told(call->result) || !record_is_wanted(kind) || record_of_quiet_process())
		return 0;
	struct file_change_record *made = record_begin_call(kind, sizeof(*made), call);
	if (made)
		made->uid = made->gid = ~0U;
	return made;
}
