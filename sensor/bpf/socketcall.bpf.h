/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * The 32-bit call socketcall: which socket call it is, and its arguments.
 *
 * Its first register says which call, and cannot be changed any more; its arguments lie in the caller's memory, which another thread may have
 * changed when the call ends. So what a handler tells of them is to be taken from the socket where there is one.
 */
#pragma once

#define COMPAT_SOCKETCALL 102
#define SOCKETCALL_CALLS  32

/* Numbers of 64-bit calls; 0: none. */
static const u16 socketcall_numbers[SOCKETCALL_CALLS] = {
	0,  41, 49, 42, 50, 43, 51, 52,  53,  44,  45, /* socket bind connect listen accept getsockname getpeername socketpair send recv */
	44, 45, 48, 54, 55, 46, 47, 288, 299, 307,     /* sendto recvfrom shutdown setsockopt getsockopt sendmsg recvmsg accept4 recvmmsg sendmmsg */
};

/* The call's 64-bit number; -1 for none. */
static __always_inline s32 socketcall_number(u32 which)
{
	if (which >= SOCKETCALL_CALLS)
		return -1;
	asm volatile("" : "+r"(which)); /* the verifier wants to see the mask, which the compiler knows to change nothing */
	u32 number = socketcall_numbers[which & (SOCKETCALL_CALLS - 1)];
	return number ? (s32)number : -1;
}

/* Word by word: those that a call has none of may lie where nothing is mapped. */
static __always_inline void socketcall_arguments(u64 arguments[6], u32 address)
{
	for (u32 place = 0; place < 6; place++) {
		u32 word = 0;
		bpf_probe_read_user(&word, sizeof(word), (void *)((u64)address + place * sizeof(word)));
		arguments[place] = word;
	}
}
