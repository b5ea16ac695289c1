// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* What a thread may do: changes of it, and rights that nothing explains.
 *
 * Hooks: the end of the calls that change ids and capabilities; for rights without a call also tp_btf/task_newtask, sched_process_exec and
 * sched_process_exit (5.5 and later) and the end of calls that exploits make next. What a thread held when it was last looked at is kept, so
 * that the record says what it was before. Judged is what holds in every kernel: the permitted set never grows but by exec and by a new user
 * namespace; without CAP_SETUID ids come out of those that the thread has; a thread never leaves its user namespace but for one below. The
 * objective credentials (real_cred) are read, which the kernel never lends out. A thread that was not met before is taken as it is.
 * Cost: 0.4 µs of a fork, an exec, an exit and each of these calls.
 */
#include "file.bpf.h"
#include "records_acts.h"

#define NR_SETFSUID         122
#define NR_PRCTL            157
#define PR_CAP_AMBIENT      47
#define PR_CAP_AMBIENT_ASKS 1
#define CAP_SETUID          7
#define S_ISUID             04000

RECORD_LAYOUT(credentials_record);

struct rights {
	u64 start; /* of the thread */
	struct credentials held;
	u32 user_namespace;
	u32 level; /* of the user namespace: 0 is the host's */
};

/* What threads held when they were last looked at, by thread id. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u32);
	__type(value, struct rights);
} rights_seen SEC(".maps");

static __always_inline void rights_now(struct rights *to, struct task_struct *task)
{
	const struct cred *cred = BPF_CORE_READ(task, real_cred);
	to->start = BPF_CORE_READ(task, start_boottime);
	task_credentials_of(&to->held, cred);
	to->user_namespace = BPF_CORE_READ(cred, user_ns, ns.inum);
	to->level = BPF_CORE_READ(cred, user_ns, level);
}

/* What the thread held before, copied; false when nobody knows. */
static __always_inline bool rights_before(struct rights *to, const struct rights *now, u32 thread)
{
	struct rights *seen = bpf_map_lookup_elem(&rights_seen, &thread);
	if (!seen || seen->start != now->start)
		return false;
	*to = *seen;
	return true;
}

static __always_inline u64 rights_set(const struct rights *rights)
{
	return rights->held.capabilities.effective | rights->held.capabilities.permitted;
}

static __always_inline bool rights_has_id(const struct credentials *held, u32 uid)
{
	return uid == held->uid || uid == held->euid || uid == held->suid || uid == held->fsuid;
}

static __always_inline bool rights_ids_explained(const struct rights *had, const struct rights *has)
{
	const struct credentials *before = &had->held, *after = &has->held;
	if (rights_set(had) >> CAP_SETUID & 1)
		return true;
	return rights_has_id(before, after->uid) && rights_has_id(before, after->euid) && rights_has_id(before, after->suid) &&
	       rights_has_id(before, after->fsuid);
}

/* Whether a thread that had these rights can have those. */
static __always_inline bool rights_explained(const struct rights *had, const struct rights *has)
{
	if (had->user_namespace != has->user_namespace)
		return has->level > had->level;
	return !(rights_set(has) & ~rights_set(had)) && rights_ids_explained(had, has);
}

static __always_inline int rights_tell(u32 kind, const struct call *call, const struct rights *had, const struct rights *has)
{
	struct credentials_record *made = call ? record_begin_call(kind, sizeof(*made), call) : record_begin(kind, sizeof(*made));
	if (!made)
		return 0;
	if (had) {
		made->before = had->held;
		made->user_namespace_before = had->user_namespace;
		made->known = 1;
	}
	made->after = has->held;
	made->user_namespace = has->user_namespace;
	if (call && call->number == NR_SETFSUID)
		made->record.result = 0; /* the id before, no error */
	return record_send(&made->record);
}

static __always_inline void rights_keep(u32 thread, const struct rights *now)
{
	struct rights *seen = bpf_map_lookup_elem(&rights_seen, &thread);
	if (seen)
		*seen = *now; /* only the thread itself and its maker write here */
	else
		bpf_map_update_elem(&rights_seen, &thread, now, BPF_ANY);
}

/* Look at the current thread, and say what nothing explains. */
static __always_inline void rights_look(const struct call *call, struct rights *had, struct rights *now, bool *known)
{
	u32 thread = (u32)bpf_get_current_pid_tgid();
	rights_now(now, (void *)bpf_get_current_task());
	*known = rights_before(had, now, thread);
	rights_keep(thread, now);
	if (*known && !rights_explained(had, now) && record_is_wanted(CREDENTIALS_UNEXPLAINED) && !record_of_quiet_process())
		rights_tell(CREDENTIALS_UNEXPLAINED, call, had, now);
}

CALL_HANDLER(credentials_look)
{
	struct rights had = {}, now = {};
	bool known = false;
	rights_look(call, &had, &now, &known);
	return 0;
}

SEC("tp_btf/task_newtask")
int BPF_PROG(credentials_fork, struct task_struct *child)
{
	struct rights had = {}, now = {};
	bool known = false;
	rights_look(0, &had, &now, &known);
	rights_now(&now, child);
	rights_keep(BPF_CORE_READ(child, pid), &now);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(credentials_exit, struct task_struct *task)
{
	struct rights had = {}, now = {};
	bool known = false;
	if (!(BPF_CORE_READ(task, flags) & PF_KTHREAD))
		rights_look(0, &had, &now, &known);
	return 0;
}

static __always_inline bool rights_of_owner(struct file *file)
{
	return file && BPF_CORE_READ(file, f_inode, i_mode) & S_ISUID;
}

/* An exec may add capabilities (of root, of the file), and ids only where the program is set-user-id. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(credentials_exec, struct task_struct *task, pid_t old_thread, struct linux_binprm *program)
{
	struct rights had = {}, now = {};
	rights_now(&now, task);
	u32 thread = BPF_CORE_READ(task, pid);
	bool known = rights_before(&had, &now, thread);
	rights_keep(thread, &now);
	if (!known || rights_of_owner(BPF_CORE_READ(program, file)) || rights_of_owner(BPF_CORE_READ(program, executable)))
		return 0;
	bool explained = had.user_namespace == now.user_namespace ? rights_ids_explained(&had, &now) : now.level > had.level;
	if (!explained && record_is_wanted(CREDENTIALS_UNEXPLAINED) && !record_of_quiet_process())
		rights_tell(CREDENTIALS_UNEXPLAINED, 0, &had, &now);
	return 0;
}

static __always_inline bool rights_ids_differ(const struct credentials *had, const struct credentials *has)
{
	return had->uid != has->uid || had->euid != has->euid || had->suid != has->suid || had->fsuid != has->fsuid || had->gid != has->gid ||
	       had->egid != has->egid || had->sgid != has->sgid;
}

static __always_inline bool rights_sets_differ(const struct capabilities *had, const struct capabilities *has)
{
	return had->effective != has->effective || had->permitted != has->permitted || had->inheritable != has->inheritable ||
	       had->ambient != has->ambient;
}

CALL_HANDLER(credentials_change)
{
	struct rights had = {}, now = {};
	bool known = false;
	rights_look(call, &had, &now, &known);
	bool denied = call->result < 0 && call->number != NR_SETFSUID;
	if ((denied && !file_is_told(call->result)) || !record_is_wanted(CREDENTIALS_CHANGE) || record_of_quiet_process())
		return 0;
	if (known && !denied && !rights_ids_differ(&had.held, &now.held))
		return 0;
	return rights_tell(CREDENTIALS_CHANGE, call, known ? &had : 0, &now);
}

CALL_HANDLER(credentials_capabilities)
{
	struct rights had = {}, now = {};
	bool known = false;
	if (call->number == NR_PRCTL && (call->arguments[0] != PR_CAP_AMBIENT || call->arguments[1] == PR_CAP_AMBIENT_ASKS))
		return 0;
	rights_look(call, &had, &now, &known);
	if (!file_is_told(call->result) || !record_is_wanted(CREDENTIALS_CAPABILITIES) || record_of_quiet_process())
		return 0;
	if (known && call->result >= 0 && !rights_sets_differ(&had.held.capabilities, &now.held.capabilities))
		return 0;
	return rights_tell(CREDENTIALS_CAPABILITIES, call, known ? &had : 0, &now);
}
