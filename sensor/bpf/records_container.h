/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * What is told of cgroups; watchkeeper_sensor/decoding/container.py mirrors it.
 */
#pragma once

#include "records.h"

struct cgroup_record {
	struct record record; /* of who did it */
	__u64 key;            /* of the cgroup, see task.bpf.h */
	__u64 start;          /* of the process that was moved; 0 where none was */
	__u32 process;
	struct text path; /* from the root of its hierarchy; cut after 1,023 bytes */
};
