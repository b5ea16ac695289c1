// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Descriptors that change hands or place.
 *
 * Hook: the end of dup, dup2, dup3, fcntl, recvmsg, recvmmsg, pidfd_getfd, splice, vmsplice and sendfile. What a descriptor leads to is read
 * from the file itself; only which descriptors a message brought is said by the caller's memory, where the kernel has just written it.
 * Cost: 10 ns of a call that is not told, 1.4 µs of one that is (measured).
 */
#include "program.bpf.h"
#include "descriptor.bpf.h"
#include "area.bpf.h"

#define F_DUPFD          0
#define F_DUPFD_CLOEXEC  1030
#define NR_DUP           32
#define NR_SENDFILE      40
#define NR_FCNTL         72
#define NR_VMSPLICE      278
#define NR_RECVMMSG      299
#define SOL_SOCKET       1
#define SCM_RIGHTS       1
#define FMODE_WRITE      2
#define CAP_DAC_OVERRIDE 1
#define MESSAGES_MOST    4 /* of one recvmmsg */
#define PARTS_MOST       3 /* control messages of one message */
#define RECEIVED_MOST    8 /* descriptors of one message that get a record of their own; `count` says how many there were */

RECORD_LAYOUT(descriptor_record);

CALL_HANDLER(descriptor_duplicate)
{
	u64 command = call->arguments[1];
	if (call->result < 0 || call->result > 2 || !record_is_wanted(DESCRIPTOR_DUPLICATE))
		return 0;
	if (call->number == NR_FCNTL && command != F_DUPFD && command != F_DUPFD_CLOEXEC)
		return 0;
	if ((u32)call->arguments[0] == call->result || record_of_quiet_process())
		return 0;
	struct descriptor_record *made = record_begin_call(DESCRIPTOR_DUPLICATE, sizeof(*made), call);
	if (!made)
		return 0;
	made->number = call->result;
	made->from_number = call->arguments[0];
	descriptor_describe(&made->record, &made->file, task_file((void *)bpf_get_current_task(), call->result));
	return record_send(&made->record);
}

/* One descriptor of a message, a function of its own so that the verifier looks at it once. */
__noinline int descriptor_received(u32 number, u32 count)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	const struct call *call = call_current();
	if (!call)
		return 0;
	struct descriptor_record *made = record_begin_call(DESCRIPTOR_RECEIVE, sizeof(*made), call);
	struct file *file = task_file(task, number), *through = task_file(task, call->arguments[0]);
	struct socket *socket = BPF_CORE_READ(through, private_data);
	struct sock *sock = BPF_CORE_READ(socket, sk);
	if (!made || !file)
		return 0;
	made->record.result = 0;
	made->number = number;
	made->from_number = -1;
	made->count = count;
	struct pid *peer = BPF_CORE_READ(sock, sk_peer_pid);
	made->other.process = BPF_CORE_READ(peer, numbers[0].nr);
	descriptor_describe(&made->record, &made->file, file);
	return record_send(&made->record);
}

/* Look through the control part of one message. */
static __always_inline void descriptor_message(u64 control, u64 length, bool compat)
{
	u64 head = compat ? 12 : 16, align = compat ? 3 : 7, at = 0;
	for (int part = 0; part < PARTS_MOST && at + head < length; part++) {
		u64 size = 0;
		u32 meaning[2] = {}; /* level, type */
		bpf_probe_read_user(&size, compat ? 4 : 8, (void *)control + at);
		bpf_probe_read_user(meaning, sizeof(meaning), (void *)control + at + head - 8);
		if (size <= head || size > length)
			return;
		if (meaning[0] == SOL_SOCKET && meaning[1] == SCM_RIGHTS) {
			u32 count = (size - head) / 4;
			for (u32 number = 0; number < RECEIVED_MOST && number < count; number++) {
				u32 descriptor = ~0U;
				bpf_probe_read_user(&descriptor, sizeof(descriptor), (void *)control + at + head + number * 4);
				descriptor_received(descriptor, count);
			}
		}
		at += (size + align) & ~align;
	}
}

CALL_HANDLER(descriptor_receive)
{
	bool many = call->number == NR_RECVMMSG, compat = call->compat;
	u64 messages = many ? call->result : 1, size = compat ? 32 : 64;
	if (call->result < 0 || !record_is_wanted(DESCRIPTOR_RECEIVE) || record_of_quiet_process())
		return 0;
	for (u64 number = 0; number < MESSAGES_MOST && number < messages; number++) {
		u64 header = call->arguments[1] + number * size, control = 0, length = 0;
		bpf_probe_read_user(&control, compat ? 4 : 8, (void *)header + (compat ? 16 : 32));
		bpf_probe_read_user(&length, compat ? 4 : 8, (void *)header + (compat ? 20 : 40));
		if (control && length > 12)
			descriptor_message(control, length, compat);
	}
	return 0;
}

CALL_HANDLER(descriptor_take)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	if (!record_is_wanted(DESCRIPTOR_TAKE) || record_of_quiet_process())
		return 0;
	struct descriptor_record *made = record_begin_call(DESCRIPTOR_TAKE, sizeof(*made), call);
	struct file *pidfd = task_file(task, call->arguments[0]);
	if (!made)
		return 0;
	made->number = call->result < 0 ? -1 : (s32)call->result;
	made->from_number = call->arguments[1];
	if (call->result >= 0)
		descriptor_describe(&made->record, &made->file, task_file(task, call->result));
	struct pid *pid = pidfd ? descriptor_pid(pidfd) : 0;
	if (pid)
		descriptor_other(&made->record, &made->other, descriptor_task(pid));
	return record_send(&made->record);
}

static __always_inline u32 descriptor_file_type(struct file *file)
{
	return file ? BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT : 0;
}

/* Whether the current process has no right to write to the file: opened for reading, and the mode says no. */
static __always_inline bool descriptor_is_read_only(struct file *file)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	const struct cred *cred = BPF_CORE_READ(task, cred);
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	u32 mode = BPF_CORE_READ(inode, i_mode);
	u64 capabilities = drift_capabilities(__builtin_preserve_access_index(&cred->cap_effective));
	if (BPF_CORE_READ(file, f_mode) & FMODE_WRITE || capabilities >> CAP_DAC_OVERRIDE & 1)
		return false;
	if (BPF_CORE_READ(inode, i_uid.val) == BPF_CORE_READ(cred, fsuid.val))
		return !(mode & 0200);
	if (BPF_CORE_READ(inode, i_gid.val) == BPF_CORE_READ(cred, egid.val))
		return !(mode & 0020);
	return !(mode & 0002);
}

/* The file whose pages went into a pipe; 0 when this was none. */
static __always_inline struct file *descriptor_spliced(const struct call *call, s32 *from)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	if (call->number == NR_VMSPLICE) {
		u64 base = 0;
		struct file *pipe = task_file(task, call->arguments[0]);
		bpf_probe_read_user(&base, call->compat ? 4 : 8, (void *)call->arguments[1]);
		if (descriptor_file_type(pipe) != S_IFIFO || !(BPF_CORE_READ(pipe, f_mode) & FMODE_WRITE))
			return 0;
		struct vm_area_struct *area = area_of(base);
		return area ? BPF_CORE_READ(area, vm_file) : 0;
	}
	bool sends = call->number == NR_SENDFILE;
	*from = sends ? call->arguments[1] : call->arguments[0];
	struct file *pipe = task_file(task, sends ? call->arguments[0] : call->arguments[2]);
	return descriptor_file_type(pipe) == S_IFIFO ? task_file(task, *from) : 0;
}

CALL_HANDLER(descriptor_splice)
{
	s32 from = -1;
	if (call->result <= 0 || !record_is_wanted(DESCRIPTOR_SPLICE) || record_of_quiet_process())
		return 0;
	struct file *file = descriptor_spliced(call, &from);
	if (descriptor_file_type(file) != S_IFREG)
		return 0;
	struct descriptor_record *made = record_begin_call(DESCRIPTOR_SPLICE, sizeof(*made), call);
	if (!made)
		return 0;
	made->number = -1;
	made->from_number = from;
	made->read_only = descriptor_is_read_only(file);
	descriptor_describe(&made->record, &made->file, file);
	return record_send(&made->record);
}
