// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Namespaces that are entered or made, and roots that change.
 *
 * Hook: the end of setns, unshare, clone, clone3, chroot and pivot_root. Which namespace was entered is read from the descriptor's own object,
 * which types were made from the flags, where the new root is from the task's own root. A clone that succeeds is told by the record of its
 * fork; here only one that was denied. Cost: 20 ns of a clone, 1 µs of what is told.
 */
#include "file.bpf.h"
#include "descriptor.bpf.h"
#include "records_acts.h"

#define NSFS_MAGIC      0x6e736673
#define NAMESPACE_FLAGS 0x7e020080ULL /* CLONE_NEW* */
#define NR_CLONE3       435
#define NR_PIVOT_ROOT   155
#define TYPE_BYTES      32

RECORD_LAYOUT(namespaces_record);
RECORD_LAYOUT(root_record);

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct proc_ns_operations {
	const char *name;
};

struct ns_common___named {
	const struct proc_ns_operations *ops;
	unsigned int inum;
};

#pragma clang attribute pop

static __always_inline struct namespaces_record *namespaces_begin(u32 kind, const struct call *call, u64 flags)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	if (!file_is_told(call->result) || !record_is_wanted(kind) || record_of_quiet_process())
		return 0;
	struct namespaces_record *made = record_begin_call(kind, sizeof(*made), call);
	if (!made)
		return 0;
	made->flags = flags;
	task_namespaces(&made->after, task);
	made->process_of_children = BPF_CORE_READ(task, nsproxy, pid_ns_for_children, ns.inum);
	return made;
}

CALL_HANDLER(isolation_setns)
{
	struct namespaces_record *made = namespaces_begin(ISOLATION_SETNS, call, call->arguments[1] & NAMESPACE_FLAGS);
	struct file *file = task_file((void *)bpf_get_current_task(), call->arguments[0]);
	if (!made)
		return 0;
	if (!file)
		return record_send(&made->record);
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	if (BPF_CORE_READ(inode, i_sb, s_magic) == NSFS_MAGIC) {
		struct ns_common___named *entered = BPF_CORE_READ(inode, i_private);
		made->entered = BPF_CORE_READ(entered, inum);
		record_text(&made->record, &made->type, BPF_CORE_READ(entered, ops, name), TYPE_BYTES);
		return record_send(&made->record);
	}
	struct pid *pid = descriptor_pid(file);
	if (pid)
		descriptor_other(&made->record, &made->target, descriptor_task(pid));
	return record_send(&made->record);
}

CALL_HANDLER(isolation_unshare)
{
	u64 flags = call->arguments[0] & NAMESPACE_FLAGS;
	struct namespaces_record *made = flags ? namespaces_begin(ISOLATION_UNSHARE, call, flags) : 0;
	return made ? record_send(&made->record) : 0;
}

CALL_HANDLER(isolation_clone_denied)
{
	u64 flags = call->arguments[0];
	if (call->result >= 0)
		return 0;
	if (call->number == NR_CLONE3)
		bpf_probe_read_user(&flags, sizeof(flags), (void *)call->arguments[0]);
	flags &= call->number == NR_CLONE3 ? NAMESPACE_FLAGS : NAMESPACE_FLAGS & ~0xffULL; /* the low byte of clone is a signal */
	struct namespaces_record *made = flags ? namespaces_begin(ISOLATION_UNSHARE, call, flags) : 0;
	return made ? record_send(&made->record) : 0;
}

CALL_HANDLER(isolation_chroot)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	u32 flags = 0;
	if (!file_is_told(call->result) || !record_is_wanted(ISOLATION_CHROOT) || record_of_quiet_process())
		return 0;
	struct root_record *made = record_begin_call(ISOLATION_CHROOT, sizeof(*made), call);
	struct path_buffer *buffer = path_buffer();
	if (!made || !buffer)
		return 0;
	bool pivots = call->number == NR_PIVOT_ROOT;
	if (!pivots && call->result == 0) {
		struct path *root = __builtin_preserve_access_index(&fs->root);
		path_append(&made->record, &made->path, buffer, path_find(buffer, BPF_CORE_READ(root, dentry), BPF_CORE_READ(root, mnt), 0));
	}
	file_claimed(&made->record, &made->claimed, (void *)call->arguments[0]);
	if (pivots)
		file_claimed(&made->record, &made->old_root, (void *)call->arguments[1]);
	if (pivots || call->result < 0)
		file_directory(&made->record, &made->directory, &made->claimed, AT_FDCWD, &flags);
	if (pivots)
		file_directory(&made->record, &made->old_root_directory, &made->old_root, AT_FDCWD, &flags);
	return record_send(&made->record);
}
