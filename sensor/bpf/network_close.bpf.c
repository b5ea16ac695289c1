// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Connections that end, with their bytes, and attempts that came to nothing, with their error.
 *
 * Hook: tp_btf/inet_sock_set_state, mostly in a soft interrupt: the owner is who connected or accepted. Of a connection that is older than
 * the sensor it is who closes it; where a reset ends such a one, its end is counted as not told. Cost: 0.05 µs for each change of state,
 * 1 µs for one that is told.
 */
#include "program.bpf.h"
#include "network.bpf.h"

#define ECANCELED 125

/* Bytes as the application counts them: the sequence numbers of SYN and FIN taken out. */
static __always_inline void network_bytes(struct connection_record *made, const struct sock *sock, u32 flags, int before)
{
	const struct tcp_sock *tcp = bpf_skc_to_tcp_sock((void *)sock);
	if (!tcp)
		return;
	u64 acknowledged = tcp->bytes_acked, received = tcp->bytes_received;
	bool ended = before != TCP_ESTABLISHED && before != TCP_CLOSE_WAIT; /* our FIN went out */
	if (ended && acknowledged && tcp->snd_una == tcp->write_seq)
		acknowledged--;
	if (flags & CONNECTION_OUTBOUND && acknowledged)
		acknowledged--;
	if (received && sock->__sk_common.skc_flags >> SOCK_DONE & 1)
		received--;
	made->bytes_sent = acknowledged;
	made->bytes_received = received;
	made->flags |= CONNECTION_COUNTED;
}

static __always_inline void network_ended(const struct sock *sock, const struct socket_owner *owner, u64 key, int before)
{
	struct connection_record *made = network_begin(NETWORK_CLOSE, sizeof(*made), owner);
	if (!made)
		return;
	s32 error = sock->sk_err;
	if (before == TCP_SYN_SENT && !error)
		error = ECANCELED; /* given up before the peer had answered */
	made->record.result = -error;
	made->cookie = network_cookie(sock, key);
	made->opened = owner->opened;
	made->flags = owner->flags;
	network_ends(&made->ends, sock, true);
	if (before != TCP_SYN_SENT)
		network_bytes(made, sock, owner->flags, before);
	network_send(&made->record);
}

/* Whether this change of state is one that a task makes by closing or shutting down. */
static __always_inline bool network_by_task(const struct sock *sock, int before, int after)
{
	if (after == TCP_FIN_WAIT1 || (after == TCP_LAST_ACK && before == TCP_CLOSE_WAIT))
		return true;
	return after == TCP_CLOSE && (before == TCP_ESTABLISHED || before == TCP_CLOSE_WAIT) &&
	       BPF_CORE_READ_BITFIELD_PROBED(sock, sk_shutdown) == SHUTDOWN_BOTH;
}

static __always_inline bool network_of_kernel(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	return BPF_CORE_READ(task, flags) & PF_KTHREAD;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(network_close, const struct sock *sock, int before, int after)
{
	if (sock->sk_protocol != IPPROTO_TCP || before == TCP_LISTEN || before == TCP_CLOSE || before == TCP_SYN_RECV)
		return 0;
	if (after != TCP_CLOSE && after != TCP_FIN_WAIT1 && after != TCP_LAST_ACK)
		return 0;
	u64 key = network_key(sock);
	struct socket_owner *known = bpf_map_lookup_elem(&socket_owners, &key), owner = {};
	if (known)
		owner = *known;
	if (!owner.process && network_by_task(sock, before, after) && !network_of_kernel()) {
		network_current(&owner);
		if (after != TCP_CLOSE)
			bpf_map_update_elem(&socket_owners, &key, &owner, BPF_ANY);
	}
	if (after != TCP_CLOSE)
		return 0;
	if (owner.process)
		network_ended(sock, &owner, key, before);
	else if (!known) /* what nobody had accepted is no connection of a process */
		lost(NETWORK_CLOSE, LOST_UNREADABLE, 0);
	if (known)
		bpf_map_delete_elem(&socket_owners, &key);
	return 0;
}
