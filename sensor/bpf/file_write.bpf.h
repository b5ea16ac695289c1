/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * Files that are written: the first time that a process writes one since it opened it.
 *
 * Hook: the end of the calls that write through a descriptor, and of mmap and ioctl. The descriptor leads to the file; the caller's memory
 * is read for the first bytes alone. A shared mapping of a file that is open for writing counts as a write, for mprotect can make it
 * writable later without a word on the file.
 * Cost: about 50 ns of a write to a pipe or socket, the end of the call apart.
 */
#pragma once

#include "file_filter.bpf.h"

#define NR_WRITE           1
#define NR_PWRITE64        18
#define NR_WRITEV          20
#define NR_SENDFILE        40
#define NR_SPLICE          275
#define NR_PWRITEV         296
#define NR_COPY_FILE_RANGE 326
#define NR_PWRITEV2        328
#define MAP_TYPE           0x3
#define MAP_PRIVATE        0x2
#define MAP_ANONYMOUS      0x20
#define FICLONE            0x40049409
#define FICLONERANGE       0x4020940d

static __always_inline u32 file_write_way(u32 number)
{
	if (number == NR_SENDFILE)
		return WRITTEN_BY_SENDFILE;
	if (number == NR_COPY_FILE_RANGE)
		return WRITTEN_BY_COPY;
	return number == NR_SPLICE ? WRITTEN_BY_SPLICE : WRITTEN_BY_WRITE;
}

/* The first bytes of what was written, as the caller's memory has them now. */
static __always_inline void file_write_head(struct file_record *made, const struct call *call)
{
	u64 from = call->arguments[1], length = call->result;
	u32 number = call->number;
	if (number == NR_WRITEV || number == NR_PWRITEV || number == NR_PWRITEV2) {
		u64 part[2] = {};
		u32 part_compat[2] = {};
		if (call->compat) {
			bpf_probe_read_user(part_compat, sizeof(part_compat), (void *)from);
			part[0] = part_compat[0];
			part[1] = part_compat[1];
		} else
			bpf_probe_read_user(part, sizeof(part), (void *)from);
		from = part[0];
		length = part[1] < length ? part[1] : length;
	} else if (number != NR_WRITE && number != NR_PWRITE64)
		return;
	record_user_bytes(&made->record, &made->head, (void *)from, length, FILE_HEAD_BYTES);
}

/* Whether the file is of a type that is told, and was not told before; fills the key and the print of that. */
static __always_inline bool file_write_is_first(struct task_struct *task, struct inode *inode, struct written_key *key, u64 *print)
{
	u32 type = READ_HALF(struct inode, inode, i_mode) & S_IFMT;
	if (!inode || (type != S_IFREG && type != S_IFBLK))
		return false;
	file_written_key(key, task, inode);
	*print = file_written_print(task, key);
	if (print_is_known(*print))
		return false;
	if (!bpf_map_lookup_elem(&written, key))
		return true;
	print_keep(*print);
	return false;
}

/* Whether a write is known to be none that is told: for the dispatcher. */
static __always_inline bool file_write_is_untold(struct task_struct *task, u32 descriptor)
{
	struct written_key key = {};
	struct file_seen seen = {};
	u64 told = 0, asked = 0, by_path = 0;
	struct file *file = file_of(task, descriptor);
	file_see(&seen, file);
	if (!file_write_is_first(task, seen.inode, &key, &told))
		return true;
	file_ask(&asked, &by_path, FILE_WRITE, 1);
	return print_is_known(file_print(task, asked, by_path, seen.mode, file_path_print(task, &seen)));
}

static __always_inline int file_written(const struct call *call, struct file *file, u32 way)
{
	struct written_key key = {};
	struct file_seen seen = {};
	u64 told = 0, asked = 0, by_path = 0;
	u32 one = 1;
	struct task_struct *task = (void *)bpf_get_current_task();
	file_see(&seen, file);
	if (!file_write_is_first(task, seen.inode, &key, &told))
		return 0;
	struct path_buffer *buffer = path_buffer();
	volatile struct file_choice *choice = file_choice_anew();
	if (!buffer || !choice)
		return 0;
	file_ask(&asked, &by_path, FILE_WRITE, 1);
	choice->asked = asked;
	choice->by_path = by_path;
	u64 turned_down = file_print(task, asked, by_path, seen.mode, file_path_print(task, &seen));
	if (print_is_known(turned_down) || record_of_quiet_process())
		return 0;
	struct path_found found = file_choose_seen(choice, buffer, &seen);
	if (!choice->told) {
		print_keep(turned_down);
		return 0;
	}
	bpf_map_update_elem(&written, &key, &one, BPF_ANY);
	print_keep(told);
	struct file_record *made = record_begin_call(FILE_WRITE, sizeof(*made), call);
	if (!made)
		return 0;
	made->written_by = way;
	made->open_flags = seen.flags;
	made->access = seen.mode & FMODE_READ ? FILE_FOR_READ | FILE_FOR_WRITE : FILE_FOR_WRITE;
	file_know_seen(&made->file, &seen);
	if (buffer->truncated)
		made->file.identity.flags |= FILE_PATH_TRUNCATED;
	path_append(&made->record, &made->file.path, buffer, found);
	if (way == WRITTEN_BY_WRITE)
		file_write_head(made, call);
	return record_send(&made->record);
}

CALL_HANDLER(file_write)
{
	u32 number = call->number;
	if (call->result <= 0 || !record_is_wanted(FILE_WRITE))
		return 0;
	u32 descriptor = number == NR_SPLICE || number == NR_COPY_FILE_RANGE ? call->arguments[2] : call->arguments[0];
	return file_written(call, task_current_file(descriptor), file_write_way(number));
}

CALL_HANDLER(file_write_mapped)
{
	u64 flags = call->arguments[3];
	if (IS_ERROR(call->result) || flags & MAP_ANONYMOUS || (flags & MAP_TYPE) == MAP_PRIVATE || !record_is_wanted(FILE_WRITE))
		return 0;
	struct file *file = task_current_file(call->arguments[4]);
	return BPF_CORE_READ(file, f_mode) & FMODE_WRITE ? file_written(call, file, WRITTEN_BY_MMAP) : 0;
}

CALL_HANDLER(file_write_cloned)
{
	u32 command = call->arguments[1];
	if (call->result || (command != FICLONE && command != FICLONERANGE) || !record_is_wanted(FILE_WRITE))
		return 0;
	return file_written(call, task_current_file(call->arguments[0]), WRITTEN_BY_CLONE);
}
