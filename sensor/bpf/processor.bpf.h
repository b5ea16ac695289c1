/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * Nobody else's program on this processor while ours runs.
 *
 * A record is put together in memory of its processor. Kernels up to 6.x run a tracepoint's programs without preemption. Later ones guard tracepoints
 * by SRCU instead, so that another task's program could write into that memory; and one that is still running here is not run again: the kernel
 * skips it and counts that (agent: cause `preempted`). There, preemption is held off (bpf_preempt_disable: 6.11), but for the moments before the
 * first instruction and between two programs of a chain: tail calls are not allowed meanwhile. Cost: 4 ns there, nothing elsewhere.
 */
#pragma once

/* Under a name for each file, which the Makefile takes off again: libbpf 1.1 can't link two files that use one function of the kernel. */
#define PROCESSOR_NAMED(name, unit) name##_in_##unit
#define PROCESSOR_OF(name, unit)    PROCESSOR_NAMED(name, unit)
#define bpf_preempt_disable         PROCESSOR_OF(bpf_preempt_disable, UNIT)
#define bpf_preempt_enable          PROCESSOR_OF(bpf_preempt_enable, UNIT)

extern void bpf_preempt_disable(void) __ksym __weak;
extern void bpf_preempt_enable(void) __ksym __weak;

/* Says by its presence that tracepoints are guarded so. */
typedef struct {
} class_srcu_fast_notrace_t;

#define PROCESSOR_IS_SHARED bpf_core_type_exists(class_srcu_fast_notrace_t)

static __always_inline void processor_hold(void)
{
	if (PROCESSOR_IS_SHARED && bpf_preempt_disable)
		bpf_preempt_disable();
}

static __always_inline void processor_release(void)
{
	if (PROCESSOR_IS_SHARED && bpf_preempt_enable)
		bpf_preempt_enable();
}

/* A tracepoint's program, its arguments by name: libbpf's macro, and preemption held off. */
#undef BPF_PROG
#define BPF_PROG(name, args...)                                                                                                                      \
	name(unsigned long long *ctx);                                                                                                               \
	static __always_inline int name##_run(unsigned long long *ctx, ##args);                                                                      \
	int name(unsigned long long *ctx)                                                                                                            \
	{                                                                                                                                            \
		processor_hold();                                                                                                                    \
		_Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wint-conversion\"") int result =                                   \
			name##_run(___bpf_ctx_cast(args));                                                                                           \
		_Pragma("GCC diagnostic pop") processor_release();                                                                                   \
		return result;                                                                                                                       \
	}                                                                                                                                            \
	static __always_inline int name##_run(unsigned long long *ctx, ##args)
