/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * The end of a system call, handed to the handler of its number.
 *
 * Hook: tp_btf/sys_exit (5.5 and later), attached only when a loaded policy needs a handler. Registers are intact when a call ends
 * and nobody can forge them; memory that they point at may have changed. Cost: about 88 ns for each call of the host while attached, of which the tracepoint itself
 * takes 85; a helper of the kernel costs 20 and is called for nothing that is not asked for.
 */
#pragma once

#include "file_open.bpf.h"
#include "file_write.bpf.h"
#include "socketcall.bpf.h"

#define TS_COMPAT         2
#define NR_MMAP           9
#define NR_SHMAT          30
#define PROT_READ         0x1
#define PROT_EXEC         0x4
#define READ_IMPLIES_EXEC 0x0400000

/* Whether the registers are as the 64-bit instruction leaves them: it puts the address to return to and the flags into two of them. A 32-bit call
 * can be made to look the same, so this spares nothing but calls that no handler asks for, one way or the other.
 */
static __always_inline bool dispatch_looks_native(struct pt_regs *registers)
{
	return registers->cx == registers->ip && registers->r11 == registers->flags;
}

static __always_inline bool dispatch_is_compat(struct task_struct *task)
{
	return READ_HALF(struct task_struct, task, thread_info.status) & TS_COMPAT;
}

static __always_inline u32 dispatch_end(long result)
{
	if (result > 0)
		return ENDED_POSITIVE;
	if (!result)
		return ENDED_ZERO;
	return result == -EPERM || result == -EACCES || result == -EROFS || result == -ETXTBSY ? ENDED_DENIED : ENDED_FAILED;
}

/* Memory that can't be executed, and writes nowhere but to itself. */
static __always_inline bool dispatch_is_plain_memory(struct task_struct *task, u32 number, u64 protection, u64 flags)
{
	if (number == NR_SHMAT || protection & PROT_EXEC || (number == NR_MMAP && (flags & MAP_TYPE) != MAP_PRIVATE))
		return false;
	return !(protection & PROT_READ) || !(READ_HALF(struct task_struct, task, personality) & READ_IMPLIES_EXEC);
}

/* Whether a look at the call is enough to know that none of its handlers has anything to tell. */
static __always_inline bool dispatch_is_untold(struct task_struct *task, u32 look, u32 number, struct pt_regs *registers, long result)
{
	if (look & LOOK_AT_OPEN && result >= 0)
		return file_open_is_turned_down(task, number, result, number == NR_OPEN ? registers->si : registers->dx);
	if (look & LOOK_AT_WRITE)
		return file_write_is_untold(task, number == NR_SPLICE || number == NR_COPY_FILE_RANGE ? registers->dx : registers->di);
	return look & LOOK_AT_MEMORY && dispatch_is_plain_memory(task, number, registers->dx, registers->r10);
}

/* The call, for the handlers; 0 when none of them has anything to tell. */
static __always_inline struct call *dispatch_call(struct pt_regs *registers, long result, u32 ends, bool is_told)
{
	u32 zero = 0, number = registers->orig_ax;
	struct task_struct *task = (void *)bpf_get_current_task();
	bool compat = dispatch_is_compat(task);
	if (node_pid_namespace && !node_process(task))
		return 0;
	if (!compat && (!is_told || dispatch_is_untold(task, ends, number, registers, result)))
		return 0;
	struct call *call = bpf_map_lookup_elem(&calls, &zero);
	if (!call)
		return 0;
	call->compat = compat;
	call->result = result;
	if (!compat) {
		call->number = number;
		call->arguments[0] = registers->di;
		call->arguments[1] = registers->si;
		call->arguments[2] = registers->dx;
		call->arguments[3] = registers->r10;
		call->arguments[4] = registers->r8;
		call->arguments[5] = registers->r9;
		return call;
	}
	if (number == COMPAT_SOCKETCALL) {
		call->number = socketcall_number(registers->bx);
		socketcall_arguments(call->arguments, registers->cx);
		return call;
	}
	s32 *native = bpf_map_lookup_elem(&compat_numbers, &number);
	call->number = native ? *native : -1; /* that place has no handler */
	call->arguments[0] = (u32)registers->bx;
	call->arguments[1] = (u32)registers->cx;
	call->arguments[2] = (u32)registers->dx;
	call->arguments[3] = (u32)registers->si;
	call->arguments[4] = (u32)registers->di;
	call->arguments[5] = (u32)registers->bp;
	return call;
}

SEC("tp_btf/sys_exit")
int dispatch(unsigned long long *ctx)
{
	struct pt_regs *registers = (void *)ctx[0];
	long result = ctx[1];
	u32 number = registers->orig_ax;
	u32 *asked = bpf_map_lookup_elem(&told_ends, &number), ends = asked ? *asked : 0;
	bool is_told = ends & dispatch_end(result);
	if (!is_told && !(ends & COMPAT_ASKED) && dispatch_looks_native(registers))
		return 0;
	processor_hold();
	struct call *call = dispatch_call(registers, result, ends, is_told);
	processor_release();
	if (!call)
		return 0;
	number = call->number;
	if (call->compat) {
		call->next = number;
		bpf_tail_call(ctx, &handlers, COMPAT_PLACE);
	}
	call->next = number + SYSCALLS;
	bpf_tail_call(ctx, &handlers, number);
	return 0;
}
