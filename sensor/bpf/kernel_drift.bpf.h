/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * Fields that moved or were renamed between 5.10 and 7.3; each getter names the change.
 */
#pragma once

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct inode___named_times { /* 6.6, 13bc24457850: i_ctime became __i_ctime */
	struct timespec64 __i_ctime;
};

struct inode___split_times { /* 6.11, 3aa63a569c64: seconds and nanoseconds apart */
	s64 i_ctime_sec;
	u32 i_ctime_nsec;
};

struct task_struct___no_thread_info_status {
	int pid;
};

typedef struct {
	u64 val;
} kernel_cap_t___u64; /* 6.3, f122a08b197d: one 64-bit number */

struct percpu_counter_live {
	int counter;
};

#pragma clang attribute pop

#define CTIME_NANOSECONDS 0x7fffffff /* 6.13 marks in the top bit that somebody asked for the time (I_CTIME_QUERIED) */

static __always_inline u64 drift_ctime(struct inode *inode)
{
	struct inode___split_times *split = (void *)inode;
	struct inode___named_times *named = (void *)inode;
	if (bpf_core_field_exists(split->i_ctime_sec))
		return READ_WORD(struct inode___split_times, split, i_ctime_sec) * 1000000000ULL +
		       (READ_HALF(struct inode___split_times, split, i_ctime_nsec) & CTIME_NANOSECONDS);
	if (bpf_core_field_exists(named->__i_ctime))
		return BPF_CORE_READ(named, __i_ctime.tv_sec) * 1000000000ULL + BPF_CORE_READ(named, __i_ctime.tv_nsec);
	return BPF_CORE_READ(inode, i_ctime.tv_sec) * 1000000000ULL + BPF_CORE_READ(inode, i_ctime.tv_nsec);
}

/* A set of capabilities: two halves, or one number since 6.3; the bytes are the same on little-endian machines. */
static __always_inline u64 drift_capabilities(const void *set)
{
	u64 value = 0;
	bpf_probe_read_kernel(&value, sizeof(value), set);
	return value;
}
