// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Acts against the sensor itself: signals, ptrace, its programs and maps, its cgroup.
 *
 * Hooks: tp_btf/signal_generate and tp_btf/cgroup_freeze (5.5 and later), and the end of ptrace, bpf() and mmap. All are decided by the
 * kernel's own structures: whom the signal goes to, whom the caller traces now, which program or map the descriptor leads to. Cost: of
 * each mmap up to 40 ns (measured); signals are rare. A signal that kills the sensor is told by whoever reads the ring next, if anybody does.
 */
#include "program.bpf.h"
#include "records_system.h"
#include "bpf_objects.bpf.h"
#include "tamper.bpf.h"

#define PTRACE_ATTACH   16
#define PTRACE_SEIZE    0x4206
#define PROT_WRITE      0x2
#define MAP_SHARED_TYPE 0x3 /* MAP_SHARED is 1, MAP_SHARED_VALIDATE is 3 */
#define SIGNALS         65
/* Signals that end or stop nothing by themselves, or come of timers and of the sensor's own descriptors: ALRM, CHLD, CONT, URG, VTALRM,
 * PROF, WINCH, IO.
 */
#define HARMLESS (1ULL << 14 | 1ULL << 17 | 1ULL << 18 | 1ULL << 23 | 1ULL << 26 | 1ULL << 27 | 1ULL << 28 | 1ULL << 29)
#define WRITING_MAPS                                                                                                                                 \
	(1ULL << BPF_COMMAND_MAP_UPDATE | 1ULL << BPF_COMMAND_MAP_DELETE | 1ULL << BPF_COMMAND_MAP_LOOKUP_AND_DELETE |                               \
	 1ULL << BPF_COMMAND_MAP_FREEZE | 1ULL << BPF_COMMAND_MAP_LOOKUP_AND_DELETE_BATCH | 1ULL << BPF_COMMAND_MAP_UPDATE_BATCH |                   \
	 1ULL << BPF_COMMAND_MAP_DELETE_BATCH)
#define BATCHES (1ULL << BPF_COMMAND_MAP_LOOKUP_AND_DELETE_BATCH | 1ULL << BPF_COMMAND_MAP_UPDATE_BATCH | 1ULL << BPF_COMMAND_MAP_DELETE_BATCH)
#define DETACHING                                                                                                                                    \
	(1ULL << BPF_COMMAND_PROG_DETACH | 1ULL << BPF_COMMAND_LINK_DETACH | 1ULL << BPF_COMMAND_LINK_UPDATE | 1ULL << BPF_COMMAND_PROG_ATTACH)
#define BATCH_MAP_AT 36 /* of map_fd in the attributes of a batch */

RECORD_LAYOUT(tamper_record);

static __always_inline bool tamper_is_sensor(u32 process)
{
	return bpf_map_lookup_elem(&quiet_processes, &process) != 0;
}

static __always_inline struct tamper_record *tamper_begin(u32 act, u32 number, const struct call *call)
{
	struct tamper_record *made = call ? record_begin_call(SENSOR_TAMPERED, sizeof(*made), call)
					  : record_begin_in(1, SENSOR_TAMPERED, sizeof(*made)); /* signals come in interrupts, too */
	if (!made)
		return 0;
	made->act = act;
	made->number = number;
	return made;
}

SEC("tp_btf/signal_generate")
int BPF_PROG(tamper_signal, int number, void *information, struct task_struct *task)
{
	if (number <= 0 || number >= SIGNALS || (number < 32 && HARMLESS >> number & 1))
		return 0;
	if (!tamper_is_sensor(node_process(task)) || record_of_quiet_process() || !record_is_wanted(SENSOR_TAMPERED))
		return 0;
	struct tamper_record *made = tamper_begin(TAMPER_SIGNAL, number, 0);
	return made ? record_send(&made->record) : 0;
}

SEC("tp_btf/cgroup_freeze")
int BPF_PROG(tamper_freeze, struct cgroup *cgroup)
{
	if (!record_is_wanted(SENSOR_TAMPERED) || !tamper_is_sensors(SENSOR_CGROUP, BPF_CORE_READ(cgroup, kn, id)))
		return 0;
	struct tamper_record *made = tamper_begin(TAMPER_FREEZE, 0, 0);
	return made ? record_send(&made->record) : 0;
}

CALL_HANDLER(tamper_ptrace)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	u64 request = call->arguments[0];
	if (request != PTRACE_ATTACH && request != PTRACE_SEIZE)
		return 0;
	if (!record_is_wanted(SENSOR_TAMPERED) || record_of_quiet_process())
		return 0;
	/* whom it traces now stands first in its list; where it was refused, all that is left is the number that it gave */
	u32 traced = call->arguments[1];
	if (call->result == 0) {
		struct list_head *first = BPF_CORE_READ(task, ptraced.next);
		struct task_struct *tracee = (void *)first - bpf_core_field_offset(struct task_struct, ptrace_entry);
		traced = node_process(tracee);
	}
	if (!tamper_is_sensor(traced))
		return 0;
	struct tamper_record *made = tamper_begin(TAMPER_PTRACE, request, call);
	return made ? record_send(&made->record) : 0;
}

static __always_inline int tamper_map(const struct call *call, struct file *file, u32 command)
{
	if (bpf_object_of(file) != BPF_OBJECT_MAP)
		return 0;
	struct bpf_map *map = BPF_CORE_READ(file, private_data);
	if (!tamper_is_sensors(SENSOR_MAP, BPF_CORE_READ(map, id)))
		return 0;
	struct tamper_record *made = tamper_begin(TAMPER_MAP_UPDATE, command, call);
	if (!made)
		return 0;
	record_text(&made->record, &made->object, __builtin_preserve_access_index(&map->name), BPF_NAME_BYTES);
	return record_send(&made->record);
}

static __always_inline int tamper_program(const struct call *call, struct file *file, u32 command)
{
	enum bpf_object what = bpf_object_of(file);
	struct bpf_prog *program = 0;
	if (what == BPF_OBJECT_LINK) {
		struct bpf_link *link = BPF_CORE_READ(file, private_data);
		program = BPF_CORE_READ(link, prog);
	} else if (what == BPF_OBJECT_PROGRAM)
		program = BPF_CORE_READ(file, private_data);
	struct bpf_prog_aux *aux = BPF_CORE_READ(program, aux);
	u32 id = BPF_CORE_READ(aux, id);
	if (!program || !tamper_is_sensors(SENSOR_PROGRAM, id))
		return 0;
	struct tamper_record *made = tamper_begin(TAMPER_DETACH, command, call);
	if (!made)
		return 0;
	made->program = id;
	record_text(&made->record, &made->object, __builtin_preserve_access_index(&aux->name), BPF_NAME_BYTES);
	return record_send(&made->record);
}

CALL_HANDLER(tamper_bpf)
{
	u64 command = call->arguments[0], at = 0;
	u32 descriptor = ~0U;
	bool writes = command < 64 && WRITING_MAPS >> command & 1, detaches = command < 64 && DETACHING >> command & 1;
	if (!(writes || detaches) || !record_is_wanted(SENSOR_TAMPERED) || record_of_quiet_process())
		return 0;
	if (command == BPF_COMMAND_PROG_DETACH || command == BPF_COMMAND_PROG_ATTACH)
		at = 4;
	if (BATCHES >> command & 1)
		at = BATCH_MAP_AT;
	bpf_probe_read_user(&descriptor, sizeof(descriptor), (void *)call->arguments[1] + at);
	struct file *file = task_file((void *)bpf_get_current_task(), descriptor);
	return writes ? tamper_map(call, file, command) : tamper_program(call, file, command);
}

/* Who maps a ring of the sensor can say that everything in it was read. */
CALL_HANDLER(tamper_mmap)
{
	u64 shared = call->arguments[3] & MAP_SHARED_TYPE;
	s32 descriptor = call->arguments[4];
	if (!(call->arguments[2] & PROT_WRITE) || (shared != 1 && shared != 3) || descriptor < 0 || (call->result < 0 && call->result > -4096))
		return 0;
	if (!record_is_wanted(SENSOR_TAMPERED) || record_of_quiet_process())
		return 0;
	return tamper_map(call, task_file((void *)bpf_get_current_task(), descriptor), BPF_COMMAND_MAP_UPDATE);
}
