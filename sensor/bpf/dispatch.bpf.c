// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The end of a system call, handed to the handler of its number.
 *
 * Hook: tp_btf/sys_exit (5.5 and later), attached only when a loaded policy needs a handler. Registers are intact when a call ends
 * and nobody can forge them; memory that they point at may have changed. Cost: about 110 ns for each call of the host while attached, of which the tracepoint itself takes 85.
 */
#include "program.bpf.h"

#define TS_COMPAT 2

static __always_inline u32 dispatch_thread_status(void)
{
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf)) {
		struct task_struct *task = (void *)bpf_get_current_task_btf();
		return task->thread_info.status; /* a plain load: a tenth of what a read by helper costs */
	}
	struct task_struct *task = (void *)bpf_get_current_task();
	return BPF_CORE_READ(task, thread_info.status);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(dispatch, struct pt_regs *registers, long result)
{
	u32 zero = 0, number = registers->orig_ax;
	bool compat = dispatch_thread_status() & TS_COMPAT;
	if (compat) {
		s32 *native = bpf_map_lookup_elem(&compat_numbers, &number);
		number = native ? *native : -1; /* that place has no handler */
	}
	struct call *call = bpf_map_lookup_elem(&calls, &zero);
	if (!call)
		return 0;
	call->number = number;
	call->compat = compat;
	call->result = result;
	call->next = number + SYSCALLS;
	if (compat) {
		call->arguments[0] = (u32)registers->bx;
		call->arguments[1] = (u32)registers->cx;
		call->arguments[2] = (u32)registers->dx;
		call->arguments[3] = (u32)registers->si;
		call->arguments[4] = (u32)registers->di;
		call->arguments[5] = (u32)registers->bp;
		call->next = number;
		bpf_tail_call(ctx, &handlers, COMPAT_PLACE);
		call->next = number + SYSCALLS;
	} else {
		call->arguments[0] = registers->di;
		call->arguments[1] = registers->si;
		call->arguments[2] = registers->dx;
		call->arguments[3] = registers->r10;
		call->arguments[4] = registers->r8;
		call->arguments[5] = registers->r9;
	}
	bpf_tail_call(ctx, &handlers, number);
	return 0;
}
