// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* BPF programs and maps that are made, attached, detached and pinned.
 *
 * Hook: the end of bpf(), of ioctl(PERF_EVENT_IOC_SET_BPF) and of setsockopt(SO_ATTACH_*). The program is read from the file behind the
 * descriptor; which descriptor, target and path the caller named is said by its memory. Attaching by netlink (tc, xdp) is not seen
 * here: the agent's inventory finds such programs (watchkeeper_sensor/inventory.py). Cost: some ns of other ioctls and setsockopts.
 */
#include "program.bpf.h"
#include "records_system.h"
#include "bpf_objects.bpf.h"
#include "tamper.bpf.h"

#define NR_IOCTL                 16
#define PERF_EVENT_IOC_SET_BPF   0x40042408
#define SOL_SOCKET               1
#define SO_ATTACH_FILTER         26
#define SO_ATTACH_BPF            50
#define SO_ATTACH_REUSEPORT_CBPF 51
#define SO_ATTACH_REUSEPORT_EBPF 52
#define PATH_BYTES               1024
#define TARGET_BYTES             128

RECORD_LAYOUT(bpf_record);

static __always_inline void bpf_program(struct bpf_record *made, struct bpf_prog *program)
{
	struct bpf_prog_aux *aux = BPF_CORE_READ(program, aux);
	made->program_type = BPF_CORE_READ(program, type);
	made->program_id = BPF_CORE_READ(aux, id);
	made->overrides = BPF_CORE_READ_BITFIELD_PROBED(program, kprobe_override);
	made->of_sensor = tamper_is_sensors(SENSOR_PROGRAM, made->program_id);
	if (made->attach_type == BPF_NOTHING)
		made->attach_type = BPF_CORE_READ(program, expected_attach_type);
	bpf_core_read(made->tag, 8, &program->tag);
	record_text(&made->record, &made->program_name, __builtin_preserve_access_index(&aux->name), BPF_NAME_BYTES);
	record_text(&made->record, &made->target, BPF_CORE_READ(aux, attach_func_name), TARGET_BYTES);
}

static __always_inline void bpf_object(struct bpf_record *made, struct file *file)
{
	enum bpf_object what = bpf_object_of(file);
	void *object = file ? BPF_CORE_READ(file, private_data) : 0;
	struct bpf_prog *program = 0;
	if (what == BPF_OBJECT_PROGRAM)
		program = object;
	if (what == BPF_OBJECT_LINK) {
		struct bpf_link *link = object;
		made->link_id = BPF_CORE_READ(link, id);
		program = BPF_CORE_READ(link, prog);
	}
	if (program)
		bpf_program(made, program);
	if (what == BPF_OBJECT_MAP) {
		struct bpf_map *map = object;
		made->map_type = BPF_CORE_READ(map, map_type);
		made->map_id = BPF_CORE_READ(map, id);
		made->of_sensor = tamper_is_sensors(SENSOR_MAP, made->map_id);
		record_text(&made->record, &made->map_name, __builtin_preserve_access_index(&map->name), BPF_NAME_BYTES);
	}
}

static __always_inline struct bpf_record *bpf_begin(u32 kind, u32 command, const struct call *call)
{
	struct bpf_record *made = record_begin_call(kind, sizeof(*made), call);
	if (!made)
		return 0;
	made->command = command;
	made->program_type = made->attach_type = made->map_type = BPF_NOTHING;
	return made;
}

CALL_HANDLER(bpf_load)
{
	u32 command = call->arguments[0];
	u64 attributes = call->arguments[1];
	struct bpf_record *made;
	bool loads = command == BPF_COMMAND_PROG_LOAD;
	if (!loads && command != BPF_COMMAND_MAP_CREATE)
		return 0;
	if (!record_is_wanted(BPF_LOAD) || record_of_quiet_process())
		return 0;
	made = bpf_begin(BPF_LOAD, command, call);
	if (!made)
		return 0;
	if (call->result >= 0)
		bpf_object(made, task_file((void *)bpf_get_current_task(), call->result));
	else { /* nothing came of it: what the caller asked for */
		bpf_probe_read_user(loads ? &made->program_type : &made->map_type, 4, (void *)attributes);
		record_user_text(&made->record, loads ? &made->program_name : &made->map_name, (void *)attributes + (loads ? 48 : 28),
				 BPF_NAME_BYTES);
	}
	return record_send(&made->record);
}

/* Fields of union bpf_attr, by command. */
static __always_inline bool bpf_attaches(u32 command, u32 *descriptor_at, s32 *target_at, s32 *type_at)
{
	*descriptor_at = 0;
	*target_at = *type_at = -1;
	switch (command) {
	case BPF_COMMAND_PROG_ATTACH:
	case BPF_COMMAND_PROG_DETACH:
		*descriptor_at = 4;
		*target_at = 0;
		*type_at = 8;
		return true;
	case BPF_COMMAND_LINK_CREATE:
		*target_at = 4;
		*type_at = 8;
		return true;
	case BPF_COMMAND_RAW_TRACEPOINT_OPEN:
	case BPF_COMMAND_OBJ_PIN:
		*descriptor_at = 8;
		return true;
	case BPF_COMMAND_LINK_UPDATE:
	case BPF_COMMAND_LINK_DETACH:
		return true;
	default:
		return false;
	}
}

CALL_HANDLER(bpf_attach)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	u32 command = call->arguments[0], descriptor_at, descriptor = ~0U, target = ~0U;
	s32 target_at, type_at;
	u64 attributes = call->arguments[1], text = 0;
	if (!bpf_attaches(command, &descriptor_at, &target_at, &type_at))
		return 0;
	if (!record_is_wanted(BPF_ATTACH) || record_of_quiet_process())
		return 0;
	struct bpf_record *made = bpf_begin(BPF_ATTACH, command, call);
	if (!made)
		return 0;
	bpf_probe_read_user(&descriptor, 4, (void *)attributes + descriptor_at);
	if (type_at >= 0)
		bpf_probe_read_user(&made->attach_type, 4, (void *)attributes + type_at);
	bpf_object(made, task_file(task, descriptor));
	if (target_at >= 0 && !made->target.length) {
		bpf_probe_read_user(&target, 4, (void *)attributes + target_at);
		struct file *place = task_file(task, target);
		if (place && bpf_object_of(place) == BPF_OBJECT_NONE)
			path_of_file(&made->record, &made->target, place, 0);
	}
	if (command == BPF_COMMAND_RAW_TRACEPOINT_OPEN || command == BPF_COMMAND_OBJ_PIN) {
		bool pins = command == BPF_COMMAND_OBJ_PIN;
		bpf_probe_read_user(&text, 8, (void *)attributes);
		if (text && (pins || !made->target.length))
			record_user_text(&made->record, pins ? &made->pinned_path : &made->target, (void *)text, PATH_BYTES);
	}
	return record_send(&made->record);
}

CALL_HANDLER(bpf_attach_otherwise)
{
	bool perf = call->number == NR_IOCTL;
	u32 option = call->arguments[2], descriptor = call->arguments[2];
	bool classic = option == SO_ATTACH_FILTER || option == SO_ATTACH_REUSEPORT_CBPF;
	if (perf ? (u32)call->arguments[1] != PERF_EVENT_IOC_SET_BPF
		 : call->arguments[1] != SOL_SOCKET || !(classic || option == SO_ATTACH_BPF || option == SO_ATTACH_REUSEPORT_EBPF))
		return 0;
	if (!record_is_wanted(BPF_ATTACH) || record_of_quiet_process())
		return 0;
	struct bpf_record *made = bpf_begin(BPF_ATTACH, perf ? BPF_BY_PERF_EVENT : classic ? BPF_BY_SOCKET_FILTER : BPF_BY_SOCKET_OPTION, call);
	if (!made)
		return 0;
	if (!perf)
		bpf_probe_read_user(&descriptor, sizeof(descriptor), (void *)call->arguments[3]);
	if (perf || !classic)
		bpf_object(made, task_file((void *)bpf_get_current_task(), descriptor));
	return record_send(&made->record);
}
