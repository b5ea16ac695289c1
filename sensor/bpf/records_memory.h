/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * Records of executable memory, files in memory, and descriptors that change hands.
 */
#pragma once

#include "records.h"

enum memory_flag {
	MEMORY_WRITABLE = 1 << 0,
	MEMORY_EXECUTABLE = 1 << 1,
	MEMORY_WRITTEN = 1 << 2, /* private memory that has been written to */
	MEMORY_ANONYMOUS = 1 << 3,
	MEMORY_HUGE_PAGES = 1 << 4,
	MEMORY_SHARED = 1 << 5,
	MEMORY_AREA_KNOWN = 1 << 6, /* the flags are the kernel's, not the caller's wish */
};

enum memory_area {
	AREA_MAPPING = 0,
	AREA_HEAP = 1,
	AREA_STACK = 2,
};

struct memory_record {
	struct record record;
	__u64 address;
	__u64 size;
	__u32 flags; /* enum memory_flag */
	__u32 area;  /* enum memory_area */
	struct file_identity file;
	struct text path;
	__u32 tells; /* of use in the kernel alone */
};

struct memfd_record {
	struct record record;
	__u32 flags; /* of the call */
	__u32 mode;
	__u32 huge_pages;
	struct text name; /* with the kernel's prefix */
};

/* What is behind a descriptor. */
struct open_file {
	struct file_identity identity;
	struct endpoints ends;
	__u32 type;   /* enum descriptor_type */
	__u32 access; /* f_mode */
	struct text path;
	struct text unix_path;
	struct text unix_abstract;
	__u32 padding;
};

/* A process that another one acted upon. */
struct other_process {
	__u64 start;
	__u64 cgroup;
	__u64 exe_inode;
	__u32 process; /* 0: none */
	__u32 parent;
	__u32 uid;
	struct text exe;
	struct text name;
	__u32 padding;
};

struct descriptor_record {
	struct record record;
	struct open_file file;
	struct other_process other; /* whom it was taken from, or who is at the socket's other end */
	__s32 number;
	__s32 from_number;
	__u32 count;
	__u32 read_only;
};
