/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * What policies that kill are made of in the kernel, and what enforcement tells.
 */
#pragma once

#include "records.h"

#define KILL_TESTS   128
#define KILL_NUMBERS 32 /* fields of an exec that are numbers */

enum kill_op {
	KILL_NONE = 0,   /* here the tests end */
	KILL_NUMBER = 1, /* the field's number is among the test's */
	KILL_TEXT = 2,   /* the program's path is, or begins with, one of the test's */
};

/* One test of an alternative; the alternative's tests follow each other, and when all of them hold its rule holds. */
struct kill_test {
	__u32 rule;
	__u32 id;    /* of the test's values in kill_numbers or kill_texts; never used again */
	__u16 field; /* index into the facts */
	__u8 op;     /* enum kill_op */
	__u8 denied; /* the test must fail */
	__u8 last;   /* of its alternative */
	__u8 padding[3];
};

/* What the kernel decided for a rule. */
struct enforced_record {
	struct record record;
	__u32 rule;
	__u32 killed; /* 0: it would have been, but for what `gap` says */
	__u32 gap;    /* enum kill_gap */
	struct text exe_path;
};

enum kill_gap {
	GAP_NONE = 0,
	GAP_UNKNOWN_CGROUP = 1,
	GAP_PROTECTED = 2, /* the first process, the sensor, the kubelet, a container runtime */
	GAP_PATH = 3,      /* the path was too long to be read whole */
	GAP_REFUSED = 4,   /* the kernel did not send the signal */
};

/* Numbers of struct facts; enforcement.py names the same. */
enum kill_field {
	FIELD_EXE_UPPER_LAYER = 0,
	FIELD_EXE_MEMFD = 1,
	FIELD_EXE_UNLINKED = 2,
	FIELD_EXE_SETUID = 3,
	FIELD_EXE_SETGID = 4,
	FIELD_EXE_OWNER_UID = 5,
	FIELD_EXE_INODE = 6,
	FIELD_UID = 7,
	FIELD_EUID = 8,
	FIELD_SUID = 9,
	FIELD_FSUID = 10,
	FIELD_GID = 11,
	FIELD_EGID = 12,
	FIELD_SGID = 13,
	FIELD_ARGS_COUNT = 14,
	FIELD_CONTAINER_PROCESS_ID = 15,
	FIELD_NO_NEW_PRIVILEGES = 16,
	FIELD_EMPTY_ARGS = 17,
	FIELD_DRIFT = 18, /* in containers only */
	FIELD_STDIN = 19, /* enum descriptor_type */
	FIELD_STDOUT = 20,
	FIELD_STDERR = 21,
};
