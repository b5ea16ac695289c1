/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * The wire between the kernel and the agent: what a record holds, byte by byte.
 *
 * Every record begins with `struct record`. Texts follow the fixed part; a `struct text` says where. Explicit padding, no packed
 * structs; watchkeeper_sensor/kernel/records.py mirrors this file and a test compares it with the object's BTF.
 * Whatever changes here changes RECORD_VERSION.
 */
#pragma once

#define RECORD_VERSION 2
#define RECORD_BYTES   16384 /* longest record */

/* Kinds are named as the vocabulary names events: `process.exec` is PROCESS_EXEC. */
enum record_kind {
	PROCESS_EXEC = 1,
	PROCESS_EXEC_FAILED = 2,
	PROCESS_FORK = 3,
	PROCESS_EXIT = 4,
	PROCESS_PTRACE = 5,
	PROCESS_MEMORY_READ = 6,
	PROCESS_MEMORY_WRITE = 7,
	PROCESS_SIGNAL = 8,
	PROCESS_PRCTL = 9,
	PROCESS_PERSONALITY = 10,
	PROCESS_COMPAT_CALL = 11,
	CREDENTIALS_CHANGE = 20,
	CREDENTIALS_CAPABILITIES = 21,
	CREDENTIALS_UNEXPLAINED = 22,
	FILE_OPEN = 30,
	FILE_OPEN_BY_HANDLE = 31,
	FILE_CREATE = 32,
	FILE_WRITE = 33,
	FILE_RENAME = 34,
	FILE_LINK = 35,
	FILE_SYMLINK = 36,
	FILE_UNLINK = 37,
	FILE_MKDIR = 38,
	FILE_RMDIR = 39,
	FILE_MKNOD = 40,
	FILE_CHMOD = 41,
	FILE_CHOWN = 42,
	FILE_SETXATTR = 43,
	FILE_UTIME = 44,
	FILE_TRUNCATE = 45,
	FILE_SETFLAGS = 46,
	MEMORY_MAP = 60,
	MEMORY_PROTECT = 61,
	MEMFD_CREATE = 62,
	DESCRIPTOR_DUPLICATE = 63,
	DESCRIPTOR_RECEIVE = 64,
	DESCRIPTOR_TAKE = 65,
	DESCRIPTOR_SPLICE = 66,
	NETWORK_CONNECT = 80,
	NETWORK_ACCEPT = 81,
	NETWORK_LISTEN = 82,
	NETWORK_CLOSE = 83,
	NETWORK_SEND = 84,
	NETWORK_SOCKET = 85,
	DNS_QUESTION = 86,
	DNS_ANSWER = 87,
	ISOLATION_SETNS = 100,
	ISOLATION_UNSHARE = 101,
	ISOLATION_CHROOT = 102,
	MOUNT_MOUNT = 103,
	MOUNT_UNMOUNT = 104,
	MOUNT_MOVE = 105,
	MOUNT_CLONE = 106,
	MOUNT_CHANGE = 107,
	MOUNT_PREPARE = 108,
	MODULE_LOAD = 120,
	MODULE_UNLOAD = 121,
	KEXEC_LOAD = 122,
	BPF_LOAD = 123,
	BPF_ATTACH = 124,
	PERF_OPEN = 125,
	KEYRING_CALL = 126,
	USERFAULTFD_CREATE = 127,
	IO_URING_CREATE = 128,
	IO_URING_OPERATION = 129,
	CLOCK_SET = 130,
	TTY_INJECT = 131,
	SENSOR_TAMPERED = 140,
	SENSOR_ENFORCED = 141,
	SENSOR_NOT_ENFORCED = 142,
	CGROUP_MKDIR = 150, /* these three are no events: they tell the agent which cgroup is whose */
	CGROUP_ATTACH = 151,
	CGROUP_RMDIR = 152,
	KINDS = 192, /* kinds are below this */
};

enum record_flag {
	RECORD_COMPAT = 1 << 0,   /* called the 32-bit way */
	RECORD_IO_URING = 1 << 1, /* done through an io_uring */
	RECORD_KILLED = 1 << 2,   /* the process was killed at the hook */
};

/* Where a text stands in the record: offset from its start, length in bytes without a NUL; length 0 is absent. */
struct text {
	__u16 offset;
	__u16 length;
};

struct record {
	__u16 kind;
	__u16 flags;
	__u32 size;    /* of the whole record */
	__u64 id;      /* processor in the upper 16 bits, below its own count, which begins at the microseconds since boot: unique within a boot */
	__u64 time;    /* nanoseconds since boot, suspend included */
	__u64 cgroup;  /* container key, see task.bpf.h */
	__u64 start;   /* when the process started, nanoseconds since boot */
	__u32 process; /* process id (tgid) as the node knows it: in the initial pid namespace where the node has a kernel of its own */
	__u32 thread;
	__s32 syscall; /* number as 64-bit callers use it, -1 where no call was needed */
	__s32 result;  /* what the call returned */
	__u32 uid;     /* real user id in the initial user namespace */
	__u32 padding;
};

enum file_flag {
	FILE_UPPER = 1 << 0, /* in the upper layer of an overlay */
	FILE_MEMFD = 1 << 1,
	FILE_UNLINKED = 1 << 2, /* no name left */
	FILE_OVERLAY = 1 << 3,
	FILE_PATH_TRUNCATED = 1 << 4,
	FILE_KNOWN = 1 << 5,        /* the file was reached: the fields hold */
	FILE_PATH_USER = 1 << 6,    /* the path is the caller's text */
	FILE_PATH_CHANGED = 1 << 7, /* the caller's text changed while the call ran */
};

/* A file by identity. */
struct file_identity {
	__u64 inode;
	__u64 size;
	__u64 changed_at; /* ctime, nanoseconds since the epoch */
	__u64 magic;      /* of the file system */
	__u32 device;     /* kernel's dev_t: major << 20 | minor */
	__u32 links;
	__u32 mode;
	__u32 owner_uid;
	__u32 owner_gid;
	__u32 flags; /* enum file_flag */
};

struct capabilities {
	__u64 effective;
	__u64 permitted;
	__u64 inheritable;
	__u64 ambient;
	__u64 bounding;
};

struct credentials {
	__u32 uid;
	__u32 euid;
	__u32 suid;
	__u32 fsuid;
	__u32 gid;
	__u32 egid;
	__u32 sgid;
	__u32 securebits;
	struct capabilities capabilities;
};

struct namespaces {
	__u32 mount;
	__u32 process;
	__u32 network;
	__u32 user;
	__u32 uts;
	__u32 ipc;
	__u32 cgroup;
	__u32 time;
};

enum descriptor_type {
	DESCRIPTOR_CLOSED = 0,
	DESCRIPTOR_TTY = 1,
	DESCRIPTOR_PIPE = 2,
	DESCRIPTOR_SOCKET = 3, /* network */
	DESCRIPTOR_FILE = 4,
	DESCRIPTOR_NULL = 5,
	DESCRIPTOR_OTHER = 6,
	DESCRIPTOR_UNIX_SOCKET = 7,
};

/* Ends of a connection: addresses in network order, an IPv4 one in the first four bytes; ports in host order. */
struct endpoints {
	__u8 local[16];
	__u8 remote[16];
	__u16 local_port;
	__u16 remote_port;
	__u16 family;   /* AF_* */
	__u16 type;     /* SOCK_* */
	__u16 protocol; /* IPPROTO_* */
	__u16 padding[3];
};

struct descriptor {
	__u32 type; /* enum descriptor_type */
	__u16 family;
	__u16 remote_port;
	__u8 remote[16];
};

struct exec_record {
	struct record record;
	__u64 parent_start;
	__u32 parent;
	__u32 container_process; /* id in the process's own pid namespace */
	__u32 session;
	__u32 login_uid;      /* 2^32-1: none */
	__u32 arguments;      /* how many there are (argc) */
	__u32 variables;      /* envc */
	__u32 argument_bytes; /* all of them, also when the text is cut */
	__u32 seccomp;
	__u32 no_new_privileges;
	__u32 by_descriptor; /* run from a descriptor */
	struct credentials credentials;
	struct namespaces namespaces;
	struct file_identity exe;
	struct descriptor stdio[3];
	struct text exe_path;
	struct text directory; /* current directory */
	struct text path;      /* as the caller gave it */
	struct text interpreter;
	struct text argument_text; /* NUL after each */
	struct text environment;
	struct text name; /* comm */
	struct text tty;
};

struct fork_record {
	struct record record; /* of the parent */
	__u64 child_start;
	__u64 clone_flags;
	__u64 child_cgroup;
	__u32 child;
	__u32 child_in_namespace; /* its id in its own pid namespace */
	struct namespaces namespaces;
};

struct exit_record {
	struct record record;
	__u32 code; /* as wait(2) gives it */
	__u32 padding;
};

struct exec_failed_record {
	struct record record;
	struct text path;
	__u32 by_descriptor;
};

enum loss_cause {
	LOST_RING_FULL = 0,
	LOST_RATE = 1,
	LOST_SCRATCH = 2, /* no scratch memory: never seen */
	LOST_UNREADABLE = 3,
};

struct loss_key {
	__u64 cgroup;
	__u32 kind;
	__u32 cause;
};
