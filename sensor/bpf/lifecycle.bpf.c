// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Processes that begin and end.
 *
 * Hooks: tp_btf/task_newtask (it tells the clone flags, which sched_process_fork does not) and tp_btf/sched_process_exit (the last
 * thread's is the process's end). Both 5.5 and later. Cost: 0.3 µs of a fork and an exit each.
 */
#include "program.bpf.h"

#define CLONE_THREAD 0x00010000

RECORD_LAYOUT(fork_record);
RECORD_LAYOUT(exit_record);

SEC("tp_btf/task_newtask")
int BPF_PROG(process_fork, struct task_struct *child, unsigned long clone_flags)
{
	if (clone_flags & CLONE_THREAD || BPF_CORE_READ(child, flags) & PF_KTHREAD)
		return 0;
	struct fork_record *made = record_begin(PROCESS_FORK, sizeof(*made));
	if (!made)
		return 0;
	made->child = node_process(child);
	made->child_start = BPF_CORE_READ(child, start_boottime);
	made->clone_flags = clone_flags;
	made->child_cgroup = task_container_key(child);
	made->child_in_namespace = task_id_in_namespace(child, 0);
	task_namespaces(&made->namespaces, child);
	return record_send_lifecycle(&made->record);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task)
{
	struct signal_struct *shared = BPF_CORE_READ(task, signal);
	if (BPF_CORE_READ(shared, live.counter) > 0 || BPF_CORE_READ(task, flags) & PF_KTHREAD)
		return 0;
	struct exit_record *made = record_begin(PROCESS_EXIT, sizeof(*made));
	if (!made)
		return 0;
	u32 group = BPF_CORE_READ(shared, group_exit_code);
	made->code = group ? group : BPF_CORE_READ(task, exit_code);
	return record_send_lifecycle(&made->record);
}
