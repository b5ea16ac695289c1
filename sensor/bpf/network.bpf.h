/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * Sockets and who owns them.
 *
 * Much of what happens to a connection happens in a soft interrupt, where the current task is whoever was interrupted. So the owner is
 * noted by the socket's cookie when it connects or accepts, and records say that owner. They are written straight into the ring: unlike
 * scratch memory, that may be interrupted anywhere.
 */
#pragma once

#include "records_network.h"
#include "socketcall.bpf.h"

#define TCP_ESTABLISHED   1
#define TCP_SYN_SENT      2
#define TCP_SYN_RECV      3
#define TCP_FIN_WAIT1     4
#define TCP_TIME_WAIT     6
#define TCP_CLOSE         7
#define TCP_CLOSE_WAIT    8
#define TCP_LAST_ACK      9
#define TCP_LISTEN        10
#define TCP_CLOSING       11
#define IPPROTO_TCP       6
#define IPPROTO_UDP       17
#define IPPROTO_SCTP      132
#define SOCK_DGRAM        2
#define TS_COMPAT         2
#define SHUTDOWN_BOTH     3
#define NR_IO_URING_ENTER 426
#define PF_IO_WORKER      0x10
#define SOCK_DONE         1 /* enum sock_flags: the peer has sent its FIN */

/* Says by its presence whether tracing programs may ask for a cookie: 5.12, c5dbb89fc2ac. */
typedef u64 (*btf_bpf_get_socket_ptr_cookie)(struct sock *);

struct socket_owner {
	u64 start;
	u64 cgroup;
	u64 opened;  /* nanoseconds since boot, 0 where it was not seen */
	u32 process; /* 0: nobody has accepted the connection yet */
	u32 thread;
	u32 uid;
	u32 flags; /* enum connection_flag */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, u64);
	__type(value, struct socket_owner);
} socket_owners SEC(".maps") __weak;

/* What stands for a socket while it lives: its cookie, before 5.12 its address, as it may get a cookie at any time there. `sock` is one that the
 * kernel handed to the program.
 */
static __always_inline u64 network_key(const struct sock *sock)
{
	return bpf_core_type_exists(btf_bpf_get_socket_ptr_cookie) ? bpf_get_socket_cookie((void *)sock) : (u64)sock;
}

/* The cookie of a socket with this key; before 5.12 it is 0 until somebody has asked for one. */
static __always_inline u64 network_cookie(const struct sock *sock, u64 key)
{
	return bpf_core_type_exists(btf_bpf_get_socket_ptr_cookie) ? key : BPF_CORE_READ(sock, __sk_common.skc_cookie.counter);
}

/* The current task as an owner, in a tracing program. It is asked for once, for each call of a helper costs 20 ns. */
static __always_inline void network_current(struct socket_owner *owner)
{
	if (TASK_IS_TYPED && !node_pid_namespace) {
		struct task_struct *task = (void *)bpf_get_current_task_btf();
		owner->start = task->group_leader->start_boottime;
		owner->cgroup = task_typed_container_key(task);
		owner->process = task->tgid;
		owner->thread = task->pid;
		owner->uid = task->cred->uid.val;
		return;
	}
	struct task_struct *task = (void *)bpf_get_current_task();
	owner->start = task_current_start();
	owner->cgroup = task_current_container_key();
	owner->process = node_process(task);
	owner->thread = node_thread(task);
	owner->uid = task_current_uid();
}

/* The same in a cgroup program, which the kernel gives no typed task before 5.15 (a396eda5517a). */
static __always_inline void network_sender(struct socket_owner *owner)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	owner->start = task_start(task);
	owner->cgroup = task_container_key(task);
	owner->process = node_process(task);
	owner->thread = node_thread(task);
	owner->uid = BPF_CORE_READ(task, cred, uid.val);
}

static __always_inline u16 network_way(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	if (BPF_CORE_READ(task, flags) & PF_IO_WORKER)
		return RECORD_IO_URING;
	return BPF_CORE_READ(task, thread_info.status) & TS_COMPAT ? RECORD_COMPAT : 0;
}

/* Number of the call with which the current task entered the kernel, its flags and status, in a tracing program. */
static __always_inline u32 network_entered(u32 *flags, u32 *status)
{
	if (TASK_IS_TYPED && bpf_core_type_exists(btf_bpf_task_pt_regs)) {
		struct task_struct *task = (void *)bpf_get_current_task_btf();
		*flags = task->flags;
		*status = task->thread_info.status;
		return *flags & PF_KTHREAD ? 0 : ((struct pt_regs *)bpf_task_pt_regs(task))->orig_ax;
	}
	struct task_struct *task = (void *)bpf_get_current_task();
	*flags = BPF_CORE_READ(task, flags);
	*status = BPF_CORE_READ(task, thread_info.status);
	return *flags & PF_KTHREAD ? 0 : BPF_CORE_READ(task_registers(task), orig_ax);
}

/* The system call that the current task is in, in a tracing program that runs for this task and not for a soft interrupt. */
static __always_inline void network_call(struct record *record)
{
	u32 flags = 0, status = 0, number = network_entered(&flags, &status);
	record->flags = flags & PF_IO_WORKER ? RECORD_IO_URING : status & TS_COMPAT ? RECORD_COMPAT : 0;
	if (record->flags & RECORD_IO_URING || flags & PF_KTHREAD)
		return;
	if (record->flags & RECORD_COMPAT && number == COMPAT_SOCKETCALL) {
		record->syscall = socketcall_number(BPF_CORE_READ(task_registers((void *)bpf_get_current_task()), bx));
		return;
	}
	s32 *native = record->flags & RECORD_COMPAT ? bpf_map_lookup_elem(&compat_numbers, &number) : (s32 *)&number;
	if (!(record->flags & RECORD_COMPAT) && number == NR_IO_URING_ENTER)
		record->flags |= RECORD_IO_URING;
	else if (native)
		record->syscall = *native;
}

/* Whether a kind is asked for at this port. */
static __always_inline bool network_port_is_asked(u32 kind, u16 port)
{
	u32 zero = 0, key = kind << 16 | port;
	if (!(record_is_wanted(kind) & WANTED_BY_PORT))
		return true;
	void *tests = bpf_map_lookup_elem(&port_filter, &zero);
	return !tests || bpf_map_lookup_elem(tests, &key);
}

/* A record in the ring, zeroed, its header filled for the owner; 0 when it is not wanted or there is no room. */
static __always_inline void *network_begin(u32 kind, const u32 size, const struct socket_owner *owner)
{
	u64 now = bpf_ktime_get_boot_ns();
	u32 zero = 0, process = owner->process;
	if (node_is_another(process) || !record_is_wanted(kind) || !record_is_wanted_there(kind, owner->cgroup) ||
	    bpf_map_lookup_elem(&quiet_processes, &process))
		return 0;
	if (!record_within_rate(kind, owner->cgroup, now)) {
		lost(kind, LOST_RATE, owner->cgroup);
		return 0;
	}
	struct record *record = bpf_ringbuf_reserve(&activity, size, 0);
	if (!record) {
		lost(kind, LOST_RING_FULL, owner->cgroup);
		return 0;
	}
	u64 *count = bpf_map_lookup_elem(&sequence, &zero);
	__builtin_memset(record, 0, size < sizeof(struct connection_record) ? size : sizeof(struct connection_record));
	record->kind = kind;
	record->size = size;
	record->time = now;
	record->cgroup = owner->cgroup;
	record->start = owner->start;
	record->process = owner->process;
	record->thread = owner->thread;
	record->uid = owner->uid;
	record->syscall = -1;
	if (count)
		record->id = (u64)bpf_get_smp_processor_id() << 48 | ++*count;
	return record;
}

static __always_inline void network_send(struct record *record)
{
	u32 kind = record->kind;
	u64 *count = bpf_map_lookup_elem(&sent, &kind), flags = BPF_RB_NO_WAKEUP;
	if (count)
		++*count;
	if (wakeup_bytes <= 1 || bpf_ringbuf_query(&activity, BPF_RB_AVAIL_DATA) + record->size >= wakeup_bytes)
		flags = 0;
	bpf_ringbuf_submit(record, flags);
}

static __always_inline bool network_is_mapped(const u8 *address)
{
	const u32 *words = (const u32 *)address;
	return !words[0] && !words[1] && words[2] == __builtin_bswap32(0xffff);
}

/* An IPv4 address mapped into IPv6 becomes what it is: `address` is a buffer of 16 bytes. Returns the family. */
static __always_inline u16 network_unmapped(u8 *address)
{
	u32 *words = (u32 *)address;
	if (!network_is_mapped(address))
		return AF_INET6;
	words[0] = words[3];
	words[2] = words[3] = 0;
	return AF_INET;
}

#define NETWORK_FIELD(field) (typed ? sock->field : BPF_CORE_READ(sock, field))

/* Both ends as the socket has them. `typed`: the kernel handed the socket to the program, so that plain loads will do. */
static __always_inline void network_ends(struct endpoints *ends, const struct sock *sock, const bool typed)
{
	u16 family = NETWORK_FIELD(__sk_common.skc_family);
	ends->type = NETWORK_FIELD(sk_type);
	ends->protocol = NETWORK_FIELD(sk_protocol);
	ends->local_port = NETWORK_FIELD(__sk_common.skc_num);
	ends->remote_port = __builtin_bswap16(NETWORK_FIELD(__sk_common.skc_dport));
	if (!ends->local_port) { /* given back already, at the end of a connection */
		const struct inet_sock *inet = (const void *)sock;
		ends->local_port = __builtin_bswap16(BPF_CORE_READ(inet, inet_sport));
	}
	if (family == AF_INET6) {
		u8 remote[16] = {}, local[16] = {};
		bpf_core_read(remote, 16, &sock->__sk_common.skc_v6_daddr);
		bpf_core_read(local, 16, &sock->__sk_common.skc_v6_rcv_saddr);
		__builtin_memcpy(ends->remote, remote, 16);
		__builtin_memcpy(ends->local, local, 16);
		if (network_is_mapped(remote)) { /* the kernel keeps both spellings; of the own address sometimes the other alone */
			family = AF_INET;
			__builtin_memset(ends->remote, 0, 16);
			__builtin_memset(ends->local, 0, 16);
		}
	}
	if (family == AF_INET) {
		*(u32 *)ends->remote = NETWORK_FIELD(__sk_common.skc_daddr);
		*(u32 *)ends->local = NETWORK_FIELD(__sk_common.skc_rcv_saddr);
	}
	ends->family = family;
}
