// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Connections accepted, unix sockets connected, unusual sockets made, datagrams sent.
 *
 * Hook: the end of accept, accept4, connect and socket: descriptor → file → socket, so nothing is read from the caller. Cost: 50 ns of a
 * call that is not told, 1 µs of one that is.
 * Hook: cgroup/sendmsg4 and 6 (4.18): a datagram that is given its address; the address is the kernel's copy. It never denies. Cost: 0.3 µs
 * of a datagram to a known address, nothing of one through a connected socket.
 */
#include "program.bpf.h"
#include "network.bpf.h"
#include "network_address.bpf.h"
#include "descriptor.bpf.h"

#define AF_NETLINK  16
#define AF_PACKET   17
#define AF_ALG      38
#define AF_VSOCK    40
#define SOCK_RAW    3
#define SOCK_TYPES  0xf
#define EPERM       1
#define EACCES      13
#define BOUND_BYTES 128
#define NAME_BYTES  64

struct destination {
	u64 start;
	u32 process;
	u16 port;
	u16 family;
	u8 address[16];
};

/* Where processes have sent datagrams to. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct destination);
	__type(value, u32);
} destinations SEC(".maps") __weak;

static __always_inline struct sock *network_of_descriptor(u32 number)
{
	struct file *file = task_current_file(number);
	u32 mode = BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT;
	if (!file || mode != S_IFSOCK)
		return 0;
	struct socket *socket = BPF_CORE_READ(file, private_data);
	return BPF_CORE_READ(socket, sk);
}

CALL_HANDLER(network_accept)
{
	if (call->result < 0)
		return 0;
	struct sock *sock = network_of_descriptor(call->result);
	u16 family = BPF_CORE_READ(sock, __sk_common.skc_family);
	if (!sock || (family != AF_INET && family != AF_INET6))
		return 0;
	u64 cookie = BPF_CORE_READ(sock, __sk_common.skc_cookie.counter);
	u64 key = cookie && bpf_core_type_exists(btf_bpf_get_socket_ptr_cookie) ? cookie : (u64)sock;
	struct socket_owner owner = {.flags = CONNECTION_INBOUND}, *known = bpf_map_lookup_elem(&socket_owners, &key);
	network_current(&owner);
	if (known)
		owner.opened = known->opened;
	if (record_is_wanted(NETWORK_CLOSE))
		bpf_map_update_elem(&socket_owners, &key, &owner, BPF_ANY);
	if (!record_is_wanted(NETWORK_ACCEPT) || record_of_quiet_process())
		return 0;
	struct connection_record *made = record_begin_call(NETWORK_ACCEPT, sizeof(*made), call);
	if (!made)
		return 0;
	made->record.result = 0;
	made->cookie = cookie;
	made->opened = owner.opened;
	made->flags = CONNECTION_INBOUND;
	network_ends(&made->ends, sock, false);
	return record_send(&made->record);
}

/* The peer's name: the path by its directory entries, the name that it was bound by, and what its listener runs. */
static __always_inline void network_unix_peer(struct connection_record *made, struct unix_sock *own)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	struct unix_sock *peer = (void *)BPF_CORE_READ(own, peer);
	struct unix_address *address = BPF_CORE_READ(peer, addr);
	struct dentry *dentry = BPF_CORE_READ(peer, path.dentry);
	struct path_buffer *buffer = path_buffer();
	struct sock *sock = &own->sk;
	struct task_struct *listener = descriptor_task(BPF_CORE_READ(sock, sk_peer_pid));
	descriptor_abstract_name(&made->record, &made->unix_abstract, address);
	if (dentry && buffer) {
		struct vfsmount *mnt = BPF_CORE_READ(peer, path.mnt);
		path_append(&made->record, &made->unix_path, buffer, path_find(buffer, dentry, mnt, __builtin_preserve_access_index(&fs->root)));
		record_text(&made->record, &made->unix_bound, __builtin_preserve_access_index(&address->name[0].sun_path), BOUND_BYTES);
	}
	if (listener)
		record_text(&made->record, &made->listener, BPF_CORE_READ(listener, mm, exe_file, f_path.dentry, d_name.name), NAME_BYTES);
}

CALL_HANDLER(network_unix)
{
	if (call->result < 0 || !record_is_wanted(NETWORK_CONNECT))
		return 0;
	struct sock *sock = network_of_descriptor(call->arguments[0]);
	struct unix_sock *own = (void *)sock;
	if (!sock || BPF_CORE_READ(sock, __sk_common.skc_family) != AF_UNIX || !BPF_CORE_READ(own, peer) || record_of_quiet_process())
		return 0;
	struct connection_record *made = record_begin_call(NETWORK_CONNECT, sizeof(*made), call);
	if (!made)
		return 0;
	made->ends.family = AF_UNIX;
	made->ends.type = BPF_CORE_READ(sock, sk_type);
	made->cookie = BPF_CORE_READ(sock, __sk_common.skc_cookie.counter);
	made->flags = CONNECTION_OUTBOUND;
	network_unix_peer(made, own);
	return record_send(&made->record);
}

CALL_HANDLER(network_socket)
{
	u16 family = call->arguments[0], type = call->arguments[1] & SOCK_TYPES, protocol = call->arguments[2];
	struct sock *sock = call->compat && call->result >= 0 ? network_of_descriptor(call->result) : 0;
	if (sock) { /* socketcall's arguments may have changed */
		family = BPF_CORE_READ(sock, __sk_common.skc_family);
		type = BPF_CORE_READ(sock, sk_type);
		protocol = family == AF_PACKET ? protocol : BPF_CORE_READ(sock, sk_protocol);
	}
	bool usual = (family == AF_INET || family == AF_INET6)
			     ? type != SOCK_RAW
			     : family != AF_PACKET && family != AF_VSOCK && family != AF_NETLINK && family != AF_ALG;
	if (usual || (call->result < 0 && call->result != -EPERM && call->result != -EACCES))
		return 0;
	if (!record_is_wanted(NETWORK_SOCKET) || record_of_quiet_process())
		return 0;
	struct connection_record *made = record_begin_call(NETWORK_SOCKET, sizeof(*made), call);
	if (!made)
		return 0;
	made->record.result = call->result < 0 ? call->result : 0;
	made->ends.family = family;
	made->ends.type = type;
	made->ends.protocol = family == AF_PACKET ? __builtin_bswap16(protocol) : protocol;
	if (!sock && call->result >= 0)
		sock = network_of_descriptor(call->result);
	if (sock)
		made->cookie = BPF_CORE_READ(sock, __sk_common.skc_cookie.counter);
	return record_send(&made->record);
}

static __always_inline int network_datagram(struct bpf_sock_addr *context)
{
	struct endpoints ends = {};
	struct socket_owner owner = {.flags = CONNECTION_OUTBOUND};
	struct destination destination = {};
	struct task_struct *task = (void *)bpf_get_current_task();
	u32 one = 1;
	if (!record_is_wanted(NETWORK_SEND))
		return 1;
	network_address(&ends, context);
	if (!network_port_is_asked(NETWORK_SEND, ends.remote_port))
		return 1;
	destination.start = task_start(task);
	destination.process = BPF_CORE_READ(task, tgid);
	destination.port = ends.remote_port;
	destination.family = ends.family;
	__builtin_memcpy(destination.address, ends.remote, 16);
	if (bpf_map_lookup_elem(&destinations, &destination))
		return 1;
	bpf_map_update_elem(&destinations, &destination, &one, BPF_ANY);
	network_sender(&owner);
	struct connection_record *made = network_begin(NETWORK_SEND, sizeof(*made), &owner);
	if (!made)
		return 1;
	made->record.flags = network_way();
	made->cookie = bpf_get_socket_cookie(context);
	made->flags = CONNECTION_OUTBOUND;
	made->ends = ends;
	network_send(&made->record);
	return 1;
}

SEC("cgroup/sendmsg4")
int network_sendmsg4(struct bpf_sock_addr *context)
{
	return network_datagram(context);
}

SEC("cgroup/sendmsg6")
int network_sendmsg6(struct bpf_sock_addr *context)
{
	return network_datagram(context);
}
