/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * What every program file includes first.
 */
#pragma once

#include "kernel_types.bpf.h"
#include "records.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include "processor.bpf.h"
#include "cast.bpf.h"
#include "turns.bpf.h"
#include "kernel_drift.bpf.h"
#include "node.bpf.h"
#include "record.bpf.h"
#include "path.bpf.h"
#include "identity.bpf.h"
#include "print.bpf.h"
#include "call.bpf.h"

/* Keep a record's layout in the object's type information, where the agent's mirror of it is checked. */
#define RECORD_LAYOUT(type) const struct type *const volatile layout_##type __weak = 0

RECORD_LAYOUT(endpoints);
const enum record_kind *const volatile layout_record_kind __weak = 0;

#define PF_KTHREAD 0x00200000

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";
