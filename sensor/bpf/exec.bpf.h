/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * Programs that begin to run.
 *
 * Hook: tp_btf/sched_process_exec (5.5 and later): the new program is in place and has not run yet. Arguments and environment are
 * read from the new memory, which nobody else can write yet; the program is known by its file, not by its name. Cost: 3-6 µs
 * of an exec's several hundred; nothing elsewhere.
 */
#pragma once

#include "program.bpf.h"

#define PFA_NO_NEW_PRIVS               0
#define ARGUMENT_BYTES                 8192
#define ENVIRONMENT_BYTES              4096
#define TEXT_BYTES                     4096
#define BINPRM_FLAGS_PATH_INACCESSIBLE 1

RECORD_LAYOUT(exec_record);
RECORD_LAYOUT(exec_failed_record);

static __always_inline void exec_process(struct exec_record *made, struct task_struct *task)
{
	made->parent = node_pid_namespace ? node_process(BPF_CORE_READ(task, real_parent)) : task->real_parent->tgid;
	made->parent_start = task->real_parent->group_leader->start_boottime;
	made->container_process = task_id_in_namespace(task, 0);
	made->login_uid = bpf_core_field_exists(task->loginuid) ? task->loginuid.val : ~0U;
	struct pid *session = 0;
	struct signal_struct *shared = BPF_CORE_READ(task, signal);
	bpf_core_read(&session, sizeof(session), &shared->pids[3]); /* PIDTYPE_SID */
	made->session = node_number(session);
	made->seccomp = bpf_core_field_exists(task->seccomp) ? task->seccomp.mode : 0;
	made->no_new_privileges = task->atomic_flags >> PFA_NO_NEW_PRIVS & 1;
	task_credentials(&made->credentials, task);
	task_namespaces(&made->namespaces, task);
}

static __always_inline void exec_descriptors(struct exec_record *made, struct task_struct *task)
{
	for (u32 number = 0; number < 3; number++)
		path_descriptor(&made->stdio[number], task_file(task, number));
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task, pid_t old_thread, struct linux_binprm *program)
{
	struct exec_record *made = record_begin(PROCESS_EXEC, sizeof(*made));
	if (!made)
		return 0;
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	struct file *exe = BPF_CORE_READ(mm, exe_file);
	struct tty_struct *tty = BPF_CORE_READ(task, signal, tty);
	u64 arguments = task->mm->arg_start, end = task->mm->arg_end, environment = task->mm->env_start, environment_end = task->mm->env_end;

	exec_process(made, task);
	exec_descriptors(made, task);
	path_identity(&made->exe, exe);
	made->arguments = program->argc;
	made->variables = program->envc;
	made->argument_bytes = end - arguments;
	made->by_descriptor = program->interp_flags & BINPRM_FLAGS_PATH_INACCESSIBLE;

	path_of_file(&made->record, &made->exe_path, exe, &made->exe.flags);
	struct path_buffer *buffer = path_buffer();
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	if (buffer)
		path_append(&made->record, &made->directory, buffer,
			    path_find(buffer, BPF_CORE_READ(fs, pwd.dentry), BPF_CORE_READ(fs, pwd.mnt), __builtin_preserve_access_index(&fs->root)));
	record_text(&made->record, &made->path, BPF_CORE_READ(program, filename), TEXT_BYTES);
	record_text(&made->record, &made->interpreter, BPF_CORE_READ(program, interp), TEXT_BYTES);
	record_user_bytes(&made->record, &made->argument_text, (void *)arguments, end - arguments, ARGUMENT_BYTES);
	record_user_bytes(&made->record, &made->environment, (void *)environment, environment_end - environment, ENVIRONMENT_BYTES);
	record_text(&made->record, &made->name, __builtin_preserve_access_index(&task->comm), 16);
	if (tty)
		record_text(&made->record, &made->tty, __builtin_preserve_access_index(&tty->name), 64);
	return record_send_lifecycle(&made->record);
}

CALL_HANDLER(process_exec_failed)
{
	if (call->result >= 0 || !record_is_wanted(PROCESS_EXEC_FAILED) || record_of_quiet_process())
		return 0;
	struct exec_failed_record *made = record_begin_call(PROCESS_EXEC_FAILED, sizeof(*made), call);
	if (!made)
		return 0;
	bool at = call->number == 322; /* execveat */
	record_user_text(&made->record, &made->path, (void *)(at ? call->arguments[1] : call->arguments[0]), TEXT_BYTES);
	made->by_descriptor = at && !made->path.length;
	return record_send(&made->record);
}
