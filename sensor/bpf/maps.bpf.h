/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * All maps that more than one program file uses. They are weak, so that the linker joins the files' copies into one.
 */
#pragma once

#define PATH_KEY_BYTES 252 /* of a path that the kernel filters by; the trie's limit is 256 with the length */
#define NAME_KEY_BYTES 64
#define SYSCALLS       512
#define CALL_HANDLERS  4 /* that one system call can have */
#define PRINTS         16384
#define COMPAT_PLACE   (SYSCALLS - 1) /* handler of every 32-bit call, before those of its number */

/* Which records the loaded policies ask for. */
enum wanted_flag {
	WANTED = 1 << 0,
	WANTED_BY_PATH = 1 << 1, /* only when path or name is among the tests */
	WANTED_ON_HOST = 1 << 2, /* neither of these two: everywhere */
	WANTED_IN_CONTAINERS = 1 << 3,
	WANTED_BY_PORT = 1 << 4,
	WANTED_ONCE = 1 << 5, /* repeats may be counted in place of told */
};

/* Whose cgroup it is; 0: the agent has not said yet. */
enum cgroup_scope {
	SCOPE_HOST = 1,
	SCOPE_CONTAINER = 2,
};

/* Ways in which a file's kinds are asked for: by where it happens, and whether the file is open for writing. */
enum asked_way {
	HOST_READ = 1 << 0,
	HOST_WRITE = 1 << 1,
	CONTAINER_READ = 1 << 2,
	CONTAINER_WRITE = 1 << 3,
	ASKED_EACH = 1 << 4, /* no way: repeats are told too */
};

/* Kinds below 64, a word for each way. */
struct kind_set {
	u64 bits[5];
};

struct path_key {
	u32 length; /* bits */
	char path[PATH_KEY_BYTES];
};

struct name_key {
	char name[NAME_KEY_BYTES];
};

/* How a call ended, as programs.py asks for it. */
enum call_end {
	ENDED_POSITIVE = 1 << 0,
	ENDED_ZERO = 1 << 1,
	ENDED_DENIED = 1 << 2, /* EPERM, EACCES, EROFS, ETXTBSY */
	ENDED_FAILED = 1 << 3,
	/* Looked at before any handler runs, where all handlers of the call are content with that: */
	LOOK_AT_OPEN = 1 << 4,
	LOOK_AT_WRITE = 1 << 5,
	LOOK_AT_MEMORY = 1 << 6,
	COMPAT_ASKED = 1 << 7, /* a handler asks for the 32-bit call of this number */
};

struct settings {
	u64 generation; /* a number of the filters in force, which no other filters had */
	u64 asks_where; /* whether it matters to them if a container or the host did it */
	u64 rate;       /* records of one kind and cgroup a second; 0: rate_per_second */
	u64 burst;      /* of these at once */
};

struct call {
	u64 arguments[6];
	s64 result;
	s32 number; /* as 64-bit callers use it */
	u32 compat;
	u32 next; /* place of the next handler */
	u32 padding;
};

struct bucket {
	u64 updated; /* nanoseconds */
	s64 tokens;  /* thousandths */
};

struct bucket_key {
	u64 cgroup;
	u64 kind;
};

/* Exec, fork, exit, containers and enforcement. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 21);
} lifecycle SEC(".maps") __weak;

/* Everything else. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 23);
} activity SEC(".maps") __weak;

/* Where records are put together; index 1 for programs that may interrupt another one. */
struct scratch {
	u8 bytes[RECORD_BYTES + 8192]; /* slack, so that bounded reads never reach the end */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, struct scratch);
} scratches SEC(".maps") __weak;

struct path_buffer {
	char bytes[8192]; /* a path is written from 4096 downwards; above is slack */
	struct name_key name;
	u32 offset; /* here, where the verifier does not follow its value through the walk */
	u32 truncated;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct path_buffer);
} path_buffers SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct call);
} calls SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} sequence SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KINDS);
	__type(key, u32);
	__type(value, u32);
} wanted SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct loss_key);
	__type(value, u64);
} losses SEC(".maps") __weak;

/* Losses that found no room above, by cause; and records sent, by kind. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KINDS);
	__type(key, u32);
	__type(value, u64);
} sent SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct bucket_key);
	__type(value, struct bucket);
} buckets SEC(".maps") __weak;

/* Tests of paths and names, swapped as a whole when policies change. */
struct path_tests {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(key_size, sizeof(struct path_key)); /* sizes, for the linker of libbpf 1.1 does not follow types of inner maps */
	__uint(value_size, sizeof(struct kind_set));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, u32);
	__array(values, struct path_tests);
} path_filter SEC(".maps") __weak;

struct name_tests {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(key_size, sizeof(struct name_key));
	__uint(value_size, sizeof(struct kind_set));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, u32);
	__array(values, struct name_tests);
} name_filter SEC(".maps") __weak;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct settings);
} settings SEC(".maps") __weak;

/* Ends (enum call_end) of a call that handlers ask for, by its number; without one the call costs no more than this look. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SYSCALLS);
	__type(key, u32);
	__type(value, u32);
} told_ends SEC(".maps") __weak;

/* Prints (print.bpf.h) of what was looked at a moment ago and is not to be told: place by print. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PRINTS);
	__type(key, u32);
	__type(value, u64);
} prints SEC(".maps") __weak;

struct port_tests {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(key_size, sizeof(u32)); /* kind << 16 | port */
	__uint(value_size, sizeof(u32));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, u32);
	__array(values, struct port_tests);
} port_filter SEC(".maps") __weak;

/* Cgroups that the agent knows: enum cgroup_scope. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, u64);
	__type(value, u32);
} cgroup_scopes SEC(".maps") __weak;

/* Processes whose acts are not told: the sensor itself. Key: process id. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, u32);
	__type(value, u32);
} quiet_processes SEC(".maps") __weak;

/* Handlers of system calls by number, called by dispatch.bpf.h; a call's second handler stands SYSCALLS further, and so on. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, SYSCALLS *CALL_HANDLERS);
	__type(key, u32);
	__type(value, u32);
} handlers SEC(".maps") __weak;

/* 32-bit call number → 64-bit one. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SYSCALLS);
	__type(key, u32);
	__type(value, s32);
} compat_numbers SEC(".maps") __weak;
