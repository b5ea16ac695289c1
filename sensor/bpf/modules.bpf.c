// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Kernel modules, and other kernels to boot.
 *
 * Hooks: tp_btf/module_load (5.5 and later, with modules only) tells a module before its own code runs, so that one whose start never
 * returns is told as well; it has the kernel's copy of name, parameters and taints. The end of init_module and finit_module tells what was
 * refused. tp_btf/module_free has the name of a module that goes, which the end of delete_module else takes from the caller's memory.
 * Cost: nothing elsewhere.
 */
#include "program.bpf.h"
#include "records_system.h"

#define NR_INIT_MODULE         175
#define NR_DELETE_MODULE       176
#define NR_FINIT_MODULE        313
#define NR_KEXEC_FILE_LOAD     320
#define NR_COMPAT_FINIT_MODULE 350
#define STACK_PADDING          16 /* above the registers where the processor has FRED */
#define MODULE_NAME_BYTES      64
#define PARAMETER_BYTES        1024
#define COMMAND_LINE_BYTES     2048

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct module {
	char name[56];
	char *args;
	unsigned long taints;
};

#pragma clang attribute pop

RECORD_LAYOUT(module_record);
RECORD_LAYOUT(kexec_record);

/* Module that the kernel told of while a thread's call ran. */
struct module_told {
	char name[MODULE_NAME_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 256);
	__type(key, u64);
	__type(value, struct module_told);
} modules_told SEC(".maps");

static __always_inline void module_file(struct module_record *made, struct file *file)
{
	path_identity(&made->file, file);
	path_of_file(&made->record, &made->path, file, &made->file.flags);
}

/* The file that the running finit_module loads from: the caller's registers lie at the end of its kernel stack. */
static __always_inline struct file *module_source(s32 *number)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	void *stack = BPF_CORE_READ(task, stack);
	for (u32 padding = 0; padding <= STACK_PADDING; padding += STACK_PADDING) {
		struct pt_regs *registers = stack + STACK_BYTES - padding - bpf_core_type_size(struct pt_regs);
		u64 call = BPF_CORE_READ(registers, orig_ax);
		bool compat = BPF_CORE_READ(task, thread_info.status) & 2;
		if (call == (compat ? NR_COMPAT_FINIT_MODULE : NR_FINIT_MODULE)) {
			*number = NR_FINIT_MODULE;
			return task_file(task, compat ? BPF_CORE_READ(registers, bx) : BPF_CORE_READ(registers, di));
		}
		if (call == (compat ? 128 : NR_INIT_MODULE))
			*number = NR_INIT_MODULE;
	}
	return 0;
}

SEC("tp_btf/module_load")
int BPF_PROG(module_loaded, struct module *module)
{
	struct module_told told = {};
	u64 thread = bpf_get_current_pid_tgid();
	if (!record_is_wanted(MODULE_LOAD) || record_of_quiet_process())
		return 0;
	struct module_record *made = record_begin(MODULE_LOAD, sizeof(*made));
	if (!made)
		return 0;
	struct file *file = module_source(&made->record.syscall);
	made->from_memory = made->record.syscall == NR_INIT_MODULE;
	made->taints = BPF_CORE_READ(module, taints);
	if (file)
		module_file(made, file);
	record_text(&made->record, &made->name, __builtin_preserve_access_index(&module->name), MODULE_NAME_BYTES);
	if (bpf_core_field_exists(module->args)) /* 7.3 has it no more */
		record_text(&made->record, &made->parameters, BPF_CORE_READ(module, args), PARAMETER_BYTES);
	bpf_map_update_elem(&modules_told, &thread, &told, BPF_ANY);
	return record_send(&made->record);
}

CALL_HANDLER(module_load)
{
	u64 thread = bpf_get_current_pid_tgid();
	bool from_file = call->number == NR_FINIT_MODULE;
	if (!record_is_wanted(MODULE_LOAD) || record_of_quiet_process())
		return 0;
	if (bpf_map_lookup_elem(&modules_told, &thread)) {
		bpf_map_delete_elem(&modules_told, &thread);
		return 0;
	}
	struct module_record *made = record_begin_call(MODULE_LOAD, sizeof(*made), call);
	struct file *file = from_file ? task_file((void *)bpf_get_current_task(), call->arguments[0]) : 0;
	if (!made)
		return 0;
	made->from_memory = !from_file;
	made->flags = from_file ? call->arguments[2] : 0;
	if (file)
		module_file(made, file);
	record_user_text(&made->record, &made->parameters, (void *)(from_file ? call->arguments[1] : call->arguments[2]), PARAMETER_BYTES);
	return record_send(&made->record);
}

SEC("tp_btf/module_free")
int BPF_PROG(module_freed, struct module *module)
{
	struct module_told told = {};
	u64 thread = bpf_get_current_pid_tgid();
	if (!record_is_wanted(MODULE_UNLOAD))
		return 0;
	bpf_probe_read_kernel_str(told.name, MODULE_NAME_BYTES, __builtin_preserve_access_index(&module->name));
	bpf_map_update_elem(&modules_told, &thread, &told, BPF_ANY);
	return 0;
}

CALL_HANDLER(module_unload)
{
	u64 thread = bpf_get_current_pid_tgid();
	if (!record_is_wanted(MODULE_UNLOAD) || record_of_quiet_process())
		return 0;
	struct module_record *made = record_begin_call(MODULE_UNLOAD, sizeof(*made), call);
	struct module_told *told = bpf_map_lookup_elem(&modules_told, &thread);
	if (!made)
		return 0;
	made->flags = call->arguments[1];
	if (told)
		record_text(&made->record, &made->name, told->name, MODULE_NAME_BYTES);
	else {
		made->name_by_user = 1;
		record_user_text(&made->record, &made->name, (void *)call->arguments[0], MODULE_NAME_BYTES);
	}
	bpf_map_delete_elem(&modules_told, &thread);
	return record_send(&made->record);
}

CALL_HANDLER(kexec_load)
{
	if (!record_is_wanted(KEXEC_LOAD) || record_of_quiet_process())
		return 0;
	struct kexec_record *made = record_begin_call(KEXEC_LOAD, sizeof(*made), call);
	if (!made)
		return 0;
	made->by_file = call->number == NR_KEXEC_FILE_LOAD;
	made->flags = made->by_file ? call->arguments[4] : call->arguments[3];
	if (!made->by_file)
		return record_send(&made->record);
	struct file *file = task_file((void *)bpf_get_current_task(), call->arguments[0]);
	if (file) {
		path_identity(&made->file, file);
		path_of_file(&made->record, &made->path, file, &made->file.flags);
	}
	if (call->arguments[2])
		record_user_text(&made->record, &made->command_line, (void *)call->arguments[3], COMMAND_LINE_BYTES);
	return record_send(&made->record);
}
