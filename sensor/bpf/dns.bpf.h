/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * Where a packet's UDP or TCP payload lies.
 */
#pragma once

#include "network.bpf.h"

#define ETH_P_IP        0x0800
#define ETH_P_IPV6      0x86dd
#define EXTENSIONS_MOST 4 /* headers between IPv6 and what it carries */
#define DNS_PORT        53
#define TCP_SYN         2

/* Context of cgroup_skb programs, as far as it is read. Source: linux/bpf.h. */
struct bpf_sock {
	u32 bound_dev_if;
	u32 family;
	u32 type;
	u32 protocol;
	u32 mark;
	u32 priority;
	u32 src_ip4;
	u32 src_ip6[4];
	u32 src_port; /* host order */
	u16 dst_port; /* network order */
	u16 zero;
	u32 dst_ip4;
	u32 dst_ip6[4];
};

struct __sk_buff {
	u32 len;
	u32 pkt_type;
	u32 mark;
	u32 queue_mapping;
	u32 protocol;
	u32 vlan_present;
	u32 vlan_tci;
	u32 vlan_proto;
	u32 priority;
	u32 ingress_ifindex;
	u32 ifindex;
	u32 tc_index;
	u32 cb[5];
	u32 hash;
	u32 tc_classid;
	u32 data;
	u32 data_end;
	u32 napi_id;
	u32 family;
	u32 remote_ip4;
	u32 local_ip4;
	u32 remote_ip6[4];
	u32 local_ip6[4];
	u32 remote_port;
	u32 local_port;
	u32 data_meta;
	u64 flow_keys;
	u64 tstamp;
	u32 wire_len;
	u32 gso_segs;
	u64 sk; /* struct bpf_sock * */
	u32 gso_size;
};

struct dns_packet {
	u8 source[16], target[16];
	u16 source_port, target_port;
	u16 family;
	u8 protocol;
	u8 tcp_flags;
	u32 sequence;
	u32 at;      /* of the payload, from the start of the packet */
	u32 length;  /* of the payload */
	u32 segment; /* length of each datagram where several were handed over as one packet, else 0 */
};

/* Step over what may stand between an IPv6 header and UDP or TCP. Returns where that starts, 0 when there is none. */
static __always_inline u32 dns_behind_extensions(struct __sk_buff *skb, u8 *protocol)
{
	u32 at = 40;
	for (int number = 0; number < EXTENSIONS_MOST; number++) {
		u8 head[4] = {};
		u8 next = *protocol;
		if (next != 0 && next != 43 && next != 60 && next != 44 /* hop by hop, routing, destination, fragment */)
			return at;
		if (bpf_skb_load_bytes(skb, at, head, sizeof(head)))
			return 0;
		if (next == 44 && (head[2] || head[3] & 0xf8))
			return 0; /* not the first fragment */
		*protocol = head[0];
		at += next == 44 ? 8 : (head[1] + 1) * 8;
	}
	return at;
}

/* Where UDP or TCP starts, 0 when neither does. */
static __always_inline u32 dns_transport(struct __sk_buff *skb, struct dns_packet *packet)
{
	u8 head[40] = {};
	if (skb->protocol == __builtin_bswap16(ETH_P_IP)) {
		if (bpf_skb_load_bytes(skb, 0, head, 20) || head[7] || head[6] & 0x1f)
			return 0;
		packet->protocol = head[9];
		packet->family = AF_INET;
		__builtin_memcpy(packet->source, head + 12, 4);
		__builtin_memcpy(packet->target, head + 16, 4);
		return (head[0] & 15) * 4;
	}
	if (skb->protocol != __builtin_bswap16(ETH_P_IPV6) || bpf_skb_load_bytes(skb, 0, head, 40))
		return 0;
	packet->protocol = head[6];
	packet->family = AF_INET6;
	__builtin_memcpy(packet->source, head + 8, 16);
	__builtin_memcpy(packet->target, head + 24, 16);
	return dns_behind_extensions(skb, &packet->protocol);
}

/* Find the payload. Returns false for what is neither UDP nor TCP, or a packet that ends too soon. */
static __always_inline bool dns_find(struct __sk_buff *skb, struct dns_packet *packet, u32 start)
{
	u8 head[16] = {};
	u32 length = skb->len;
	if (packet->protocol == IPPROTO_UDP)
		packet->at = start + 8;
	else if (!bpf_skb_load_bytes(skb, start, head, 16)) {
		packet->sequence = (u32)head[4] << 24 | head[5] << 16 | head[6] << 8 | head[7];
		packet->tcp_flags = head[13];
		packet->at = start + (head[12] >> 4) * 4;
	}
	packet->segment = skb->gso_size;
	if (packet->at <= start || packet->at > length)
		return false;
	packet->length = length - packet->at;
	return true;
}
