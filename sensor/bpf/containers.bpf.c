// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Cgroups that are made, entered and removed: the agent learns which key is which path without reading /sys, also of a container
 * that is gone before anyone looks.
 *
 * Hooks: tp_btf/cgroup_mkdir, cgroup_attach_task and cgroup_rmdir (arguments as below since 4.19). The path is the kernel's own text, from
 * the root of the hierarchy whatever cgroup namespace the caller is in. Cost: lost in the 45 µs of making a cgroup; nothing elsewhere.
 */
#include "program.bpf.h"
#include "records_container.h"

#define CGROUP_PATH_BYTES 1024

RECORD_LAYOUT(cgroup_record);

/* Hierarchies that keys are never taken from give HIERARCHY_NONE. */
static __always_inline u32 containers_hierarchy(struct cgroup *cgroup)
{
	if (BPF_CORE_READ(cgroup, root, hierarchy_id) == 0)
		return HIERARCHY_UNIFIED;
	for (u32 hierarchy = HIERARCHY_MEMORY; hierarchy < HIERARCHY_NONE; hierarchy++) {
		s32 controller = task_controller(hierarchy);
		struct cgroup_subsys_state *state = 0;
		if (controller < 0)
			continue;
		bpf_core_read(&state, sizeof(state), &cgroup->subsys[controller & 15]);
		if (state)
			return hierarchy;
	}
	return HIERARCHY_NONE;
}

static __always_inline int containers_tell(u32 kind, struct cgroup *cgroup, const char *path, struct task_struct *moved)
{
	u32 hierarchy = containers_hierarchy(cgroup);
	if (hierarchy == HIERARCHY_NONE)
		return 0;
	u64 key = task_cgroup_key(cgroup, hierarchy);
	if (moved && task_container_key(moved) != key)
		return 0; /* moved in a hierarchy that does not decide where the task belongs */
	struct cgroup_record *made = record_begin(kind, sizeof(*made));
	if (!made)
		return 0;
	made->key = key;
	if (moved) {
		made->process = node_process(moved);
		made->start = task_start(moved);
	}
	record_text(&made->record, &made->path, path, CGROUP_PATH_BYTES);
	return record_send_to(&made->record, &lifecycle, true); /* a container may make and remove cgroups below its own as fast as it can */
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(container_cgroup_made, struct cgroup *cgroup, const char *path)
{
	return containers_tell(CGROUP_MKDIR, cgroup, path, 0);
}

SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(container_cgroup_entered, struct cgroup *cgroup, const char *path, struct task_struct *task, bool threadgroup)
{
	if (BPF_CORE_READ(task, flags) & PF_KTHREAD || BPF_CORE_READ(task, pid) != BPF_CORE_READ(task, tgid))
		return 0; /* a thread alone: its process stays where it is */
	return containers_tell(CGROUP_ATTACH, cgroup, path, task);
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(container_cgroup_removed, struct cgroup *cgroup, const char *path)
{
	return containers_tell(CGROUP_RMDIR, cgroup, path, 0);
}
