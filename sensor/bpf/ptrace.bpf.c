// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Processes that look into others or write into them.
 *
 * Hook: the end of ptrace, process_vm_readv, process_vm_writev, and of the calls that open files, for /proc/PID/mem. Whom it is done to is
 * found by the kernel's own numbers and files. Cost: 0.15 µs of an open that is another file's, 1.7 µs of what is told.
 */
#include "file.bpf.h"
#include "target.bpf.h"
#include "records_acts.h"

#define PTRACE_TRACEME          0
#define PTRACE_SETREGSET        0x4205
#define PTRACE_SEIZE            0x4206
#define PTRACE_SET_SYSCALL_INFO 0x4212
/* POKETEXT, POKEDATA, POKEUSR, SETREGS, SETFPREGS, ATTACH, SETFPXREGS */
#define PTRACE_TOLD         (1ULL << PTRACE_TRACEME | 1ULL << 4 | 1ULL << 5 | 1ULL << 6 | 1ULL << 13 | 1ULL << 15 | 1ULL << 16 | 1ULL << 19)
#define NR_PROCESS_VM_READV 310
#define MEMORY_NAME         "mem"
#define MEMORY_NAME_LENGTH  3

RECORD_LAYOUT(ptrace_record);
RECORD_LAYOUT(memory_access_record);

CALL_HANDLER(process_ptrace)
{
	u64 request = call->arguments[0];
	bool told = request < 64 ? PTRACE_TOLD >> request & 1
				 : request == PTRACE_SEIZE || request == PTRACE_SETREGSET || request == PTRACE_SET_SYSCALL_INFO;
	if (!told || !file_is_told(call->result) || !record_is_wanted(PROCESS_PTRACE) || record_of_quiet_process())
		return 0;
	struct ptrace_record *made = record_begin_call(PROCESS_PTRACE, sizeof(*made), call);
	if (!made)
		return 0;
	made->request = request;
	struct task_struct *task = (void *)bpf_get_current_task();
	struct task_struct *target = request == PTRACE_TRACEME ? BPF_CORE_READ(task, group_leader) : target_task(call->arguments[1]);
	descriptor_other(&made->record, &made->target, target);
	return record_send(&made->record);
}

static __always_inline bool memory_is_own(struct task_struct *target)
{
	return BPF_CORE_READ(target, tgid) == (s32)(bpf_get_current_pid_tgid() >> 32);
}

static __always_inline struct memory_access_record *memory_access(u32 kind, const struct call *call, struct task_struct *target, u32 method)
{
	struct memory_access_record *made = record_begin_call(kind, sizeof(*made), call);
	if (!made)
		return 0;
	made->method = method;
	descriptor_other(&made->record, &made->target, target);
	return made;
}

CALL_HANDLER(process_memory)
{
	u32 kind = call->number == NR_PROCESS_VM_READV ? PROCESS_MEMORY_READ : PROCESS_MEMORY_WRITE;
	if (!file_is_told(call->result) || !record_is_wanted(kind) || record_of_quiet_process())
		return 0;
	struct task_struct *target = target_task(call->arguments[0]);
	if (target && memory_is_own(target))
		return 0;
	struct memory_access_record *made = memory_access(kind, call, target, ACCESS_PROCESS_VM);
	if (!made)
		return 0;
	if (call->result > 0)
		made->bytes = call->result;
	return record_send(&made->record);
}

/* Whose memory a file is; 0 when it is another file. */
static __always_inline struct task_struct *memory_of_file(const struct file_seen *seen)
{
	struct path_entry entry = {};
	char name[4] = {};
	path_entry(&entry, seen->dentry);
	if (entry.length != MEMORY_NAME_LENGTH)
		return 0;
	bpf_probe_read_kernel(name, MEMORY_NAME_LENGTH, entry.name);
	struct inode *inode = seen->inode;
	if (*(u32 *)name != *(const u32 *)MEMORY_NAME || BPF_CORE_READ(inode, i_sb, s_magic) != PROC_MAGIC)
		return 0;
	struct proc_inode *of = (void *)inode - bpf_core_field_offset(struct proc_inode, vfs_inode);
	struct pid *pid = BPF_CORE_READ(of, pid);
	return pid ? target_of_pid(pid) : 0;
}

CALL_HANDLER(process_memory_file)
{
	struct file_seen seen = {};
	struct file *file = call->result < 0 ? 0 : task_current_file(call->result);
	if (!file)
		return 0;
	file_see(&seen, file);
	struct task_struct *target = memory_of_file(&seen);
	if (!target || memory_is_own(target) || record_of_quiet_process())
		return 0;
	struct memory_access_record *made = memory_access(PROCESS_MEMORY_READ, call, target, ACCESS_PROC_MEM);
	if (!made)
		return 0;
	if (seen.mode & FMODE_READ && record_is_wanted(PROCESS_MEMORY_READ))
		record_send(&made->record);
	if (!(seen.mode & FMODE_WRITE) || !record_is_wanted(PROCESS_MEMORY_WRITE))
		return 0;
	made->record.kind = PROCESS_MEMORY_WRITE;
	made->record.id = file_next_id();
	return record_send(&made->record);
}
