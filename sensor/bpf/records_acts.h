/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * Records of what processes do to others and to themselves: ptrace, memory, signals, names, credentials, namespaces, roots.
 */
#pragma once

#include "records.h"
#include "records_memory.h"

struct ptrace_record {
	struct record record;
	struct other_process target;
	__u32 request;
	__u32 padding;
};

enum memory_access_method {
	ACCESS_PROCESS_VM = 1,
	ACCESS_PROC_MEM = 2,
};

struct memory_access_record {
	struct record record;
	struct other_process target;
	__u64 bytes;
	__u32 method; /* enum memory_access_method */
	__u32 padding;
};

struct signal_record {
	struct record record;
	struct other_process target;
	__u32 number;
	__u32 padding;
};

struct prctl_record {
	struct record record;
	__u32 option;
	__u32 boundary;   /* which one PR_SET_MM moves */
	struct text name; /* the kernel's copy */
};

struct personality_record {
	struct record record;
	__u32 value;
	__u32 padding;
};

struct credentials_record {
	struct record record;
	struct credentials before; /* all zero unless known */
	struct credentials after;
	__u32 user_namespace_before;
	__u32 user_namespace;
	__u32 known; /* what the thread held before */
	__u32 padding;
};

struct namespaces_record {
	struct record record;
	struct namespaces after;
	struct other_process target; /* of a pidfd */
	__u64 flags;                 /* CLONE_NEW* as the caller asked */
	__u32 entered;               /* namespace behind the descriptor, 0: none */
	__u32 process_of_children;   /* pid namespace that children will live in */
	struct text type;            /* of the namespace behind the descriptor, the kernel's word */
};

struct root_record {
	struct record record;
	struct text path; /* the kernel's own, from the root of the mount namespace */
	struct text claimed;
	struct text directory; /* where `claimed` starts when it is relative */
	struct text old_root;  /* of pivot_root, as the caller gave it */
	struct text old_root_directory;
	__u32 padding;
};
