// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* What processes ask name servers, and the answers.
 *
 * Hooks: cgroup_skb/egress and ingress on the root of the v2 hierarchy (4.10), where every packet of every socket passes; they never deny.
 * Told is what goes to port 53 and what comes from it, each message of a TCP stream by itself; the agent reads the messages. Who asks
 * over UDP is the current task when the packet leaves; over TCP it is who connected; who is answered is who asked last through the
 * socket, by its cookie. Cost: 0.1 µs for each packet of the host while attached, in each direction; 1-2 µs for a message.
 */
#include "program.bpf.h"
#include "dns.bpf.h"

#define MESSAGES_MOST 4  /* in one packet */
#define HEADER_BYTES  12 /* of a message; less says nothing */
#define GIVEN_UP      2

RECORD_LAYOUT(dns_record);

/* One direction of a TCP connection. */
struct dns_flow {
	u32 next;   /* sequence number at which the next message begins */
	u16 length; /* of that message, where its length came in a segment of its own */
	u16 bare;   /* 1: it did; GIVEN_UP: the messages' borders are lost */
};

struct dns_socket {
	struct socket_owner owner;
	struct dns_flow asked, answered;
};

/* Sockets that ask name servers, by cookie. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, u64);
	__type(value, struct dns_socket);
} dns_sockets SEC(".maps") __weak;

struct dns_message {
	u64 cookie;
	u32 kind;
	u32 at;        /* in the packet */
	u32 available; /* bytes of it that the packet holds */
	u32 length;    /* as the sender made it */
};

static __always_inline void dns_fill(struct dns_record *made, struct __sk_buff *skb, const struct dns_packet *packet,
				     const struct dns_message *message)
{
	bool asks = message->kind == DNS_QUESTION;
	struct endpoints *ends = &made->ends;
	made->cookie = message->cookie;
	made->length = message->length;
	ends->family = packet->family;
	ends->protocol = packet->protocol;
	ends->type = packet->protocol == IPPROTO_UDP ? SOCK_DGRAM : 1;
	ends->local_port = asks ? packet->source_port : packet->target_port;
	ends->remote_port = asks ? packet->target_port : packet->source_port;
	__builtin_memcpy(ends->local, asks ? packet->source : packet->target, 16);
	__builtin_memcpy(ends->remote, asks ? packet->target : packet->source, 16);
}

/* Behind the record, at most so many bytes. */
static __always_inline void dns_copy(struct dns_record *made, struct __sk_buff *skb, const struct dns_message *message, u32 length, const u32 most)
{
	asm volatile("" : "+r"(length)); /* the limit is to stand right before the call, where verifiers up to 6.1 see it */
	if (length > most)
		length = most;
	if (length < HEADER_BYTES || bpf_skb_load_bytes(skb, message->at, made + 1, length))
		return;
	made->message.offset = sizeof(*made);
	made->message.length = length;
}

/* Tell one message: in a short record where it fits one. */
static __noinline int dns_tell(struct __sk_buff *skb, const struct dns_packet *packet, const struct dns_message *message,
			       const struct socket_owner *owner)
{
	u32 length = message->available;
	if (length < HEADER_BYTES) {
		lost(message->kind, LOST_UNREADABLE, owner->cgroup);
		return 0;
	}
	if (length <= DNS_SHORT_BYTES) {
		struct dns_record *made = network_begin(message->kind, sizeof(*made) + DNS_SHORT_BYTES, owner);
		if (!made)
			return 0;
		dns_fill(made, skb, packet, message);
		dns_copy(made, skb, message, length, DNS_SHORT_BYTES);
		network_send(&made->record);
		return 0;
	}
	struct dns_record *made = network_begin(message->kind, sizeof(*made) + DNS_MESSAGE_BYTES, owner);
	if (!made)
		return 0;
	dns_fill(made, skb, packet, message);
	dns_copy(made, skb, message, length, DNS_MESSAGE_BYTES);
	network_send(&made->record);
	return 0;
}

/* Datagrams: mostly one, several where the sender handed them over as one. */
static __always_inline void dns_datagrams(struct __sk_buff *skb, const struct dns_packet *packet, struct dns_message *message,
					  const struct socket_owner *owner)
{
	u32 left = packet->length, size = packet->segment && packet->segment < left ? packet->segment : left;
	message->at = packet->at;
	for (int number = 0; number < MESSAGES_MOST && left; number++) {
		message->available = message->length = left < size ? left : size;
		dns_tell(skb, packet, message, owner);
		left -= message->available;
		message->at += message->available;
	}
	if (left)
		lost(message->kind, LOST_UNREADABLE, owner->cgroup);
}

/* Messages that begin in this segment of a stream. */
static __always_inline void dns_segment(struct __sk_buff *skb, const struct dns_packet *packet, struct dns_message *message, struct dns_flow *flow,
					const struct socket_owner *owner)
{
	u32 sequence = packet->sequence + (packet->tcp_flags & TCP_SYN ? 1 : 0), at = packet->at, left = packet->length;
	for (int number = 0; number < MESSAGES_MOST; number++) {
		u32 skip = flow->next - sequence;
		u8 prefix[2] = {};
		if (flow->bare == GIVEN_UP || (s32)skip >= (s32)left)
			return; /* told before, or still inside a message */
		if ((s32)skip < 0 || (!flow->bare && left - skip < 2) || (!flow->bare && bpf_skb_load_bytes(skb, at + skip, prefix, 2))) {
			flow->bare = GIVEN_UP;
			break;
		}
		at += skip;
		sequence += skip;
		left -= skip;
		if (!flow->bare) {
			flow->length = prefix[0] << 8 | prefix[1];
			at += 2;
			sequence += 2;
			left -= 2;
			flow->next = sequence;
			flow->bare = 1;
			if (!left)
				return; /* the message comes in the next segment */
		}
		message->at = at;
		message->length = flow->length;
		message->available = left < message->length ? left : message->length;
		flow->next = sequence + flow->length;
		flow->bare = 0;
		dns_tell(skb, packet, message, owner);
	}
	if (!node_is_another(owner->process))
		lost(message->kind, LOST_UNREADABLE, owner->cgroup);
}

/* A socket that asks: over UDP the current task does, over TCP who opened the connection. */
static __always_inline struct dns_socket *dns_asking(const struct dns_packet *packet, u64 cookie)
{
	struct dns_socket *known = bpf_map_lookup_elem(&dns_sockets, &cookie), made = {};
	bool opens = packet->protocol == IPPROTO_TCP && packet->tcp_flags & TCP_SYN;
	if (known && packet->protocol == IPPROTO_TCP) {
		if (opens)
			known->asked = (struct dns_flow){.next = packet->sequence + 1};
		return known;
	}
	if (packet->protocol == IPPROTO_TCP && !opens)
		return 0;
	network_sender(&made.owner);
	made.asked.next = packet->sequence + 1;
	made.answered.bare = GIVEN_UP; /* until the peer's SYN says where its messages begin */
	bpf_map_update_elem(&dns_sockets, &cookie, &made, BPF_ANY);
	return bpf_map_lookup_elem(&dns_sockets, &cookie);
}

/* Where a service's address was replaced by a server's in the packet, the socket still knows what the process asked. */
static __always_inline bool dns_is_translated(struct __sk_buff *skb, struct dns_packet *packet)
{
	volatile struct bpf_sock *sock = (struct bpf_sock *)skb->sk; /* volatile: no pointer into it may be computed */
	if (!sock || sock->dst_port != __builtin_bswap16(DNS_PORT))
		return false;
	u32 four = sock->dst_ip4, six[4] = {sock->dst_ip6[0], sock->dst_ip6[1], sock->dst_ip6[2], sock->dst_ip6[3]};
	packet->target_port = DNS_PORT;
	if (packet->family == AF_INET)
		__builtin_memcpy(packet->target, &four, 4);
	else
		__builtin_memcpy(packet->target, six, 16);
	return true;
}

static __always_inline void dns_look(struct __sk_buff *skb, bool leaves)
{
	struct dns_packet packet = {};
	struct dns_message message = {.kind = leaves ? DNS_QUESTION : DNS_ANSWER};
	u8 ports[4] = {};
	u32 start = dns_transport(skb, &packet);
	if (!start || (packet.protocol != IPPROTO_UDP && packet.protocol != IPPROTO_TCP) || bpf_skb_load_bytes(skb, start, ports, 4))
		return;
	packet.source_port = ports[0] << 8 | ports[1];
	packet.target_port = ports[2] << 8 | ports[3];
	if ((leaves ? packet.target_port : packet.source_port) != DNS_PORT && !(leaves && dns_is_translated(skb, &packet)))
		return;
	if (!dns_find(skb, &packet, start))
		return;
	message.cookie = bpf_get_socket_cookie(skb);
	struct dns_socket *socket = leaves ? dns_asking(&packet, message.cookie) : bpf_map_lookup_elem(&dns_sockets, &message.cookie);
	if (!leaves && socket && packet.protocol == IPPROTO_TCP && packet.tcp_flags & TCP_SYN)
		socket->answered = (struct dns_flow){.next = packet.sequence + 1};
	if (!packet.length)
		return;
	if (!socket) { /* nobody is known to have asked */
		if (leaves)
			lost(message.kind, LOST_UNREADABLE, 0);
		return;
	}
	if (packet.protocol == IPPROTO_UDP)
		dns_datagrams(skb, &packet, &message, &socket->owner);
	else
		dns_segment(skb, &packet, &message, leaves ? &socket->asked : &socket->answered, &socket->owner);
}

SEC("cgroup_skb/egress")
int dns_egress(struct __sk_buff *skb)
{
	dns_look(skb, true);
	return 1;
}

SEC("cgroup_skb/ingress")
int dns_ingress(struct __sk_buff *skb)
{
	dns_look(skb, false);
	return 1;
}
