// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Files that are opened, renamed, linked, made and removed through an io_uring, without system calls.
 *
 * Hooks: tp_btf/io_uring_submit_req (6.3 and later; io_uring_submit_sqe before, f56c56b1d5b0) has the kernel's own copy of paths, which nobody
 * can race. tp_btf/io_uring_complete tells what came of an open, and its descriptor leads to the file. Names that are changed are told when
 * they are handed over: the kernel frees the paths before it says what came of them. Before 6.0 the operation alone is told (io_uring.bpf.c).
 * Nothing is attached or costs anything but at operations of rings.
 */
#include "file_filter.bpf.h"
#include "io_uring.bpf.h"

#define AT_REMOVEDIR 0x200
#define OPEN_BYTES   512 /* of the path that is kept from submission to completion */

/* Opens that were handed over, until they are complete. */
struct open_handed_over {
	s32 directory;
	u32 slot; /* of a ring's own table: no descriptor will lead to the file */
	u64 flags;
	char path[OPEN_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, u64);
	__type(value, struct open_handed_over);
} opens_handed_over SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct open_handed_over);
} open_buffers SEC(".maps");

/* Names that are changed: which kind, where, and to what. */
struct io_uring_change {
	u32 kind;
	s32 from, to;
	u32 flags;
	struct filename *path, *new_path;
};

static __always_inline void io_uring_change(struct io_uring_change *change, struct io_kiocb *request, u8 operation)
{
	change->from = change->to = AT_FDCWD;
	if (operation == OP_RENAMEAT) {
		struct io_rename *rename = (void *)request;
		change->kind = FILE_RENAME;
		change->from = BPF_CORE_READ(rename, old_dfd);
		change->to = BPF_CORE_READ(rename, new_dfd);
		change->flags = BPF_CORE_READ(rename, flags);
		change->path = IO_URING_FILENAME(io_rename, rename, oldpath);
		change->new_path = IO_URING_FILENAME(io_rename, rename, newpath);
	} else if (operation == OP_UNLINKAT) {
		struct io_unlink *unlink = (void *)request;
		change->flags = BPF_CORE_READ(unlink, flags);
		change->kind = change->flags & AT_REMOVEDIR ? FILE_RMDIR : FILE_UNLINK;
		change->from = BPF_CORE_READ(unlink, dfd);
		change->path = IO_URING_FILENAME(io_unlink, unlink, filename);
	} else if (operation == OP_MKDIRAT) {
		struct io_mkdir *mkdir = (void *)request;
		change->kind = FILE_MKDIR;
		change->from = BPF_CORE_READ(mkdir, dfd);
		change->path = IO_URING_FILENAME(io_mkdir, mkdir, filename);
	} else if (operation == OP_SYMLINKAT || operation == OP_LINKAT) {
		struct io_link *link = (void *)request;
		bool soft = operation == OP_SYMLINKAT;
		change->kind = soft ? FILE_SYMLINK : FILE_LINK;
		change->from = soft ? BPF_CORE_READ(link, new_dfd) : BPF_CORE_READ(link, old_dfd);
		change->to = BPF_CORE_READ(link, new_dfd);
		change->path = soft ? IO_URING_FILENAME(io_link, link, newpath) : IO_URING_FILENAME(io_link, link, oldpath);
		change->new_path = soft ? IO_URING_FILENAME(io_link, link, oldpath) : IO_URING_FILENAME(io_link, link, newpath);
	}
}

static __always_inline int io_uring_name(struct io_kiocb *request)
{
	u8 operation = BPF_CORE_READ(request, opcode);
	struct io_uring_change change = {};
	if (operation < OP_RENAMEAT || operation > OP_LINKAT || !bpf_core_type_exists(struct io_cmd_data))
		return 0;
	io_uring_change(&change, request, operation);
	if (!record_is_wanted(change.kind) || record_of_quiet_process())
		return 0;
	struct file_change_record *made = record_begin(change.kind, sizeof(*made));
	if (!made)
		return 0;
	made->record.flags = RECORD_IO_URING;
	made->uid = made->gid = ~0U;
	made->flags = change.flags;
	u32 *flags = &made->file.identity.flags;
	*flags = FILE_PATH_USER;
	struct filename *path = change.path, *new_path = change.new_path;
	record_text(&made->record, &made->file.claimed, BPF_CORE_READ(path, name), CLAIMED_BYTES);
	if (new_path)
		record_text(&made->record, operation == OP_SYMLINKAT ? &made->name : &made->new_claimed, BPF_CORE_READ(new_path, name),
			    CLAIMED_BYTES);
	file_directory(&made->record, &made->file.directory, &made->file.claimed, change.from, flags);
	file_directory(&made->record, &made->new_directory, &made->new_claimed, change.to, flags);
	return record_send(&made->record);
}

static __always_inline int io_uring_open(struct io_kiocb *request)
{
	u8 operation = BPF_CORE_READ(request, opcode);
	u64 key = (u64)request;
	u32 zero = 0;
	if ((operation != OP_OPENAT && operation != OP_OPENAT2) || !bpf_core_type_exists(struct io_cmd_data))
		return 0;
	struct open_handed_over *open = bpf_map_lookup_elem(&open_buffers, &zero);
	struct io_open *asked = (void *)request;
	if (!open)
		return 0;
	open->directory = BPF_CORE_READ(asked, dfd);
	open->slot = BPF_CORE_READ(asked, file_slot);
	open->flags = BPF_CORE_READ(asked, how.flags);
	struct filename *path = IO_URING_FILENAME(io_open, asked, filename);
	if (bpf_probe_read_kernel_str(open->path, OPEN_BYTES, BPF_CORE_READ(path, name)) < 0)
		open->path[0] = 0;
	bpf_map_update_elem(&opens_handed_over, &key, open, BPF_ANY);
	return 0;
}

/* Fill in what the caller asked for; the directory only where the kernel did not reach the file. */
static __always_inline void io_uring_asked(struct file_record *made, struct open_handed_over *open, bool reached)
{
	u64 mode = open->flags & 3;
	record_text(&made->record, &made->file.claimed, open->path, OPEN_BYTES);
	made->open_flags = open->flags;
	if (reached)
		return;
	made->access = (mode != 1 ? FILE_FOR_READ : 0) | (mode ? FILE_FOR_WRITE : 0);
	made->file.identity.flags |= FILE_PATH_USER;
	file_directory(&made->record, &made->file.directory, &made->file.claimed, open->directory, &made->file.identity.flags);
}

static __always_inline int io_uring_open_denied(struct open_handed_over *open, s32 result)
{
	if (!file_is_told(result) || !record_is_wanted(FILE_OPEN) || record_of_quiet_process())
		return 0;
	struct file_record *made = record_begin(FILE_OPEN, sizeof(*made));
	if (!made)
		return 0;
	made->record.flags = RECORD_IO_URING;
	made->record.result = result;
	io_uring_asked(made, open, false);
	return record_send(&made->record);
}

static __always_inline int io_uring_open_reached(struct open_handed_over *open, struct file *file)
{
	struct path_buffer *buffer = path_buffer();
	volatile struct file_choice *choice = file_choice_anew();
	if (!buffer || !choice)
		return 0;
	u64 mode = BPF_CORE_READ(file, f_mode);
	u64 asked = 0, by_path = 0,
	    access = (mode & FMODE_READ) * FILE_FOR_READ | (mode / FMODE_WRITE & 1) * FILE_FOR_WRITE | (mode / FMODE_PATH & 1) * FILE_PATH_ONLY |
		     (mode / FMODE_CREATED & 1) * FILE_CREATED;
	file_ask(&asked, &by_path, FILE_OPEN, 1);
	file_ask(&asked, &by_path, FILE_CREATE, access / FILE_CREATED & 1);
	choice->access = access;
	choice->asked = asked;
	choice->by_path = by_path;
	struct path_found found = file_choose(choice, buffer, file);
	if (!choice->told || record_of_quiet_process())
		return 0;
	struct file_record *made = record_begin(FILE_OPEN, sizeof(*made));
	if (!made)
		return 0;
	made->record.flags = RECORD_IO_URING;
	made->access = choice->access;
	file_know(&made->file, file);
	if (buffer->truncated)
		made->file.identity.flags |= FILE_PATH_TRUNCATED;
	path_append(&made->record, &made->file.path, buffer, found);
	io_uring_asked(made, open, true);
	if (choice->told & BIT(FILE_CREATE)) {
		made->record.kind = FILE_CREATE;
		record_send(&made->record);
		made->record.id = file_next_id();
	}
	made->record.kind = FILE_OPEN;
	return choice->told & BIT(FILE_OPEN) ? record_send(&made->record) : 0;
}

SEC("tp_btf/io_uring_complete")
int io_uring_opened(u64 *context)
{
	u64 key = context[1];
	struct io_kiocb *request = (void *)key;
	if (!bpf_core_type_exists(struct io_cmd_data) || !key)
		return 0;
	struct open_handed_over *open = bpf_map_lookup_elem(&opens_handed_over, &key);
	if (!open)
		return 0;
	s32 result = BPF_CORE_READ(request, cqe.res);
	struct file *file = result >= 0 && !open->slot ? task_file((void *)bpf_get_current_task(), result) : 0;
	if (file)
		io_uring_open_reached(open, file);
	else
		io_uring_open_denied(open, result < 0 ? result : 0);
	bpf_map_delete_elem(&opens_handed_over, &key);
	return 0;
}

SEC("tp_btf/io_uring_submit_req")
int BPF_PROG(io_uring_named, struct io_kiocb *request)
{
	return io_uring_name(request);
}

SEC("tp_btf/io_uring_submit_req")
int BPF_PROG(io_uring_opening, struct io_kiocb *request)
{
	return io_uring_open(request);
}

/* The same under the tracepoint's old name. */
SEC("tp_btf/io_uring_submit_sqe")
int io_uring_named_before(u64 *context)
{
	return io_uring_name((void *)context[0]);
}

SEC("tp_btf/io_uring_submit_sqe")
int io_uring_opening_before(u64 *context)
{
	return io_uring_open((void *)context[0]);
}
