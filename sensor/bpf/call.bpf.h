/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * A system call's handler: `CALL_HANDLER(name) { … call->arguments[0] … }`. dispatch.bpf.c calls it when the call returns;
 * programs.py says for which numbers. It runs as a tail call, so it may be missing on a kernel that refuses it.
 */
#pragma once

static __always_inline const struct call *call_current(void)
{
	u32 zero = 0;
	return bpf_map_lookup_elem(&calls, &zero);
}

#define CALL_HANDLER(name)                                                                                                                           \
	static __always_inline int name##_handle(const struct call *call);                                                                           \
	SEC("tp_btf/sys_exit")                                                                                                                       \
	int name(void *context)                                                                                                                      \
	{                                                                                                                                            \
		const struct call *call = call_current();                                                                                            \
		return call ? name##_handle(call) : 0;                                                                                               \
	}                                                                                                                                            \
	static __always_inline int name##_handle(const struct call *call)
