/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * Records of mounts.
 */
#pragma once

#include "records.h"

enum mount_state {
	MOUNT_FOUND = 1 << 0, /* the kernel's own mount was found: what is marked so below holds */
	MOUNT_BOUND = 1 << 1, /* it shows a file system that is mounted elsewhere */
};

struct mount_record {
	struct record record;
	__u64 flags;      /* of the call */
	__u64 attributes; /* MOUNT_ATTR_* that were set */
	__u64 cleared;
	__u64 propagation;
	__u32 device;           /* found */
	__u32 system_flags;     /* found: SB_* */
	__u32 mount_flags;      /* found: MNT_* */
	__u32 namespace;        /* mount namespace of the caller */
	__u32 state;            /* enum mount_state */
	__u32 command;          /* of fsconfig */
	struct text filesystem; /* found, or of the file system context */
	struct text place;      /* found: where it is mounted, seen from the process's root */
	struct text target;     /* as the caller gave it, and so all that follow */
	struct text target_directory;
	struct text source;
	struct text source_directory;
	struct text type;
	struct text key; /* of fsconfig */
	struct text options;
	__u32 padding;
};
