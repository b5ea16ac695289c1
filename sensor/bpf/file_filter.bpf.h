/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * Which kinds of events an open file is told as: tests of its path and name, made before there is a record.
 */
#pragma once

#include "file.bpf.h"

/* Whose look at which file the answers are of, where the dispatcher made them for a handler. */
struct file_looked {
	u64 task, dentry, mnt, mode;
};

/* Kinds (bits) that an act could be told as. It lies in memory and is volatile, for the verifier would follow each of its values
 * through the walk.
 */
struct file_choice {
	u64 asked;
	u64 by_path; /* of those, asked for some paths only */
	u64 told;
	u64 each; /* of those, told also when they repeat */
	u64 access;
	u64 path;   /* print of the path; 0 where it has none */
	u64 print;  /* of all that the answer hangs on; 0: is not kept */
	u64 repeat; /* print of the act, where repeats are counted; else 0 */
	struct file_looked looked;
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
	return bpf_map_lookup_elem(&file_choices, &zero);
}

/* For answers of the caller's own. */
static __always_inline volatile struct file_choice *file_choice_anew(void)
{
	volatile struct file_choice *choice = file_choice();
	if (choice)
		choice->looked.task = 0;
	return choice;
}

static __always_inline void file_looked(volatile struct file_choice *choice, struct task_struct *task, const struct file_seen *seen)
{
	choice->looked.dentry = (u64)seen->dentry;
	choice->looked.mnt = (u64)seen->mnt;
	choice->looked.mode = seen->mode | (u64)seen->flags << 32;
	choice->looked.task = (u64)task;
}

/* Once: the next look is another call's. */
static __always_inline bool file_was_looked_at(volatile struct file_choice *choice, struct task_struct *task, const struct file_seen *seen)
{
	bool is_same = choice->looked.task == (u64)task && choice->looked.dentry == (u64)seen->dentry && choice->looked.mnt == (u64)seen->mnt &&
		       choice->looked.mode == (seen->mode | (u64)seen->flags << 32);
	choice->looked.task = 0;
	return is_same;
}

static __always_inline void file_ask(u64 *asked, u64 *by_path, u32 kind, u64 holds)
{
	u64 flags = record_is_wanted(kind), asks = flags & WANTED & holds;
	*asked |= asks << kind;
	*by_path |= (flags >> 1 & asks) << kind;
}

/* Print of the path of a file; 0 where it has none. */
static __always_inline u64 file_path_print(struct task_struct *task, const struct file_seen *seen)
{
	struct fs_struct *fs = (void *)READ_WORD(struct task_struct, task, fs);
	return print_path(1, seen->dentry, seen->mnt, fs);
}

/* Print of what the choice depends on where all of it hangs on the path; 0 where something is told whatever the path is. */
static __always_inline u64 file_print(struct task_struct *task, u64 asked, u64 by_path, u64 mode, u64 path)
{
	if (!asked || asked != by_path || !path)
		return 0;
	return print_with(print_begin(task, asked | (mode & FMODE_WRITE)), path); /* no kind has those bits */
}

/* An open file of the current task. */
static __always_inline struct file *file_of(struct task_struct *task, u32 number)
{
	return CAN_CAST ? task_file(task, number) : task_current_file(number);
}

/* Ways in which a file's kinds may be asked for now. */
static __always_inline u32 file_ways(bool for_write)
{
	u32 zero = 0, ways = for_write ? HOST_WRITE | CONTAINER_WRITE : HOST_READ | CONTAINER_READ;
	struct settings *now = bpf_map_lookup_elem(&settings, &zero);
	if (!now || !now->asks_where)
		return ways;
	u32 scope = record_scope(task_current_container_key());
	if (!scope)
		return ways;
	return ways & (scope == SCOPE_HOST ? HOST_READ | HOST_WRITE : CONTAINER_READ | CONTAINER_WRITE);
}

static __always_inline struct path_found file_path(struct path_buffer *buffer, const struct file_seen *seen)
{
	struct fs_struct *fs = task_current_fs();
	return path_find(buffer, seen->dentry, seen->mnt, __builtin_preserve_access_index(&fs->root));
}

/* Decide which of the kinds asked for are told of this file; returns its path, walked when one is asked for. */
static __always_inline struct path_found file_choose_seen(volatile struct file_choice *choice, struct path_buffer *buffer,
							  const struct file_seen *seen)
{
	struct path_found found = {};
	u32 ways = choice->by_path ? file_ways(seen->mode & FMODE_WRITE) : 0;
	choice->told = choice->asked & ~choice->by_path;
	choice->each = 0;
	if (choice->by_path) {
		struct kind_set *set = path_name_set(buffer, seen->dentry);
		choice->told |= choice->by_path & path_kinds(set, ways);
		choice->each = path_kinds(set, ASKED_EACH);
	}
	if (!choice->asked)
		return found;
	found = file_path(buffer, seen);
	if (choice->by_path) {
		struct kind_set *set = path_set(buffer, found);
		choice->told |= choice->by_path & (path_may_be_any(found) ? ~0ULL : path_kinds(set, ways));
		choice->each |= path_kinds(set, ASKED_EACH);
	}
	return found;
}

static __always_inline struct path_found file_choose(volatile struct file_choice *choice, struct path_buffer *buffer, struct file *file)
{
	struct file_seen seen = {};
	file_see(&seen, file);
	return file_choose_seen(choice, buffer, &seen);
}
