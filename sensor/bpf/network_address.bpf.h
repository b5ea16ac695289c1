/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * The address that a datagram socket is to be connected with or to send to.
 */
#pragma once

/* Context of cgroup programs for socket addresses, as far as it is read. Source: linux/bpf.h. */
struct bpf_sock_addr {
	u32 user_family;
	u32 user_ip4;
	u32 user_ip6[4];
	u32 user_port;
	u32 family;
	u32 type;
	u32 protocol;
};

/* The loopback address where the caller gave none: so does the kernel. */
static __always_inline void network_not_unspecified(u8 *address, u16 family)
{
	u32 *words = (u32 *)address;
	if (words[0] || words[1] || words[2] || words[3])
		return;
	if (family == AF_INET)
		words[0] = __builtin_bswap32(0x7f000001);
	else
		words[3] = __builtin_bswap32(1);
}

/* Read from the kernel's copy of the address, for a socket of IPv6 may be given one of IPv4, which the context would misread. */
static __always_inline void network_address(struct endpoints *ends, struct bpf_sock_addr *context)
{
	struct bpf_sock_addr_kern *kernel = (void *)context;
	struct sockaddr *address = BPF_CORE_READ(kernel, uaddr);
	struct sockaddr_in *four = (void *)address;
	struct sockaddr_in6 *six = (void *)address;
	u8 remote[16] = {};
	u16 family = BPF_CORE_READ(address, sa_family);
	if (family == AF_INET6) {
		bpf_core_read(remote, 16, &six->sin6_addr);
		family = network_unmapped(remote);
		ends->remote_port = __builtin_bswap16(BPF_CORE_READ(six, sin6_port));
	} else { /* a datagram of IPv4 may leave the family out */
		family = AF_INET;
		bpf_core_read(remote, 4, &four->sin_addr);
		ends->remote_port = __builtin_bswap16(BPF_CORE_READ(four, sin_port));
	}
	network_not_unspecified(remote, family);
	ends->family = family;
	ends->type = context->type;
	ends->protocol = context->protocol;
	__builtin_memcpy(ends->remote, remote, 16);
}
