/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * A system call's handler: `CALL_HANDLER(name) { … call->arguments[0] … }`. dispatch.bpf.h calls it when the call returns;
 * programs.py says for which numbers. It runs as a tail call, so it may be missing on a kernel that refuses it. Several handlers of one
 * call run one after the other.
 */
#pragma once

static __always_inline struct call *call_current(void)
{
	u32 zero = 0;
	return bpf_map_lookup_elem(&calls, &zero);
}

#define CALL_HANDLER(name)                                                                                                                           \
	static __always_inline int name##_handle(const struct call *call);                                                                           \
	SEC("tp_btf/sys_exit")                                                                                                                       \
	int name(void *context)                                                                                                                      \
	{                                                                                                                                            \
		struct call *call = call_current();                                                                                                  \
		if (!call)                                                                                                                           \
			return 0;                                                                                                                    \
		u32 next = call->next;                                                                                                               \
		call->next = next + SYSCALLS;                                                                                                        \
		processor_hold();                                                                                                                    \
		name##_handle(call);                                                                                                                 \
		processor_release();                                                                                                                 \
		bpf_tail_call(context, &handlers, next);                                                                                             \
		return 0;                                                                                                                            \
	}                                                                                                                                            \
	static __always_inline int name##_handle(const struct call *call)
