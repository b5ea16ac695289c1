/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * Files that are opened and made.
 *
 * Hook: the end of open, openat, openat2, creat and open_by_handle_at. The descriptor leads to the file that was really opened, whatever
 * the path said that the caller gave; only an open that the kernel denied is told by that path. An open that fails otherwise is not told.
 * Paths and names that no policy asks for end here, before there is a record. Cost of an open and its close, the end of both calls
 * included: 0.3 µs when no policy asks for the file and it was opened a moment ago, 0.4 µs of a repeat, 1.4 µs when it is told.
 */
#pragma once

#include "file_filter.bpf.h"
#include "repeat.bpf.h"

#define NR_OPEN              2
#define NR_CREAT             85
#define NR_OPENAT            257
#define NR_OPEN_BY_HANDLE_AT 304
#define NR_OPENAT2           437
#define O_WRONLY             01
#define O_CREAT              0100
#define O_EXCL               0200
#define O_NOCTTY             0400
#define O_TRUNC              01000
#define O_TMPFILE            020000000
#define O_PATH               010000000
#define O_CLOEXEC            02000000
#define O_ONLY_WHILE_OPENING (O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC) /* the kernel does not keep them */

RECORD_LAYOUT(file_place);
RECORD_LAYOUT(file_record);

static __always_inline u64 file_open_flags(const struct call *call)
{
	u64 flags = 0;
	if (call->number == NR_OPEN)
		return (u32)call->arguments[1];
	if (call->number == NR_OPENAT || call->number == NR_OPEN_BY_HANDLE_AT)
		return (u32)call->arguments[2];
	if (call->number == NR_CREAT)
		return O_CREAT | O_WRONLY | O_TRUNC;
	bpf_probe_read_user(&flags, sizeof(flags), (void *)call->arguments[2]);
	return flags;
}

static __always_inline void file_open_claimed(struct file_record *made, const struct call *call, bool directory)
{
	bool at = call->number == NR_OPENAT || call->number == NR_OPENAT2;
	if (call->number == NR_OPEN_BY_HANDLE_AT)
		return;
	u64 path = at ? call->arguments[1] : call->arguments[0];
	if (directory)
		file_named(&made->record, &made->file, at ? (s32)call->arguments[0] : AT_FDCWD, path);
	else
		record_user_text(&made->record, &made->file.claimed, (void *)path, CLAIMED_BYTES);
}

/* Denied, or the descriptor is gone already: all that is left is what the caller said. No test of paths, for links may lead anywhere. */
static __always_inline int file_open_unseen(const struct call *call, u32 kind)
{
	if (!record_is_wanted(kind) || record_of_quiet_process())
		return 0;
	struct file_record *made = record_begin_call(kind, sizeof(*made), call);
	if (!made)
		return 0;
	u32 flags = file_open_flags(call);
	made->open_flags = flags;
	if (flags & O_PATH)
		made->access = FILE_PATH_ONLY;
	else
		made->access = ((flags & 3) != 1 ? FILE_FOR_READ : 0) | (flags & 3 ? FILE_FOR_WRITE : 0);
	file_open_claimed(made, call, true);
	return record_send(&made->record);
}

static __always_inline int file_open_send(struct file_record *made, u64 told)
{
	if (told & BIT(FILE_OPEN_BY_HANDLE)) {
		made->record.kind = FILE_OPEN_BY_HANDLE;
		record_send(&made->record);
		made->record.id = file_next_id();
	}
	if (told & BIT(FILE_CREATE)) {
		made->record.kind = FILE_CREATE;
		record_send(&made->record);
		made->record.id = file_next_id();
	}
	made->record.kind = FILE_OPEN;
	return told & BIT(FILE_OPEN) ? record_send(&made->record) : 0;
}

static __always_inline u64 file_open_access(u64 mode, u64 flags)
{
	u64 created = (mode / FMODE_CREATED | flags / O_TMPFILE) & 1;
	return (mode & FMODE_READ) * FILE_FOR_READ | (mode / FMODE_WRITE & 1) * FILE_FOR_WRITE | (mode / FMODE_PATH & 1) * FILE_PATH_ONLY |
	       created * FILE_CREATED;
}

/* Print of an open: the same thread opens the same file, which did not change, by the same path and in the same way. */
static __always_inline u64 file_open_act(struct task_struct *task, const struct file_seen *seen, u64 path, u32 flags)
{
	u64 print = print_with(repeat_actor(path, task), (u64)seen->inode);
	print = print_with(print, READ_WORD(struct inode, seen->inode, i_ino));
	print = print_with(print, drift_ctime(seen->inode));
	print = print_with(print, READ_WORD(struct inode, seen->inode, i_size));
	return print_with(print_with(print, seen->mode | (u64)seen->flags << 32), flags);
}

static __always_inline void file_open_ask(volatile struct file_choice *choice, struct task_struct *task, u32 number, const struct file_seen *seen)
{
	u64 access = file_open_access(seen->mode, seen->flags), asked = 0, by_path = 0;
	file_ask(&asked, &by_path, FILE_OPEN, 1);
	file_ask(&asked, &by_path, FILE_CREATE, access / FILE_CREATED & 1);
	file_ask(&asked, &by_path, FILE_OPEN_BY_HANDLE, number == NR_OPEN_BY_HANDLE_AT);
	if (access & FILE_FOR_WRITE && record_is_wanted(FILE_WRITE))
		file_forget_writes(task, seen->inode); /* the next write through this open is its first again */
	choice->access = access;
	choice->asked = asked;
	choice->by_path = by_path;
	choice->path = file_path_print(task, seen);
	choice->print = file_print(task, asked, by_path, seen->mode, choice->path);
	choice->repeat = 0;
}

/* `flags` as the caller gave them, where they lie in no memory. */
static __always_inline void file_open_ask_repeat(volatile struct file_choice *choice, struct task_struct *task, u32 number,
						 const struct file_seen *seen, u32 flags)
{
	if (choice->asked == BIT(FILE_OPEN) && choice->path && number != NR_OPENAT2 && record_is_wanted(FILE_OPEN) & WANTED_ONCE)
		choice->repeat = file_open_act(task, seen, choice->path, flags);
}

/* Whether an open is known to be none that is told, nor one of a process's memory, or was told a moment ago: for the dispatcher. */
static __always_inline bool file_open_is_turned_down(struct task_struct *task, u32 number, u32 descriptor, u32 flags)
{
	volatile struct file_choice *choice = file_choice_anew();
	struct file *file = file_of(task, descriptor);
	struct file_seen seen = {};
	if (!choice || !file)
		return false;
	file_see(&seen, file);
	file_open_ask(choice, task, number, &seen);
	if (print_is_known(choice->print))
		return true;
	file_open_ask_repeat(choice, task, number, &seen, flags);
	if (choice->repeat && repeat_counts(FILE_OPEN, choice->repeat))
		return true;
	file_looked(choice, task, &seen);
	return false;
}

/* Files of /proc are looked at each time, for another handler asks which process they are of. */
static __always_inline void file_open_turn_down(volatile struct file_choice *choice, const struct file_seen *seen)
{
	struct super_block *system = (void *)READ_WORD(struct inode, seen->inode, i_sb);
	if (READ_WORD(struct super_block, system, s_magic) != PROC_MAGIC)
		print_keep(choice->print);
}

CALL_HANDLER(file_open)
{
	u32 kind = call->number == NR_OPEN_BY_HANDLE_AT ? FILE_OPEN_BY_HANDLE : FILE_OPEN;
	if (IS_ERROR(call->result))
		return file_is_told(call->result) ? file_open_unseen(call, kind) : 0;
	struct task_struct *task = (void *)bpf_get_current_task();
	struct file *file = file_of(task, call->result);
	struct path_buffer *buffer = path_buffer();
	if (!buffer)
		return 0;
	if (!file)
		return file_open_unseen(call, kind);
	volatile struct file_choice *choice = file_choice();
	if (!choice)
		return 0;
	struct file_seen seen = {};
	file_see(&seen, file);
	if (!file_was_looked_at(choice, task, &seen)) { /* the descriptor may have got another file since */
		file_open_ask(choice, task, call->number, &seen);
		file_open_ask_repeat(choice, task, call->number, &seen, file_open_flags(call));
	}
	struct path_found found = file_choose_seen(choice, buffer, &seen);
	if (!choice->told)
		file_open_turn_down(choice, &seen);
	if (!choice->told || record_of_quiet_process())
		return 0;
	struct file_record *made = record_begin_call(FILE_OPEN, sizeof(*made), call);
	if (!made)
		return 0;
	made->access = choice->access;
	made->open_flags = seen.flags | (file_open_flags(call) & O_ONLY_WHILE_OPENING);
	file_know_seen(&made->file, &seen);
	if (buffer->truncated)
		made->file.identity.flags |= FILE_PATH_TRUNCATED;
	path_append(&made->record, &made->file.path, buffer, found);
	file_open_claimed(made, call, false);
	if (!choice->repeat || choice->each & BIT(FILE_OPEN))
		return file_open_send(made, choice->told);
	made->repeats = repeat_begins(choice->repeat);
	if (!record_deliver(&made->record, &activity, true))
		repeat_ends(choice->repeat);
	return 0;
}
