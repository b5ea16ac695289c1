/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * Numbers of processes as the node's /proc knows them.
 *
 * Most nodes have a kernel of their own. Where several share one (kind: each node is a container), the agent says which pid namespace is the node's, and
 * tasks outside of it, of other nodes and of the machine, have no number here: nothing of them is told. Nobody gets out of a pid namespace. Elsewhere
 * the verifier takes all of this away, but for a load.
 */
#pragma once

#define NODE_LEVELS 8 /* the node's namespace is among the first ones; what is nested below it may be deeper */

const volatile u32 node_pid_namespace __weak = 0; /* inode; 0: the kernel is the node's alone */

/* 0 where the node does not know it. */
static __always_inline u32 node_number(struct pid *pid)
{
	if (!node_pid_namespace)
		return BPF_CORE_READ(pid, numbers[0].nr);
	u32 depth = BPF_CORE_READ(pid, level);
#pragma unroll
	for (u32 level = 1; level < NODE_LEVELS; level++) {
		struct upid upid = {};
		if (level > depth)
			break;
		bpf_core_read(&upid, sizeof(upid), &pid->numbers[level]);
		if (BPF_CORE_READ(upid.ns, ns.inum) == node_pid_namespace)
			return upid.nr;
	}
	return 0;
}

static __always_inline u32 node_process(struct task_struct *task)
{
	return node_pid_namespace ? node_number(BPF_CORE_READ(task, group_leader, thread_pid)) : BPF_CORE_READ(task, tgid);
}

static __always_inline u32 node_thread(struct task_struct *task)
{
	return node_pid_namespace ? node_number(BPF_CORE_READ(task, thread_pid)) : BPF_CORE_READ(task, pid);
}

static __always_inline u32 node_current_process(void)
{
	return node_pid_namespace ? node_process((void *)bpf_get_current_task()) : bpf_get_current_pid_tgid() >> 32;
}

/* Whether a process that nobody has a number for is another node's. */
static __always_inline bool node_is_another(u32 process)
{
	return node_pid_namespace && !process;
}
