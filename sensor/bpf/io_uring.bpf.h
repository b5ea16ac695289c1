/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * What the kernel holds of an operation of an io_uring. Since 6.0 (f2ccb5aed7bc) each kind's own part lies at the request's start.
 */
#pragma once

enum io_uring_opcode {
	OP_SENDMSG = 9,
	OP_CONNECT = 16,
	OP_OPENAT = 18,
	OP_OPENAT2 = 28,
	OP_RENAMEAT = 35,
	OP_UNLINKAT = 36,
	OP_MKDIRAT = 37,
	OP_SYMLINKAT = 38,
	OP_LINKAT = 39,
	OP_SETXATTR = 42,
	OP_GETXATTR = 44,
	OP_SENDMSG_ZC = 48,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct filename {
	const char *name;
};

struct xarray {
	void *xa_head;
};

struct io_ring_ctx {
	unsigned int flags;
	struct xarray personalities;
};

struct io_cqe {
	s32 res;
	int fd;
};

struct io_cmd_data {
	struct file *file;
};

struct io_kiocb {
	struct file *file;
	u8 opcode;
	struct io_cqe cqe;
	struct io_ring_ctx *ctx;
	void *async_data;
	const struct cred *creds;
};

struct open_how {
	u64 flags;
};

struct io_open {
	int dfd;
	u32 file_slot;
	struct filename *filename;
	struct open_how how;
};

struct io_rename {
	int old_dfd, new_dfd;
	struct filename *oldpath, *newpath;
	int flags;
};

struct io_link {
	int old_dfd, new_dfd;
	struct filename *oldpath, *newpath;
};

struct io_unlink {
	int dfd, flags;
	struct filename *filename;
};

struct io_mkdir {
	int dfd;
	unsigned short mode;
	struct filename *filename;
};

struct io_xattr {
	struct filename *filename;
};

struct msghdr {
	void *msg_name;
};

struct __kernel_sockaddr_storage {
	u16 ss_family;
};

struct io_async_msghdr {
	struct msghdr msg;
	struct __kernel_sockaddr_storage addr;
};

/* Since 7.0 a file name waits in a struct of its own, which holds the pointer that stood here before. */
struct delayed_filename {
	struct filename *__incomplete_filename;
};

struct io_open___delayed {
	struct delayed_filename filename;
};

struct io_rename___delayed {
	struct delayed_filename oldpath, newpath;
};

struct io_link___delayed {
	struct delayed_filename oldpath, newpath;
};

struct io_unlink___delayed {
	struct delayed_filename filename;
};

struct io_mkdir___delayed {
	struct delayed_filename filename;
};

struct io_xattr___delayed {
	struct delayed_filename filename;
};

#pragma clang attribute pop

#define IO_URING_FILENAME(type, from, field)                                                                                                         \
	({                                                                                                                                           \
		struct type##___delayed *delayed = (void *)(from);                                                                                   \
		bpf_core_field_exists(delayed->field.__incomplete_filename) ? BPF_CORE_READ(delayed, field.__incomplete_filename)                    \
									    : BPF_CORE_READ(from, field);                                            \
	})
