// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Signals to others, and what a process changes about itself: its name, its boundaries, its execution domain, the width of its calls.
 *
 * Hooks: tp_btf/signal_generate (5.5 and later), in the sender's context for what processes send; the end of prctl and personality; the
 * first 32-bit call of a process, to which dispatch.bpf.h hands over. Cost: 1.7 µs of a signal that is told; nothing of a 64-bit call.
 */
#include "file.bpf.h"
#include "target.bpf.h"
#include "records_acts.h"

#define SEND_SIG_PRIV      1 /* the kernel's own, also what BPF programs send: instead of an address */
#define SI_TKILL           -6
#define SI_QUEUE           -1
#define NR_SIGQUEUE        129
#define NR_TGSIGQUEUE      297
#define NR_PIDFD_SEND      424
#define PR_SET_NAME        15
#define PR_SET_MM          35
#define PERSONALITY_ASKS   0xffffffff
#define LOWEST_64_BIT_SIZE 0x100000000 /* of an address space */
#define TS_COMPAT          2

RECORD_LAYOUT(signal_record);
RECORD_LAYOUT(prctl_record);
RECORD_LAYOUT(personality_record);

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kernel_siginfo {
	int si_code;
};

struct mm_struct___size {
	unsigned long task_size;
};

#pragma clang attribute pop

/* The system call that the current task is in, as 64-bit callers number it; -1 where it has no such number. */
static __always_inline s32 signal_call(u16 *flags)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct pt_regs *registers = task_registers(task);
	u32 number = BPF_CORE_READ(registers, orig_ax);
	if (!(BPF_CORE_READ(task, thread_info.status) & TS_COMPAT))
		return number;
	*flags |= RECORD_COMPAT;
	s32 *native = bpf_map_lookup_elem(&compat_numbers, &number);
	return native ? *native : -1;
}

/* Whether a process sent it. The codes of timers and queues are the kernel's, but a caller may give them too: then it is in the call that does so. */
static __always_inline bool signal_is_sent(s32 code, s32 number)
{
	if (code == 0 || code == SI_QUEUE || code == SI_TKILL)
		return true;
	return code < 0 && (number == NR_SIGQUEUE || number == NR_TGSIGQUEUE || number == NR_PIDFD_SEND);
}

SEC("tp_btf/signal_generate")
int BPF_PROG(process_signal, int number, struct kernel_siginfo *information, struct task_struct *task)
{
	s32 code = 0;
	u16 flags = 0;
	if ((u64)information == SEND_SIG_PRIV || BPF_CORE_READ(task, tgid) == (s32)(bpf_get_current_pid_tgid() >> 32))
		return 0;
	if (information)
		code = BPF_CORE_READ(information, si_code);
	s32 called = signal_call(&flags);
	if (!signal_is_sent(code, called) || record_of_quiet_process())
		return 0;
	struct signal_record *made = record_begin(PROCESS_SIGNAL, sizeof(*made)); /* within a call of the sender, never within another program */
	if (!made)
		return 0;
	made->record.syscall = called;
	made->record.flags = flags;
	made->number = number;
	descriptor_other(&made->record, &made->target, BPF_CORE_READ(task, group_leader));
	return record_send(&made->record);
}

CALL_HANDLER(process_prctl)
{
	u64 option = call->arguments[0], ids = bpf_get_current_pid_tgid();
	bool names = option == PR_SET_NAME && ids >> 32 == (u32)ids && call->result == 0;
	if (!(names || (option == PR_SET_MM && file_is_told(call->result))) || !record_is_wanted(PROCESS_PRCTL) || record_of_quiet_process())
		return 0;
	struct prctl_record *made = record_begin_call(PROCESS_PRCTL, sizeof(*made), call);
	if (!made)
		return 0;
	struct task_struct *task = (void *)bpf_get_current_task();
	made->option = option;
	if (names)
		record_text(&made->record, &made->name, __builtin_preserve_access_index(&task->comm), TASK_TEXT_BYTES);
	else
		made->boundary = call->arguments[1];
	return record_send(&made->record);
}

CALL_HANDLER(process_personality)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	u32 value = BPF_CORE_READ(task, personality);
	if ((u32)call->arguments[0] == PERSONALITY_ASKS || (u32)call->result == value || !record_is_wanted(PROCESS_PERSONALITY) ||
	    record_of_quiet_process())
		return 0;
	struct personality_record *made = record_begin_call(PROCESS_PERSONALITY, sizeof(*made), call);
	if (!made)
		return 0;
	made->record.result = 0; /* what it was before, no error */
	made->value = value;
	return record_send(&made->record);
}

/* Processes whose 32-bit calls were told of. Value: memory and start, so that another program of the process is told again. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u32);
	__type(value, u64);
} compat_callers SEC(".maps") __weak;

CALL_HANDLER(process_compat_call)
{
	u32 process = bpf_get_current_pid_tgid() >> 32;
	struct task_struct *task = (void *)bpf_get_current_task();
	struct mm_struct___size *mm = (void *)BPF_CORE_READ(task, mm);
	u64 program = (u64)mm ^ task_current_start(), *told = bpf_map_lookup_elem(&compat_callers, &process);
	if ((told && *told == program) || BPF_CORE_READ(mm, task_size) < LOWEST_64_BIT_SIZE || record_of_quiet_process())
		return 0;
	bpf_map_update_elem(&compat_callers, &process, &program, BPF_ANY);
	struct record *made = record_begin_call(PROCESS_COMPAT_CALL, sizeof(*made), call);
	return made ? record_send(made) : 0;
}
