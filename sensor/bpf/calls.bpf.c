// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The programs that a host waits for most: the end of system calls, opens and writes, and execs.
 *
 * They are one file to the compiler because they alone read by plain loads (cast.bpf.h): bpftool before 7.2 can't link two files that call
 * the same function of the kernel.
 */
#define WITH_CAST 1
#include "dispatch.bpf.h"
#include "exec.bpf.h"
