/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * Loops that the verifier follows until nothing new comes of another turn (open-coded iterators: 6.4, 6018e1f407cc), where it would else take
 * each turn and each way through it for itself: the walk up a path costs it 6,000 instructions so, 350,000 without. 2 ns a turn.
 */
#pragma once

#define bpf_iter_num_new     PROCESSOR_OF(bpf_iter_num_new, UNIT)
#define bpf_iter_num_next    PROCESSOR_OF(bpf_iter_num_next, UNIT)
#define bpf_iter_num_destroy PROCESSOR_OF(bpf_iter_num_destroy, UNIT)

struct bpf_iter_num {
	u64 opaque;
};

extern int bpf_iter_num_new(struct bpf_iter_num *turns, int first, int end) __ksym __weak;
extern int *bpf_iter_num_next(struct bpf_iter_num *turns) __ksym __weak;
extern void bpf_iter_num_destroy(struct bpf_iter_num *turns) __ksym __weak;

#define CAN_TAKE_TURNS (bpf_iter_num_new != 0)
