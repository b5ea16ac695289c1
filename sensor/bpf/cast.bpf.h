/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * Reading the kernel's structures. Where the kernel lets a program call any address what it is (bpf_rdonly_cast, 6.2), a read is one plain
 * load that faults to zero; elsewhere it is a call of a helper, at ten times the cost.
 */
#pragma once

#ifdef WITH_CAST /* one file of the object may: calls.bpf.c */
enum special_kfunc_type {
	KF_bpf_rdonly_cast, /* 6.2, a35b9af4ec2c */
};

extern void *bpf_rdonly_cast(const void *address, u32 type) __ksym __weak;

#define CAN_CAST            (bpf_core_enum_value_exists(enum special_kfunc_type, KF_bpf_rdonly_cast))
#define CAST(type, address) ((type *)bpf_rdonly_cast((const void *)(address), bpf_core_type_id_kernel(type)))
#else
#define CAN_CAST            false
#define CAST(type, address) ((type *)(address))
#endif

/* The eight bytes at an address. A plain number to the verifier also where a pointer lies there: it would tell pointers apart by their types,
 * and follow each way through a loop for itself. Read through a structure that begins with a number.
 */
static __always_inline u64 read_word(const void *address)
{
	u64 found = 0;
	if (CAN_CAST)
		return CAST(struct timespec64, address)->tv_sec;
	bpf_probe_read_kernel(&found, sizeof(found), address);
	return found;
}

/* `READ_WORD(struct dentry, entry, d_parent)`: a pointer, or a number of eight bytes. In tracing programs. */
#define READ_WORD(type, address, field) read_word((const void *)(address) + bpf_core_field_offset(type, field))
/* A number of four bytes, of a field that is not the structure's last. */
#define READ_HALF(type, address, field) ((u32)READ_WORD(type, address, field))
