/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * Repeats: an act that a thread did within the last second already, under circumstances that are the same in all that an event says. It is counted
 * and not told; the next one that is told says how many there were. Only of kinds of which no rule has to see each.
 */
#pragma once

#define REPEAT_TICKS 256 /* a second, or the quarter of one at 1,000 ticks */

struct repeat {
	u64 print;
	u64 since; /* ticks: when it was told */
	u64 count; /* since then */
};

/* Place by print: another act there ends what is known of this one, and it is told again. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4096);
	__type(key, u32);
	__type(value, struct repeat);
} repeats SEC(".maps") __weak;

/* All that were not told, by kind. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KINDS);
	__type(key, u32);
	__type(value, u64);
} repeated SEC(".maps") __weak;

static __always_inline struct repeat *repeat_of(u64 print)
{
	u32 place = print >> 40 & 4095;
	return bpf_map_lookup_elem(&repeats, &place);
}

/* Mix in who acts: all that a later event of the same thread could say otherwise. */
static __always_inline u64 repeat_actor(u64 print, struct task_struct *task)
{
	u32 zero = 0;
	struct settings *now = bpf_map_lookup_elem(&settings, &zero);
	struct task_struct *leader = (void *)READ_WORD(struct task_struct, task, group_leader);
	print = print_with(print, now ? now->generation : 0);
	print = print_with(print, READ_HALF(struct task_struct, task, pid));
	print = print_with(print, READ_WORD(struct task_struct, leader, start_boottime));
	print = print_with(print, READ_WORD(struct task_struct, task, mm)); /* another after each exec */
	print = print_with(print, READ_WORD(struct task_struct, task, cred));
	print = print_with(print, READ_WORD(struct task_struct, task, nsproxy));
	print = print_with(print, READ_WORD(struct task_struct, task, cgroups));
	print = print_with(print, READ_WORD(struct task_struct, task, real_parent));
	print = print_with(print, READ_WORD(struct task_struct, task, atomic_flags));
	if (bpf_core_field_exists(task->seccomp))
		print = print_with(print, READ_HALF(struct task_struct, task, seccomp.mode));
	print = print_with(print, READ_WORD(struct task_struct, task, comm));
	return print_with(print, read_word((void *)task + bpf_core_field_offset(struct task_struct, comm) + 8));
}

/* Whether the act was told a moment ago; then it counts. */
static __always_inline bool repeat_counts(u32 kind, u64 print)
{
	struct repeat *known = repeat_of(print);
	u64 *all = bpf_map_lookup_elem(&repeated, &kind);
	if (!known || !all || !print || known->print != print || bpf_jiffies64() - known->since > REPEAT_TICKS)
		return false;
	__sync_fetch_and_add(&known->count, 1);
	++*all;
	return true;
}

/* The act was told; returns how often it came untold since the last time. */
static __always_inline u32 repeat_begins(u64 print)
{
	struct repeat *known = repeat_of(print);
	if (!known || !print)
		return 0;
	u32 count = known->print == print ? known->count : 0;
	known->print = print;
	known->since = bpf_jiffies64();
	known->count = 0;
	return count;
}

/* It was to be told and was lost: the next one is no repeat. */
static __always_inline void repeat_ends(u64 print)
{
	struct repeat *known = repeat_of(print);
	if (known && known->print == print)
		known->since = 0;
}
