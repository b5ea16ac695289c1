// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Connections that are opened, and sockets that begin to listen.
 *
 * Hook: tp_btf/inet_sock_set_state (4.16, with BTF 5.5): a TCP socket goes to SYN_SENT in the caller's context, whether by connect, by a
 * send that opens the connection, by a 32-bit call or through an io_uring, and its addresses are the kernel's. Cost: 0.05 µs for each change
 * of state, 1 µs for one that is told; no other call costs anything. The own port is chosen after this moment.
 * Hooks: cgroup/connect4 and 6 (4.17) for datagram sockets, which have no states; the address is the kernel's copy. They never deny.
 */
#include "program.bpf.h"
#include "network.bpf.h"
#include "network_address.bpf.h"

RECORD_LAYOUT(connection_record);

static __always_inline void network_opened(const struct sock *sock)
{
	struct socket_owner owner = {.flags = CONNECTION_OUTBOUND, .opened = bpf_ktime_get_boot_ns()};
	u64 key;
	if (!record_is_wanted(NETWORK_CONNECT) && !record_is_wanted(NETWORK_CLOSE))
		return;
	key = network_key(sock);
	network_current(&owner);
	if (record_is_wanted(NETWORK_CLOSE))
		bpf_map_update_elem(&socket_owners, &key, &owner, BPF_ANY);
	if (!network_port_is_asked(NETWORK_CONNECT, __builtin_bswap16(sock->__sk_common.skc_dport)))
		return;
	struct connection_record *made = network_begin(NETWORK_CONNECT, sizeof(*made), &owner);
	if (!made)
		return;
	network_call(&made->record);
	made->cookie = network_cookie(sock, key);
	made->opened = owner.opened;
	made->flags = CONNECTION_OUTBOUND;
	const struct tcp_sock *tcp = bpf_skc_to_tcp_sock((void *)sock);
	if (tcp && tcp->fastopen_req)
		made->flags |= CONNECTION_FAST_OPEN;
	network_ends(&made->ends, sock, true);
	network_send(&made->record);
}

static __always_inline void network_listens(const struct sock *sock)
{
	struct socket_owner owner = {};
	if (!network_port_is_asked(NETWORK_LISTEN, sock->__sk_common.skc_num))
		return;
	network_current(&owner);
	struct connection_record *made = network_begin(NETWORK_LISTEN, sizeof(*made), &owner);
	if (!made)
		return;
	network_call(&made->record);
	made->cookie = network_cookie(sock, network_key(sock));
	network_ends(&made->ends, sock, true);
	network_send(&made->record);
}

/* A connection came in; who accepts it is known later. */
static __always_inline void network_came(const struct sock *sock)
{
	struct socket_owner owner = {.flags = CONNECTION_INBOUND, .opened = bpf_ktime_get_boot_ns()};
	if (!record_is_wanted(NETWORK_CLOSE) && !record_is_wanted(NETWORK_ACCEPT))
		return;
	u64 key = network_key(sock);
	bpf_map_update_elem(&socket_owners, &key, &owner, BPF_ANY);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(network_open, const struct sock *sock, int before, int after)
{
	u16 protocol = sock->sk_protocol;
	if (after == TCP_SYN_SENT && protocol == IPPROTO_TCP)
		network_opened(sock);
	else if (after == TCP_LISTEN && (protocol == IPPROTO_TCP || protocol == IPPROTO_SCTP))
		network_listens(sock);
	else if (after == TCP_ESTABLISHED && before == TCP_SYN_RECV && protocol == IPPROTO_TCP)
		network_came(sock);
	return 0;
}

static __always_inline int network_datagram_connect(struct bpf_sock_addr *context)
{
	struct socket_owner owner = {.flags = CONNECTION_OUTBOUND};
	if (context->type != SOCK_DGRAM)
		return 1;
	struct endpoints ends = {};
	network_address(&ends, context);
	if (!network_port_is_asked(NETWORK_CONNECT, ends.remote_port))
		return 1;
	network_sender(&owner);
	struct connection_record *made = network_begin(NETWORK_CONNECT, sizeof(*made), &owner);
	if (!made)
		return 1;
	made->record.flags = network_way();
	made->cookie = bpf_get_socket_cookie(context);
	made->flags = CONNECTION_OUTBOUND;
	made->ends = ends;
	network_send(&made->record);
	return 1;
}

SEC("cgroup/connect4")
int network_connect4(struct bpf_sock_addr *context)
{
	return network_datagram_connect(context);
}

SEC("cgroup/connect6")
int network_connect6(struct bpf_sock_addr *context)
{
	return network_datagram_connect(context);
}
