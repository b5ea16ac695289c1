/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * Putting a record together and sending it. Use:
 *
 *	struct exec_record *made = record_begin(PROCESS_EXEC, sizeof(*made));
 *	if (!made)
 *		return 0;
 *	record_text(&made->record, &made->path, kernel_text, BOUND);
 *	return record_send(&made->record, &lifecycle);
 *
 * The record lies in scratch memory of its processor; a program that may interrupt another one uses record_begin_in(1, …).
 * Nothing is lost in silence: what does not fit the ring or a bucket is counted by kind, cause and cgroup.
 */
#pragma once

#include "maps.bpf.h"
#include "task.bpf.h"

const volatile u64 rate_per_second __weak = 20000; /* records of one kind and cgroup that are sent without regard to others */
const volatile u64 burst __weak = 40000;
const volatile u64 wakeup_bytes __weak = 1; /* how much must wait in a ring before the agent is woken */

static __always_inline int lost(u32 kind, u32 cause, u64 cgroup)
{
	struct loss_key key = {.cgroup = cgroup, .kind = kind, .cause = cause};
	u64 *count = bpf_map_lookup_elem(&losses, &key), one = 1;
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&losses, &key, &one, BPF_ANY);
	return 0;
}

static __always_inline u32 record_is_wanted(u32 kind)
{
	u32 *flags = bpf_map_lookup_elem(&wanted, &kind);
	return flags ? *flags : 0;
}

static __always_inline u32 record_scope(u64 cgroup)
{
	u32 *known = bpf_map_lookup_elem(&cgroup_scopes, &cgroup);
	return known ? *known : cgroup ? 0 : SCOPE_HOST;
}

/* Whether a kind that is wanted is wanted where this happened; everywhere while nobody has said whose the cgroup is. */
static __always_inline bool record_is_wanted_there(u32 kind, u64 cgroup)
{
	u32 where = record_is_wanted(kind) & (WANTED_ON_HOST | WANTED_IN_CONTAINERS);
	if (!where || where == (WANTED_ON_HOST | WANTED_IN_CONTAINERS))
		return true;
	u32 scope = record_scope(cgroup);
	return !scope || where & (scope == SCOPE_HOST ? WANTED_ON_HOST : WANTED_IN_CONTAINERS);
}

static __always_inline bool record_of_quiet_process(void)
{
	u32 process = node_current_process();
	return bpf_map_lookup_elem(&quiet_processes, &process) != 0;
}

/* A bucket's share: a twentieth while half of the ring waits for the agent, so that there is room for those who told little. */
static __always_inline u64 record_share(u64 whole)
{
	bool is_behind = bpf_ringbuf_query(&activity, BPF_RB_AVAIL_DATA) * 2 > bpf_ringbuf_query(&activity, BPF_RB_RING_SIZE);
	return is_behind ? whole / 20 : whole;
}

/* Asked for when a bucket is filled, once a millisecond at most. */
static __always_inline u64 record_rate(bool at_once)
{
	u32 zero = 0;
	struct settings *told = bpf_map_lookup_elem(&settings, &zero);
	if (told && told->rate)
		return at_once ? told->burst : told->rate;
	return at_once ? burst : rate_per_second;
}

/* Whether the bucket of this kind and cgroup has a token left. */
static __always_inline bool record_within_rate(u32 kind, u64 cgroup, u64 now)
{
	struct bucket_key key = {.cgroup = cgroup, .kind = kind};
	struct bucket *bucket = bpf_map_lookup_elem(&buckets, &key);
	if (!bucket) {
		struct bucket full = {.updated = now, .tokens = record_rate(true) * 1000};
		bpf_map_update_elem(&buckets, &key, &full, BPF_ANY);
		return true;
	}
	u64 passed = now - bucket->updated;
	if (passed > 1000000) { /* a millisecond: updated seldom, so that processors do not fight for it */
		u64 most = record_share(record_rate(true) * 1000), filled = passed / 1000 * record_share(record_rate(false)) / 1000;
		s64 tokens = bucket->tokens + (s64)(filled > most ? most : filled);
		bucket->updated = now;
		bucket->tokens = tokens > (s64)most ? (s64)most : tokens;
	}
	if (bucket->tokens < 1000)
		return false;
	__sync_fetch_and_add(&bucket->tokens, -1000);
	return true;
}

/* Whose act it is. The current task is asked for once, as each call of a helper costs 20 ns. */
static __always_inline void record_of_current(struct record *record)
{
	if (node_pid_namespace) {
		struct task_struct *task = (void *)bpf_get_current_task();
		record->process = node_process(task);
		record->thread = node_thread(task);
		record->start = task_start(task);
		record->cgroup = task_container_key(task);
		record->uid = BPF_CORE_READ(task, cred, uid.val);
		return;
	}
	if (TASK_IS_TYPED) {
		struct task_struct *task = (void *)bpf_get_current_task_btf();
		record->process = task->tgid;
		record->thread = task->pid;
		record->start = task->group_leader->start_boottime;
		record->cgroup = task_typed_container_key(task);
		record->uid = task->cred->uid.val;
		return;
	}
	u64 ids = bpf_get_current_pid_tgid();
	record->process = ids >> 32;
	record->thread = (u32)ids;
	record->start = task_current_start();
	record->cgroup = task_current_container_key();
	record->uid = task_current_uid();
}

/* A record of `size` bytes of which the fixed part is zeroed, its header filled for the current task; 0 for a task of another node. */
static __always_inline void *record_begin_in(u32 place, u32 kind, u32 size)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &place);
	if (!scratch) {
		lost(kind, LOST_SCRATCH, 0);
		return 0;
	}
	__builtin_memset(scratch->bytes, 0, size);
	struct record *record = (void *)scratch->bytes;
	u32 zero = 0;
	u64 *count = bpf_map_lookup_elem(&sequence, &zero);
	record->kind = kind;
	record->size = size;
	record->time = bpf_ktime_get_boot_ns();
	record_of_current(record);
	if (node_is_another(record->process))
		return 0;
	record->syscall = -1;
	if (count)
		record->id = (u64)bpf_get_smp_processor_id() << 48 | ++*count;
	return record;
}

static __always_inline void *record_begin(u32 kind, u32 size)
{
	return record_begin_in(0, kind, size);
}

/* The same for a system call's handler. */
static __always_inline void *record_begin_call(u32 kind, u32 size, const struct call *call)
{
	struct record *record = record_begin_in(0, kind, size);
	if (record) {
		record->syscall = call->number;
		record->result = call->result;
		record->flags = call->compat ? RECORD_COMPAT : 0;
	}
	return record;
}

/* Where the next text of at most `most` bytes goes; 0 when there is no room. */
static __always_inline u8 *record_room(struct record *record, u32 most)
{
	u32 at = record->size;
	if (at > RECORD_BYTES - most)
		return 0;
	return (u8 *)record + (at & (RECORD_BYTES - 1));
}

static __always_inline void record_took(struct record *record, struct text *text, u32 length)
{
	text->offset = record->size;
	text->length = length;
	record->size += length;
}

/* Append a text of the kernel, ended by NUL, of at most `most` bytes (a power of two). */
static __always_inline void record_text(struct record *record, struct text *text, const void *from, const u32 most)
{
	u8 *room = record_room(record, most);
	if (!room || !from)
		return;
	long read = bpf_probe_read_kernel_str(room, most, from);
	if (read > 1)
		record_took(record, text, (read - 1) & (most - 1));
}

/* The same from the caller's memory. Returns the length, negative when it can't be read. */
static __always_inline long record_user_text(struct record *record, struct text *text, const void *from, const u32 most)
{
	u8 *room = record_room(record, most);
	if (!room)
		return -1;
	long read = bpf_probe_read_user_str(room, most, from);
	if (read > 1)
		record_took(record, text, (read - 1) & (most - 1));
	return read;
}

/* `length` bytes of the caller's memory, at most `most` (a power of two). */
static __always_inline void record_user_bytes(struct record *record, struct text *text, const void *from, u64 length, const u32 most)
{
	u8 *room = record_room(record, most);
	if (length >= most)
		length = most - 1;
	length &= most - 1;
	if (!room || !length)
		return;
	if (bpf_probe_read_user(room, length, from) == 0)
		record_took(record, text, length);
}

/* Send through a ring; `limited` records wait for their bucket. Returns whether the agent gets it, which it does not need where nobody asks for it. */
static __always_inline bool record_deliver(struct record *record, void *ring, bool limited)
{
	u32 kind = record->kind;
	if (!record_is_wanted_there(kind, record->cgroup))
		return false;
	if (limited && !record_within_rate(kind, record->cgroup, record->time)) {
		lost(kind, LOST_RATE, record->cgroup);
		return false;
	}
	u64 size = record->size;
	if (size > RECORD_BYTES)
		size = RECORD_BYTES;
	u64 flags = BPF_RB_NO_WAKEUP;
	if (wakeup_bytes <= 1 || bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) + size >= wakeup_bytes)
		flags = 0; /* wakes the agent when it has read everything before */
	if (bpf_ringbuf_output(ring, record, size, flags)) {
		lost(kind, LOST_RING_FULL, record->cgroup);
		return false;
	}
	u64 *count = bpf_map_lookup_elem(&sent, &kind);
	if (count)
		++*count;
	return true;
}

/* Returns 0, as programs do. */
static __always_inline int record_send_to(struct record *record, void *ring, bool limited)
{
	record_deliver(record, ring, limited);
	return 0;
}

static __always_inline int record_send(struct record *record)
{
	return record_send_to(record, &activity, true);
}

static __always_inline int record_send_lifecycle(struct record *record)
{
	return record_send_to(record, &lifecycle, false);
}
