/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * What records of files have in common: the kernel's word on a file that a descriptor leads to, the caller's word on any other, and
 * the tests of paths that are made before there is a record.
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

/* What this process wrote already, by inode. Value: until when the answer holds that nobody asks for it, nanoseconds; 0: it was told. */
struct written_key {
	u64 inode;
	u32 device;
	u32 process;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct written_key);
	__type(value, u64);
} written SEC(".maps") __weak;

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
	if (FILE_IS_NEAR(f_path.dentry) && FILE_IS_NEAR(f_path.mnt) && FILE_IS_NEAR(f_inode) && FILE_IS_NEAR(f_mode) && FILE_IS_NEAR(f_flags)) {
		u64 near[FILE_NEAR_BYTES / 8] = {};
		bpf_probe_read_kernel(near, sizeof(near), file);
		to->dentry = FILE_OF(struct dentry *, f_path.dentry);
		to->mnt = FILE_OF(struct vfsmount *, f_path.mnt);
		to->inode = FILE_OF(struct inode *, f_inode);
		to->mode = FILE_OF(u32, f_mode);
		to->flags = FILE_OF(u32, f_flags);
		return;
	}
	to->dentry = BPF_CORE_READ(file, f_path.dentry);
	to->mnt = BPF_CORE_READ(file, f_path.mnt);
	to->inode = BPF_CORE_READ(file, f_inode);
	to->mode = BPF_CORE_READ(file, f_mode);
	to->flags = BPF_CORE_READ(file, f_flags);
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

/* Kinds (bits) that an act could be told as. It lies in memory and is volatile, for the verifier would follow each of its values
 * through the walk.
 */
struct file_choice {
	u64 asked;
	u64 by_path; /* of those, asked for some paths only */
	u64 told;
	u64 access;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct file_choice);
} file_choices SEC(".maps") __weak;

static __always_inline volatile struct file_choice *file_choice(void)
{
	u32 zero = 0;
	volatile struct file_choice *choice = bpf_map_lookup_elem(&file_choices, &zero);
	if (choice)
		choice->asked = choice->by_path = choice->told = 0;
	return choice;
}

static __always_inline void file_ask(volatile struct file_choice *choice, u32 kind, u64 holds)
{
	u64 flags = record_is_wanted(kind), asked = flags & WANTED & holds;
	choice->asked |= asked << kind;
	choice->by_path |= (flags >> 1 & asked) << kind;
}

static __always_inline u64 file_kinds_by_name(struct path_buffer *buffer, struct dentry *dentry)
{
	u32 zero = 0;
	void *tests = bpf_map_lookup_elem(&name_filter, &zero);
	if (!tests)
		return 0;
	__builtin_memset(&buffer->name, 0, sizeof(buffer->name));
	bpf_probe_read_kernel_str(buffer->name.name, NAME_KEY_BYTES, BPF_CORE_READ(dentry, d_name.name));
	struct kind_set *set = bpf_map_lookup_elem(tests, &buffer->name);
	return set ? set->bits[0] : 0;
}

/* A path that is too long to be seen whole may be any. */
static __always_inline u64 file_kinds_by_path(struct path_buffer *buffer, struct path_found found)
{
	u32 zero = 0, length = found.length;
	void *tests = bpf_map_lookup_elem(&path_filter, &zero);
	if (!tests)
		return 0;
	if (found.truncated)
		return ~0ULL;
	length = path_key_length(length);
	bpf_probe_read_kernel(buffer->key.path, length, &buffer->bytes[found.offset & (PATH_END - 1)]);
	if (length < PATH_KEY_BYTES) /* always; what follows is not compared */
		buffer->key.path[length] = 0;
	buffer->key.length = (length + 1) * 8;
	struct kind_set *set = bpf_map_lookup_elem(tests, &buffer->key);
	return set ? set->bits[0] : 0;
}

static __always_inline struct path_found file_path(struct path_buffer *buffer, const struct file_seen *seen)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	return path_find(buffer, seen->dentry, seen->mnt, __builtin_preserve_access_index(&fs->root));
}

/* Decide which of the kinds asked for are told of this file; returns its path, walked when one is asked for. */
static __always_inline struct path_found file_choose_seen(volatile struct file_choice *choice, struct path_buffer *buffer,
							  const struct file_seen *seen)
{
	struct path_found found = {};
	choice->told = choice->asked & ~choice->by_path;
	if (choice->by_path)
		choice->told |= choice->by_path & file_kinds_by_name(buffer, seen->dentry);
	if (!choice->asked)
		return found;
	found = file_path(buffer, seen);
	if (choice->asked != choice->told)
		choice->told |= choice->by_path & file_kinds_by_path(buffer, found);
	return found;
}

static __always_inline struct path_found file_choose(volatile struct file_choice *choice, struct path_buffer *buffer, struct file *file)
{
	struct file_seen seen = {};
	file_see(&seen, file);
	return file_choose_seen(choice, buffer, &seen);
}

/* Process (tgid in the initial namespace) that a file under /proc belongs to. */
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
		return BPF_CORE_READ(pid, numbers[0].nr);
	struct task_struct *task = (void *)link - bpf_core_field_offset(struct task_struct, pid_links);
	return BPF_CORE_READ(task, tgid);
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
