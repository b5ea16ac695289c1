/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * Records of the kernel's interfaces: modules, kexec, BPF, perf, keys, page faults, io_uring, clock, terminals, and acts against the sensor.
 */
#pragma once

#include "records_memory.h"

struct module_record {
	struct record record;
	__u64 taints; /* bits as in /proc/sys/kernel/tainted */
	__u32 from_memory;
	__u32 flags; /* of finit_module or delete_module */
	struct file_identity file;
	struct text path;
	struct text name;
	struct text parameters;
	__u32 name_by_user; /* the name is the caller's text */
};

struct kexec_record {
	struct record record;
	__u64 flags;
	__u32 by_file; /* kexec_file_load */
	__u32 padding;
	struct file_identity file;
	struct text path;
	struct text command_line;
};

#define BPF_NOTHING (~0U) /* a type or id that does not apply */

struct bpf_record {
	struct record record;
	__u32 command; /* of bpf(), or enum bpf_other_command */
	__u32 program_type;
	__u32 program_id;
	__u32 attach_type;
	__u32 map_type;
	__u32 map_id;
	__u32 link_id;
	__u32 overrides; /* uses override_return */
	__u32 of_sensor;
	__u8 tag[8];
	struct text program_name;
	struct text map_name;
	struct text target;
	struct text pinned_path;
	__u32 padding;
};

/* Attaching by other calls than bpf(). */
enum bpf_other_command {
	BPF_BY_PERF_EVENT = 1000,
	BPF_BY_SOCKET_OPTION = 1001,
	BPF_BY_SOCKET_FILTER = 1002, /* the classic kind, which has no program id */
};

struct perf_record {
	struct record record;
	struct other_process target;
	__u32 type; /* PERF_TYPE_* */
	__s32 cpu;
	__u32 whole_cpu;
	__u32 excludes_kernel;
	struct text source; /* name of the kernel's counter unit */
	__u32 padding;
};

struct keyring_record {
	struct record record;
	__u32 operation; /* of keyctl; KEYRING_ADD, KEYRING_REQUEST */
	__s32 key;
	struct text type;
	struct text description;
};

enum keyring_call {
	KEYRING_ADD = 1000,
	KEYRING_REQUEST = 1001,
};

struct userfaultfd_record {
	struct record record;
	__u32 flags;
	__u32 by_device; /* /dev/userfaultfd instead of the call */
};

struct io_uring_record {
	struct record record;
	struct endpoints ends;
	__u32 flags; /* IORING_SETUP_* */
	__u32 opcode;
	__u32 registered_credentials;
	struct text path;
};

enum clock_flag {
	CLOCK_TIME_KNOWN = 1 << 0, /* seconds and nanoseconds are the time that was set */
	CLOCK_STEP_KNOWN = 1 << 1, /* they are by how much it was moved */
};

struct clock_record {
	struct record record;
	__s64 seconds;
	__s64 nanoseconds;
	__u32 clock;
	__u32 flags; /* enum clock_flag */
};

struct tty_record {
	struct record record;
	__u32 own;
	struct text device;
};

enum tamper_act {
	TAMPER_SIGNAL = 1,
	TAMPER_DETACH = 2,
	TAMPER_MAP_UPDATE = 3,
	TAMPER_PTRACE = 4,
	TAMPER_FREEZE = 5,
};

struct tamper_record {
	struct record record;
	__u32 act;          /* enum tamper_act */
	__u32 number;       /* of the signal, the ptrace request or the bpf command */
	__u32 program;      /* id of the sensor's program, 0: none */
	struct text object; /* name of the program or map */
};
