// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Interfaces of the kernel that attacks reach for: perf, keys, page faults, the clock, terminals.
 *
 * Hook: the end of the calls that programs.py names. What a new descriptor is, is read from the file behind it; texts of keys and the time
 * that was set are the caller's. Cost: some ns of an ioctl that is not told; the others are rare.
 */
#include "program.bpf.h"
#include "descriptor.bpf.h"
#include "records_system.h"

#define NR_IOCTL             16
#define NR_SETTIMEOFDAY      164
#define NR_CLOCK_SETTIME     227
#define NR_ADD_KEY           248
#define NR_REQUEST_KEY       249
#define NR_CLOCK_ADJTIME     305
#define TIOCSTI              0x5412
#define USERFAULTFD_IOC_NEW  0xaa00
#define ADJ_SETOFFSET        0x0100
#define ADJ_NANO             0x2000
#define KEYCTL_JOIN          1
#define KEYCTL_SEARCH        10
#define KEY_TEXT_BYTES       256
#define PERF_FLAGS_AT        40 /* of the bits in struct perf_event_attr, which belongs to the interface */
#define PERF_EXCLUDES_KERNEL 5

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct perf_event_attr {
	u32 type;
};

struct pmu {
	const char *name;
};

struct hw_perf_event {
	struct task_struct *target;
};

struct perf_event {
	struct pmu *pmu;
	struct perf_event_attr attr;
	struct hw_perf_event hw;
	int cpu;
};

struct tty_file_private {
	struct tty_struct *tty;
};

#pragma clang attribute pop

RECORD_LAYOUT(perf_record);
RECORD_LAYOUT(keyring_record);
RECORD_LAYOUT(userfaultfd_record);
RECORD_LAYOUT(clock_record);
RECORD_LAYOUT(tty_record);

CALL_HANDLER(perf_open)
{
	u64 bits = 0;
	if (!record_is_wanted(PERF_OPEN) || record_of_quiet_process())
		return 0;
	struct perf_record *made = record_begin_call(PERF_OPEN, sizeof(*made), call);
	if (!made)
		return 0;
	made->cpu = call->arguments[2];
	made->whole_cpu = (s32)call->arguments[1] == -1;
	if (call->result < 0) { /* nothing came of it: what the caller asked for */
		bpf_probe_read_user(&made->type, sizeof(made->type), (void *)call->arguments[0]);
		bpf_probe_read_user(&bits, sizeof(bits), (void *)call->arguments[0] + PERF_FLAGS_AT);
	} else {
		struct file *file = task_file((void *)bpf_get_current_task(), call->result);
		struct perf_event *event = BPF_CORE_READ(file, private_data);
		made->type = BPF_CORE_READ(event, attr.type);
		bpf_probe_read_kernel(&bits, sizeof(bits), (void *)__builtin_preserve_access_index(&event->attr) + PERF_FLAGS_AT);
		record_text(&made->record, &made->source, BPF_CORE_READ(event, pmu, name), 32);
		descriptor_other(&made->record, &made->target, BPF_CORE_READ(event, hw.target));
	}
	made->excludes_kernel = bits >> PERF_EXCLUDES_KERNEL & 1;
	return record_send(&made->record);
}

CALL_HANDLER(keyring_call)
{
	u64 type = call->arguments[0], description = call->arguments[1];
	if (!record_is_wanted(KEYRING_CALL) || record_of_quiet_process())
		return 0;
	struct keyring_record *made = record_begin_call(KEYRING_CALL, sizeof(*made), call);
	if (!made)
		return 0;
	if (call->number == NR_ADD_KEY || call->number == NR_REQUEST_KEY) {
		made->operation = call->number == NR_ADD_KEY ? KEYRING_ADD : KEYRING_REQUEST;
		made->key = call->result < 0 ? 0 : (s32)call->result;
	} else {
		bool searches = call->arguments[0] == KEYCTL_SEARCH, joins = call->arguments[0] == KEYCTL_JOIN;
		made->operation = call->arguments[0];
		made->key = joins ? (call->result < 0 ? 0 : (s32)call->result) : (s32)call->arguments[1];
		type = searches ? call->arguments[2] : 0;
		description = searches ? call->arguments[3] : joins ? call->arguments[1] : 0;
	}
	if (type)
		record_user_text(&made->record, &made->type, (void *)type, 32);
	if (description)
		record_user_text(&made->record, &made->description, (void *)description, KEY_TEXT_BYTES);
	if (call->result > 0)
		made->record.result = 0; /* a key or a length, no error */
	return record_send(&made->record);
}

static __always_inline int userfaultfd_tell(const struct call *call, u32 flags, bool device)
{
	if (!record_is_wanted(USERFAULTFD_CREATE) || record_of_quiet_process())
		return 0;
	struct userfaultfd_record *made = record_begin_call(USERFAULTFD_CREATE, sizeof(*made), call);
	if (!made)
		return 0;
	made->flags = flags;
	made->by_device = device;
	return record_send(&made->record);
}

CALL_HANDLER(userfaultfd_create)
{
	return userfaultfd_tell(call, call->arguments[0], false);
}

/* Two 64-bit words of the caller: seconds and parts of them. 32-bit callers have two layouts under one number, so theirs is not read. */
static __always_inline void clock_time(struct clock_record *made, u64 from, u32 flag, s64 unit)
{
	s64 words[2] = {};
	if (bpf_probe_read_user(words, sizeof(words), (void *)from))
		return;
	made->seconds = words[0];
	made->nanoseconds = words[1] * unit;
	made->flags |= flag;
}

CALL_HANDLER(clock_set)
{
	u32 modes = 0;
	bool adjusts = call->number != NR_CLOCK_SETTIME && call->number != NR_SETTIMEOFDAY;
	u64 from = call->number == NR_CLOCK_SETTIME || call->number == NR_CLOCK_ADJTIME ? call->arguments[1] : call->arguments[0];
	if (!record_is_wanted(CLOCK_SET) || record_of_quiet_process())
		return 0;
	if (adjusts)
		bpf_probe_read_user(&modes, sizeof(modes), (void *)from);
	if (adjusts ? !(modes & ADJ_SETOFFSET) : !from)
		return 0; /* slewed, or only the time zone */
	struct clock_record *made = record_begin_call(CLOCK_SET, sizeof(*made), call);
	if (!made)
		return 0;
	made->clock = call->number == NR_CLOCK_SETTIME || call->number == NR_CLOCK_ADJTIME ? call->arguments[0] : 0;
	if (!call->compat && adjusts)
		clock_time(made, from + 72, CLOCK_STEP_KNOWN, modes & ADJ_NANO ? 1 : 1000);
	else if (!call->compat)
		clock_time(made, from, CLOCK_TIME_KNOWN, call->number == NR_SETTIMEOFDAY ? 1000 : 1);
	if (call->result > 0)
		made->record.result = 0; /* state of the clock, no error */
	return record_send(&made->record);
}

static __always_inline int tty_tell(const struct call *call)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	if (!record_is_wanted(TTY_INJECT) || record_of_quiet_process())
		return 0;
	struct tty_record *made = record_begin_call(TTY_INJECT, sizeof(*made), call);
	struct descriptor kind = {};
	struct file *file = task_file(task, call->arguments[0]);
	if (!made || !file)
		return 0;
	path_descriptor(&kind, file);
	if (kind.type != DESCRIPTOR_TTY)
		return 0;
	struct tty_file_private *private = BPF_CORE_READ(file, private_data);
	struct tty_struct *tty = BPF_CORE_READ(private, tty);
	made->own = tty == BPF_CORE_READ(task, signal, tty);
	record_text(&made->record, &made->device, __builtin_preserve_access_index(&tty->name), 64);
	return record_send(&made->record);
}

/* One handler for both, for a call has room for few. */
CALL_HANDLER(system_ioctl)
{
	u32 request = call->arguments[1];
	if (request == TIOCSTI)
		return tty_tell(call);
	return request == USERFAULTFD_IOC_NEW ? userfaultfd_tell(call, call->arguments[2], true) : 0;
}
