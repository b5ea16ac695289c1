/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * Records of files: opened and written (`file_record`), renamed, made, removed and changed (`file_change_record`).
 */
#pragma once

#include "records.h"

/* A file, by what the kernel knows of it and by what the caller called it. */
struct file_place {
	struct file_identity identity; /* known where a descriptor led to the file */
	__u32 device_number;           /* of a block or character node, as the kernel writes it */
	__u32 of_process;              /* process that a file under /proc belongs to, 0: none */
	struct text path;              /* the kernel's own */
	struct text claimed;           /* the caller's */
	struct text directory;         /* where `claimed` starts when it is relative */
	__u32 padding;
};

enum file_access {
	FILE_FOR_READ = 1 << 0,
	FILE_FOR_WRITE = 1 << 1,
	FILE_CREATED = 1 << 2,
	FILE_PATH_ONLY = 1 << 3,
};

enum file_written_by {
	WRITTEN_BY_WRITE = 1,
	WRITTEN_BY_MMAP = 2,
	WRITTEN_BY_SENDFILE = 3,
	WRITTEN_BY_COPY = 4,
	WRITTEN_BY_SPLICE = 5,
	WRITTEN_BY_CLONE = 6,
};

#define FILE_HEAD_BYTES 16

struct file_record {
	struct record record;
	struct file_place file;
	__u64 open_flags;
	__u32 access; /* enum file_access */
	__u32 written_by;
	struct text head; /* first bytes that were written */
	__u32 repeats;    /* alike opens of the thread since this was last told, which were counted and not told */
};

enum file_time {
	TIME_NONE = 0, /* left as it is */
	TIME_NOW = 1,
	TIME_GIVEN = 2,
};

struct file_change_record {
	struct record record;
	struct file_place file;
	__u64 flags; /* of renameat2 or the inode's */
	__u64 size;  /* that it was cut to */
	__s64 modified_seconds;
	__u32 modified_nanoseconds;
	__u32 modified; /* enum file_time */
	__u32 mode;
	__u32 device_number; /* given to mknod, as the caller writes it */
	__u32 uid;           /* 2^32-1: left as it is */
	__u32 gid;
	struct text new_claimed;
	struct text new_directory;
	struct text name; /* of the extended attribute, or what a symbolic link points at */
	__u32 padding;
};
