/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * What a task is: when it started, its container, credentials, namespaces and descriptors.
 */
#pragma once

static __always_inline u64 task_start(struct task_struct *task)
{
	return BPF_CORE_READ(task, group_leader, start_boottime);
}

/* Ids of cgroups are unique in one hierarchy alone, so the key says in its top byte which one it is of. */
enum task_hierarchy {
	HIERARCHY_UNIFIED = 0,
	HIERARCHY_MEMORY = 1,
	HIERARCHY_DEVICES = 2,
	HIERARCHY_PIDS = 3,
	HIERARCHY_CPU = 4,
	HIERARCHY_NONE = 5,
};

/* Number of a controller on this kernel, -1 where it has none. */
static __always_inline s32 task_controller(u32 hierarchy)
{
	if (hierarchy == HIERARCHY_MEMORY && bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		return bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);
	if (hierarchy == HIERARCHY_DEVICES && bpf_core_enum_value_exists(enum cgroup_subsys_id, devices_cgrp_id))
		return bpf_core_enum_value(enum cgroup_subsys_id, devices_cgrp_id);
	if (hierarchy == HIERARCHY_PIDS && bpf_core_enum_value_exists(enum cgroup_subsys_id, pids_cgrp_id))
		return bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id);
	if (hierarchy == HIERARCHY_CPU && bpf_core_enum_value_exists(enum cgroup_subsys_id, cpu_cgrp_id))
		return bpf_core_enum_value(enum cgroup_subsys_id, cpu_cgrp_id);
	return -1;
}

static __always_inline u64 task_cgroup_key(struct cgroup *cgroup, u32 hierarchy)
{
	struct kernfs_node *node = (void *)READ_WORD(struct cgroup, cgroup, kn);
	return (s32)READ_HALF(struct cgroup, cgroup, level) > 0 ? READ_WORD(struct kernfs_node, node, id) | (u64)hierarchy << 56 : 0;
}

static __always_inline u64 task_key_in(struct task_struct *task, u32 hierarchy)
{
	s32 controller = task_controller(hierarchy);
	struct css_set *set = (void *)READ_WORD(struct task_struct, task, cgroups);
	if (controller < 0)
		return 0;
	const void *states = (const void *)set + bpf_core_field_offset(struct css_set, subsys);
	struct cgroup_subsys_state *state = (void *)read_word(states + (controller & 15) * sizeof(void *));
	return task_cgroup_key((void *)READ_WORD(struct cgroup_subsys_state, state, cgroup), hierarchy);
}

/* Container key: id of the v2 cgroup where it is not the root's, else of the first v1 hierarchy (memory, devices, pids, cpu) in
 * which the task is not in the root. 0: in no cgroup of its own anywhere. The agent computes the same from /proc
 * (containers/cgroups.py).
 */
static __always_inline u64 task_container_key(struct task_struct *task)
{
	u64 key = task_cgroup_key(BPF_CORE_READ(task, cgroups, dfl_cgrp), HIERARCHY_UNIFIED);
	if (!key)
		key = task_key_in(task, HIERARCHY_MEMORY);
	if (!key)
		key = task_key_in(task, HIERARCHY_DEVICES);
	if (!key)
		key = task_key_in(task, HIERARCHY_PIDS);
	if (!key)
		key = task_key_in(task, HIERARCHY_CPU);
	return key;
}

static __always_inline struct file *task_file(struct task_struct *task, u32 number)
{
	if (CAN_CAST) {
		const struct fdtable *typed = CAST(struct task_struct, task)->files->fdt;
		return number < typed->max_fds ? (void *)read_word((void *)typed->fd + number * 8ULL) : 0;
	}
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **files = BPF_CORE_READ(table, fd), *file = 0;
	if (number >= BPF_CORE_READ(table, max_fds))
		return 0;
	bpf_probe_read_kernel(&file, sizeof(file), files + number);
	return file;
}

/* What every record says of the current task, and its open files. From 5.11 on the task comes typed, and plain loads cost a tenth of
 * reads by helper: half a microsecond of a record.
 */
#define TASK_IS_TYPED bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf)

static __always_inline u64 task_current_start(void)
{
	if (!TASK_IS_TYPED)
		return task_start((void *)bpf_get_current_task());
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	return task->group_leader->start_boottime;
}

static __always_inline u32 task_current_uid(void)
{
	if (TASK_IS_TYPED) {
		struct task_struct *typed = (void *)bpf_get_current_task_btf();
		return typed->cred->uid.val;
	}
	struct task_struct *task = (void *)bpf_get_current_task();
	return BPF_CORE_READ(task, cred, uid.val);
}

static __always_inline u64 task_typed_container_key(struct task_struct *task)
{
	struct cgroup *cgroup = task->cgroups->dfl_cgrp;
	if (cgroup->level > 0)
		return cgroup->kn->id | (u64)HIERARCHY_UNIFIED << 56;
#pragma unroll
	for (u32 hierarchy = HIERARCHY_MEMORY; hierarchy <= HIERARCHY_CPU; hierarchy++) {
		u64 key = task_key_in(task, hierarchy);
		if (key)
			return key;
	}
	return 0;
}

static __always_inline u64 task_current_container_key(void)
{
	if (!TASK_IS_TYPED)
		return task_container_key((void *)bpf_get_current_task());
	return task_typed_container_key((void *)bpf_get_current_task_btf());
}

static __always_inline struct fs_struct *task_current_fs(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	return (void *)READ_WORD(struct task_struct, task, fs);
}

static __always_inline struct file *task_current_file(u32 number)
{
	struct file *file = 0;
	if (CAN_CAST)
		return task_file((void *)bpf_get_current_task(), number);
	if (TASK_IS_TYPED) {
		struct task_struct *typed = (void *)bpf_get_current_task_btf();
		struct fdtable *table = typed->files->fdt;
		if (number < table->max_fds)
			bpf_probe_read_kernel(&file, sizeof(file), table->fd + number);
		return file;
	}
	return task_file((void *)bpf_get_current_task(), number);
}

static __always_inline void task_capabilities(struct capabilities *to, const struct cred *cred)
{
	to->effective = drift_capabilities(__builtin_preserve_access_index(&cred->cap_effective));
	to->permitted = drift_capabilities(__builtin_preserve_access_index(&cred->cap_permitted));
	to->inheritable = drift_capabilities(__builtin_preserve_access_index(&cred->cap_inheritable));
	to->ambient = drift_capabilities(__builtin_preserve_access_index(&cred->cap_ambient));
	to->bounding = drift_capabilities(__builtin_preserve_access_index(&cred->cap_bset));
}

#define CRED_BYTES          96
#define CRED_AT(field)      (bpf_core_field_offset(struct cred, field) - bpf_core_field_offset(struct cred, uid))
#define CRED_ID(field)      (*(u32 *)((void *)near + CRED_AT(field)))
#define CRED_HIGH(field)    (*(u32 *)((void *)near + CRED_AT(field) + 4))
#define CRED_SET(field)     (CRED_ID(field) | (u64)CRED_HIGH(field) << 32) /* by halves: sets are aligned to four bytes before 6.3 */
#define CRED_IS_NEAR(field) (CRED_AT(field) <= CRED_BYTES - 8)

/* Credentials lie together from the user id to the ambient set: one read instead of thirteen, where this kernel has them so. */
static __always_inline void task_credentials_of(struct credentials *to, const struct cred *cred)
{
	if (CRED_IS_NEAR(euid) && CRED_IS_NEAR(suid) && CRED_IS_NEAR(fsuid) && CRED_IS_NEAR(gid) && CRED_IS_NEAR(egid) && CRED_IS_NEAR(sgid) &&
	    CRED_IS_NEAR(securebits) && CRED_IS_NEAR(cap_inheritable) && CRED_IS_NEAR(cap_permitted) && CRED_IS_NEAR(cap_effective) &&
	    CRED_IS_NEAR(cap_bset) && CRED_IS_NEAR(cap_ambient)) {
		u64 near[CRED_BYTES / 8] = {};
		bpf_probe_read_kernel(near, sizeof(near), __builtin_preserve_access_index(&cred->uid));
		to->uid = CRED_ID(uid);
		to->euid = CRED_ID(euid);
		to->suid = CRED_ID(suid);
		to->fsuid = CRED_ID(fsuid);
		to->gid = CRED_ID(gid);
		to->egid = CRED_ID(egid);
		to->sgid = CRED_ID(sgid);
		to->securebits = CRED_ID(securebits);
		to->capabilities.effective = CRED_SET(cap_effective);
		to->capabilities.permitted = CRED_SET(cap_permitted);
		to->capabilities.inheritable = CRED_SET(cap_inheritable);
		to->capabilities.ambient = CRED_SET(cap_ambient);
		to->capabilities.bounding = CRED_SET(cap_bset);
		return;
	}
	to->uid = BPF_CORE_READ(cred, uid.val);
	to->euid = BPF_CORE_READ(cred, euid.val);
	to->suid = BPF_CORE_READ(cred, suid.val);
	to->fsuid = BPF_CORE_READ(cred, fsuid.val);
	to->gid = BPF_CORE_READ(cred, gid.val);
	to->egid = BPF_CORE_READ(cred, egid.val);
	to->sgid = BPF_CORE_READ(cred, sgid.val);
	to->securebits = BPF_CORE_READ(cred, securebits);
	task_capabilities(&to->capabilities, cred);
}

static __always_inline void task_credentials(struct credentials *to, struct task_struct *task)
{
	task_credentials_of(to, BPF_CORE_READ(task, cred));
}

/* The pid namespace that the task lives in, and its id there. */
static __always_inline u32 task_id_in_namespace(struct task_struct *task, u32 *namespace_inode)
{
	struct pid *pid = BPF_CORE_READ(task, group_leader, thread_pid);
	u32 level = BPF_CORE_READ(pid, level);
	struct upid upid = {};
	bpf_core_read(&upid, sizeof(upid), &pid->numbers[level & 31]);
	if (namespace_inode)
		*namespace_inode = BPF_CORE_READ(upid.ns, ns.inum);
	return upid.nr;
}

static __always_inline void task_namespaces(struct namespaces *to, struct task_struct *task)
{
	struct nsproxy *proxy = BPF_CORE_READ(task, nsproxy);
	to->mount = BPF_CORE_READ(proxy, mnt_ns, ns.inum);
	to->network = BPF_CORE_READ(proxy, net_ns, ns.inum);
	to->uts = BPF_CORE_READ(proxy, uts_ns, ns.inum);
	to->ipc = BPF_CORE_READ(proxy, ipc_ns, ns.inum);
	to->cgroup = BPF_CORE_READ(proxy, cgroup_ns, ns.inum);
	if (bpf_core_field_exists(proxy->time_ns))
		to->time = BPF_CORE_READ(proxy, time_ns, ns.inum);
	to->user = BPF_CORE_READ(task, cred, user_ns, ns.inum);
	task_id_in_namespace(task, &to->process);
}

#define STACK_BYTES 16384 /* of a task in the kernel, x86-64 without KASAN */

/* Says by its presence whether programs may ask for the registers with which a task entered the kernel: 5.15, dd6e10fbd9fb. */
typedef u64 (*btf_bpf_task_pt_regs)(struct task_struct *);

/* Registers with which the current task entered the kernel: they lie at the top of its stack. In tracing programs, of tasks of a process alone. */
static __always_inline struct pt_regs *task_registers(struct task_struct *task)
{
	if (bpf_core_type_exists(btf_bpf_task_pt_regs))
		return (void *)bpf_task_pt_regs((void *)bpf_get_current_task_btf());
	return BPF_CORE_READ(task, stack) + STACK_BYTES - bpf_core_type_size(struct pt_regs);
}
