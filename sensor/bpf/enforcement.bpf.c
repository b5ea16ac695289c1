// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Policies that kill: decided and done at the exec, before the new program's first instruction.
 *
 * Hook: tp_btf/sched_process_exec (5.5 and later), attached only while a policy in mode Enforce says `kill`. SIGKILL sent here is taken before
 * the return to user mode. What decides is what nobody can choose: the file, the credentials, the descriptors. Cost: 1-2 µs of an exec.
 */
#include "program.bpf.h"
#include "records_enforcement.h"

#define SIGKILL 9

struct facts {
	u64 numbers[KILL_NUMBERS];
	u64 present; /* bit by field */
	struct path_key path;
};

struct kill_number {
	u32 test;
	u32 padding;
	u64 number;
};

struct kill_text {
	u32 length; /* bits, the test's id included */
	u32 test;
	char path[PATH_KEY_BYTES - 4];
};

struct file_key {
	u64 inode;
	u32 device;
	u32 padding;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KILL_TESTS);
	__type(key, u32);
	__type(value, struct kill_test);
} kill_tests SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct kill_number);
	__type(value, u32);
} kill_numbers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 8192);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct kill_text);
	__type(value, u32);
} kill_texts SEC(".maps");

/* Programs that are never killed, by file. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct file_key);
	__type(value, u32);
} protected_files SEC(".maps");

struct enforcing {
	struct facts facts;
	struct file_identity exe;
	struct credentials credentials;
	struct descriptor stdio[3];
	struct kill_text text;
	u32 has_failed; /* a test of this alternative; here, where the verifier does not follow it */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct enforcing);
} enforcing SEC(".maps");

RECORD_LAYOUT(enforced_record);
RECORD_LAYOUT(kill_test);

static __always_inline void fact(struct facts *facts, u32 field, u64 number)
{
	facts->numbers[field & (KILL_NUMBERS - 1)] = number;
	facts->present |= 1ULL << field;
}

static __always_inline void facts_of_file(struct facts *facts, const struct file_identity *exe, bool in_container)
{
	if (!(exe->flags & FILE_KNOWN))
		return;
	fact(facts, FIELD_EXE_UPPER_LAYER, !!(exe->flags & FILE_UPPER));
	fact(facts, FIELD_EXE_MEMFD, !!(exe->flags & FILE_MEMFD));
	fact(facts, FIELD_EXE_UNLINKED, !!(exe->flags & FILE_UNLINKED));
	fact(facts, FIELD_EXE_SETUID, !!(exe->mode & 04000));
	fact(facts, FIELD_EXE_SETGID, !!(exe->mode & 02000));
	fact(facts, FIELD_EXE_OWNER_UID, exe->owner_uid);
	fact(facts, FIELD_EXE_INODE, exe->inode);
	if (in_container)
		fact(facts, FIELD_DRIFT, !!(exe->flags & (FILE_UPPER | FILE_MEMFD | FILE_UNLINKED)));
}

static __always_inline void facts_of_process(struct enforcing *made, struct task_struct *task, struct linux_binprm *program)
{
	struct facts *facts = &made->facts;
	task_credentials(&made->credentials, task);
	fact(facts, FIELD_UID, made->credentials.uid);
	fact(facts, FIELD_EUID, made->credentials.euid);
	fact(facts, FIELD_SUID, made->credentials.suid);
	fact(facts, FIELD_FSUID, made->credentials.fsuid);
	fact(facts, FIELD_GID, made->credentials.gid);
	fact(facts, FIELD_EGID, made->credentials.egid);
	fact(facts, FIELD_SGID, made->credentials.sgid);
	fact(facts, FIELD_ARGS_COUNT, (u32)BPF_CORE_READ(program, argc));
	fact(facts, FIELD_EMPTY_ARGS, BPF_CORE_READ(program, argc) == 0);
	fact(facts, FIELD_CONTAINER_PROCESS_ID, task_id_in_namespace(task, 0));
	fact(facts, FIELD_NO_NEW_PRIVILEGES, BPF_CORE_READ(task, atomic_flags) & 1);
	for (u32 number = 0; number < 3; number++) {
		path_descriptor(&made->stdio[number], task_file(task, number));
		fact(facts, FIELD_STDIN + number, made->stdio[number].type);
	}
}

static __always_inline bool test_holds(struct enforcing *made, const struct kill_test *test)
{
	bool holds;
	if (test->op == KILL_NUMBER) {
		struct kill_number key = {.test = test->id};
		u32 field = test->field & (KILL_NUMBERS - 1);
		if (!(made->facts.present >> field & 1))
			return false; /* absent: no test of it holds, denied or not */
		key.number = made->facts.numbers[field];
		holds = bpf_map_lookup_elem(&kill_numbers, &key) != 0;
	} else {
		made->text.test = test->id;
		holds = bpf_map_lookup_elem(&kill_texts, &made->text) != 0;
	}
	return holds != !!test->denied;
}

/* Take one test; true while there are more. `decides`: the last test of the first rule of which all hold. */
static __always_inline bool test_goes_on(struct enforcing *made, u32 number, const struct kill_test **decides)
{
	struct kill_test *test = bpf_map_lookup_elem(&kill_tests, &number);
	if (!test || test->op == KILL_NONE)
		return false;
	if (!made->has_failed && !test_holds(made, test))
		made->has_failed = 1;
	if (!test->last)
		return true;
	if (!made->has_failed) {
		*decides = test;
		return false;
	}
	made->has_failed = 0;
	return true;
}

static __always_inline int enforce(struct enforcing *made, u32 rule, u32 scope, bool truncated)
{
	u32 gap = GAP_NONE;
	struct file_key file = {.inode = made->exe.inode, .device = made->exe.device};
	struct enforced_record *told = record_begin(SENSOR_ENFORCED, sizeof(*told));
	if (!told)
		return 0;
	if (told->record.process == 1 || record_of_quiet_process() || bpf_map_lookup_elem(&protected_files, &file))
		gap = GAP_PROTECTED;
	else if (!scope)
		gap = GAP_UNKNOWN_CGROUP;
	else if (truncated)
		gap = GAP_PATH;
	else if (bpf_send_signal(SIGKILL))
		gap = GAP_REFUSED;
	told->rule = rule;
	told->gap = gap;
	told->killed = gap == GAP_NONE;
	told->record.flags = told->killed ? RECORD_KILLED : 0;
	told->record.kind = told->killed ? SENSOR_ENFORCED : SENSOR_NOT_ENFORCED;
	record_text(&told->record, &told->exe_path, made->text.path, 256);
	return record_send_lifecycle(&told->record);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(exec_enforce, struct task_struct *task, pid_t old_thread, struct linux_binprm *program)
{
	u32 zero = 0;
	u64 cgroup = task_container_key(task);
	struct enforcing *made = bpf_map_lookup_elem(&enforcing, &zero);
	struct path_buffer *buffer = path_buffer();
	if (!made || !buffer)
		return lost(SENSOR_ENFORCED, LOST_SCRATCH, cgroup);
	__builtin_memset(made, 0, sizeof(*made));
	u32 scope = record_scope(cgroup);
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	struct file *exe = BPF_CORE_READ(mm, exe_file);
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	path_identity(&made->exe, exe);
	facts_of_file(&made->facts, &made->exe, scope != SCOPE_HOST);
	facts_of_process(made, task, program);
	struct path_found found =
		path_find(buffer, BPF_CORE_READ(exe, f_path.dentry), BPF_CORE_READ(exe, f_path.mnt), __builtin_preserve_access_index(&fs->root));
	u32 length = found.length;
	bool truncated = found.truncated || length > PATH_KEY_BYTES - 5;
	if (length > PATH_KEY_BYTES - 5)
		length = PATH_KEY_BYTES - 5;
	bpf_probe_read_kernel(made->text.path, length, &buffer->bytes[found.offset & (PATH_END - 1)]);
	made->text.length = (4 + length + 1) * 8;

	const struct kill_test *decides = 0;
	if (CAN_TAKE_TURNS) {
		struct bpf_iter_num numbers;
		int *number;
		bpf_iter_num_new(&numbers, 0, KILL_TESTS);
		while ((number = bpf_iter_num_next(&numbers)) && test_goes_on(made, *number, &decides))
			;
		bpf_iter_num_destroy(&numbers);
	} else {
		for (u32 number = 0; number < KILL_TESTS && test_goes_on(made, number, &decides); number++)
			;
	}
	return decides ? enforce(made, decides->rule, scope, truncated) : 0;
}
