/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * The process that a call acts upon, found by the number that the caller gave as the kernel finds it: in the numbers of the caller's pid
 * namespace. About 0.1 µs; descriptor_other describes it.
 */
#pragma once

#include "descriptor.bpf.h"

#define TARGET_LEVELS  6 /* of the tree of numbers, 64 branches each: more than a number has bits */
#define TARGET_BRANCH  63
#define TARGET_SPECIAL 4096 /* addresses of nodes are above: XA_ZERO_ENTRY and the like are not */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct xa_node {
	unsigned char shift;
	void *slots[64];
};

struct xarray {
	void *xa_head;
};

struct idr {
	struct xarray idr_rt;
};

struct pid_namespace___numbers {
	struct idr idr;
};

#pragma clang attribute pop

/* The process that a number of any of its threads belongs to. */
static __always_inline struct task_struct *target_of_pid(struct pid *pid)
{
	struct hlist_node *first = 0;
	bpf_core_read(&first, sizeof(first), &pid->tasks[0].first); /* PIDTYPE_PID */
	if (!first)
		return 0;
	struct task_struct *links = 0;
	struct task_struct *task = (void *)first - (u64)__builtin_preserve_access_index(&links->pid_links[0]);
	return BPF_CORE_READ(task, group_leader);
}

/* 0 where nobody has the number. */
static __always_inline struct task_struct *target_task(u32 number)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct pid *own = BPF_CORE_READ(task, thread_pid);
	u32 level = BPF_CORE_READ(own, level), shift = 32;
	struct upid upid = {};
	bpf_core_read(&upid, sizeof(upid), &own->numbers[level & 31]);
	struct pid_namespace___numbers *namespace = (void *)upid.ns;
	void *entry = BPF_CORE_READ(namespace, idr.idr_rt.xa_head);
	for (int depth = 0; depth < TARGET_LEVELS; depth++) {
		if (((u64)entry & 3) != 2 || (u64)entry < TARGET_SPECIAL)
			break;
		struct xa_node *node = entry - 2;
		shift = BPF_CORE_READ(node, shift) & 31;
		u64 slot = (u64)number >> shift;
		if (!depth && slot > TARGET_BRANCH)
			return 0;
		bpf_core_read(&entry, sizeof(entry), &node->slots[slot & TARGET_BRANCH]);
	}
	if (shift || !entry || (u64)entry & 3)
		return 0;
	return target_of_pid(entry);
}
