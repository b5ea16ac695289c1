// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* io_urings, and operations through them that have no kind of their own.
 *
 * Hooks: the end of io_uring_setup, and tp_btf/io_uring_submit_req (6.3 and later; io_uring_submit_sqe before, f56c56b1d5b0), which also
 * sees what the kernel's polling thread takes out of a ring. Reads, writes, sends and receives are told once in ten seconds for each process.
 * Nothing is attached or costs anything but at operations of rings.
 */
#include "program.bpf.h"
#include "descriptor.bpf.h"
#include "records_system.h"
#include "io_uring.bpf.h"

#define PATH_BYTES 4096
#define AGAIN_NS   10000000000ULL
/* NOP, FSYNC, POLL_*, SYNC_FILE_RANGE, TIMEOUT*, ASYNC_CANCEL, LINK_TIMEOUT, CLOSE, FILES_UPDATE, STATX, FADVISE, MADVISE, EPOLL_*,
 * PROVIDE_/REMOVE_BUFFERS, WAITID, FUTEX_*: not told.
 */
#define HOUSEKEEPING                                                                                                                                 \
	(1ULL << 0 | 1ULL << 3 | 1ULL << 6 | 1ULL << 7 | 1ULL << 8 | 1ULL << 11 | 1ULL << 12 | 1ULL << 14 | 1ULL << 15 | 1ULL << 19 | 1ULL << 20 |   \
	 1ULL << 21 | 1ULL << 24 | 1ULL << 25 | 1ULL << 29 | 1ULL << 31 | 1ULL << 32 | 1ULL << 50 | 1ULL << 51 | 1ULL << 52 | 1ULL << 53 |           \
	 1ULL << 59)
/* What comes as a kind of its own (io_uring_files.bpf.c): OPENAT*, RENAMEAT … LINKAT; and CONNECT, when it is complete. */
#define NAMED (1ULL << 16 | 1ULL << 18 | 1ULL << 28 | 1ULL << 35 | 1ULL << 36 | 1ULL << 37 | 1ULL << 38 | 1ULL << 39)
/* Reads, writes, sends, receives and accepts. */
#define FREQUENT                                                                                                                                     \
	(1ULL << 1 | 1ULL << 2 | 1ULL << 4 | 1ULL << 5 | 1ULL << 9 | 1ULL << 10 | 1ULL << 13 | 1ULL << 22 | 1ULL << 23 | 1ULL << 26 | 1ULL << 27 |   \
	 1ULL << 47 | 1ULL << 48 | 1ULL << 49 | 1ULL << 58 | 1ULL << 60 | 1ULL << 61)

RECORD_LAYOUT(io_uring_record);

/* When a process's frequent operation was told last. Key: process and operation. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, u64);
} io_uring_told SEC(".maps");

CALL_HANDLER(io_uring_create)
{
	u32 flags = 0;
	if (!record_is_wanted(IO_URING_CREATE) || record_of_quiet_process())
		return 0;
	struct io_uring_record *made = record_begin_call(IO_URING_CREATE, sizeof(*made), call);
	if (!made)
		return 0;
	if (call->result >= 0) {
		struct file *file = task_file((void *)bpf_get_current_task(), call->result);
		struct io_ring_ctx *ring = BPF_CORE_READ(file, private_data);
		flags = BPF_CORE_READ(ring, flags);
	} else
		bpf_probe_read_user(&flags, sizeof(flags), (void *)call->arguments[1] + 8);
	made->flags = flags;
	return record_send(&made->record);
}

/* The peer of a socket. */
static __always_inline void io_uring_peer(struct io_uring_record *made, struct file *file)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	struct socket *socket = BPF_CORE_READ(file, private_data);
	if (file && (BPF_CORE_READ(inode, i_mode) & S_IFMT) == S_IFSOCK)
		descriptor_ends(&made->ends, BPF_CORE_READ(socket, sk));
}

/* The address of a message, which the kernel has copied by then. */
static __always_inline bool io_uring_address(struct io_uring_record *made, struct io_kiocb *request)
{
	u8 address[28] = {};
	struct io_async_msghdr *held = BPF_CORE_READ(request, async_data);
	struct endpoints *ends = &made->ends;
	if (!BPF_CORE_READ(held, msg.msg_name))
		return false;
	bpf_probe_read_kernel(address, sizeof(address), __builtin_preserve_access_index(&held->addr));
	ends->family = *(u16 *)address;
	ends->remote_port = __builtin_bswap16(*(u16 *)(address + 2));
	if (ends->family == AF_INET)
		__builtin_memcpy(ends->remote, address + 4, 4);
	else if (ends->family == AF_INET6)
		__builtin_memcpy(ends->remote, address + 8, 16);
	return true;
}

static __always_inline bool io_uring_is_told(u8 operation, bool named)
{
	u64 now = bpf_ktime_get_boot_ns(), key = bpf_get_current_pid_tgid() >> 32 << 8 | operation;
	if (operation >= 64)
		return true;
	if (HOUSEKEEPING >> operation & 1 || (named && NAMED >> operation & 1))
		return false;
	if (!(FREQUENT >> operation & 1))
		return true;
	u64 *before = bpf_map_lookup_elem(&io_uring_told, &key);
	if (before && now - *before < AGAIN_NS)
		return false;
	bpf_map_update_elem(&io_uring_told, &key, &now, BPF_ANY);
	return true;
}

static __always_inline struct io_uring_record *io_uring_begin(struct io_kiocb *request, u8 operation)
{
	struct io_uring_record *made = record_begin(IO_URING_OPERATION, sizeof(*made));
	struct task_struct *task = (void *)bpf_get_current_task();
	if (!made)
		return 0;
	made->record.flags = RECORD_IO_URING;
	made->opcode = operation;
	if (!request)
		return made;
	struct io_ring_ctx *ring = BPF_CORE_READ(request, ctx);
	const struct cred *credentials = BPF_CORE_READ(request, creds);
	made->flags = BPF_CORE_READ(ring, flags);
	made->registered_credentials = BPF_CORE_READ(ring, personalities.xa_head) && credentials && credentials != BPF_CORE_READ(task, cred);
	return made;
}

/* `request` is 0 where the kernel names the operation alone. */
static __always_inline int io_uring_tell(struct io_kiocb *request, u8 operation)
{
	if (!record_is_wanted(IO_URING_OPERATION) || record_of_quiet_process() || !io_uring_is_told(operation, request != 0))
		return 0;
	struct io_uring_record *made = io_uring_begin(request, operation);
	if (!made)
		return 0;
	if (!request)
		return record_send(&made->record);
	bool is_message = operation == OP_SENDMSG || operation == OP_SENDMSG_ZC;
	if (operation == OP_SETXATTR || operation == OP_GETXATTR) {
		struct io_xattr *xattr = (void *)request;
		struct filename *path = IO_URING_FILENAME(io_xattr, xattr, filename);
		record_text(&made->record, &made->path, BPF_CORE_READ(path, name), PATH_BYTES);
	} else if (!is_message || !io_uring_address(made, request))
		io_uring_peer(made, task_file((void *)bpf_get_current_task(), BPF_CORE_READ(request, cqe.fd)));
	return record_send(&made->record);
}

/* A connect is told when it is complete, by the socket: its address lies in the caller's memory until then. */
SEC("tp_btf/io_uring_complete")
int io_uring_connected(u64 *context)
{
	struct io_kiocb *request = (void *)context[1];
	if (!bpf_core_type_exists(struct io_cmd_data) || !request || BPF_CORE_READ(request, opcode) != OP_CONNECT)
		return 0;
	if (!record_is_wanted(IO_URING_OPERATION) || record_of_quiet_process())
		return 0;
	struct io_uring_record *made = io_uring_begin(request, OP_CONNECT);
	if (!made)
		return 0;
	made->record.result = BPF_CORE_READ(request, cqe.res);
	io_uring_peer(made, BPF_CORE_READ(request, file));
	return record_send(&made->record);
}

SEC("tp_btf/io_uring_submit_req")
int BPF_PROG(io_uring_operated, struct io_kiocb *request)
{
	return io_uring_tell(request, BPF_CORE_READ(request, opcode));
}

/* The same under the tracepoint's old name. */
SEC("tp_btf/io_uring_submit_sqe")
int io_uring_operated_before(u64 *context)
{
	struct io_kiocb *request = (void *)context[0];
	if (bpf_core_type_exists(struct io_cmd_data))
		return io_uring_tell(request, BPF_CORE_READ(request, opcode));
	return io_uring_tell(0, context[1] < 256 ? context[1] : context[2]); /* 5.10: ring and operation; later ones have the request between */
}
