/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * What is behind a descriptor, and who another process is: everything from the kernel's own structures.
 */
#pragma once

#include "records_memory.h"

#define ANON_INODE_MAGIC 0x09041934
#define PIDFS_MAGIC      0x50494446
#define PIDTYPE_TGID     1
#define TASK_TEXT_BYTES  16

static __always_inline void descriptor_ends(struct endpoints *ends, struct sock *sock)
{
	ends->family = BPF_CORE_READ(sock, __sk_common.skc_family);
	ends->type = BPF_CORE_READ(sock, sk_type);
	ends->protocol = BPF_CORE_READ(sock, sk_protocol);
	if (ends->family == AF_INET) {
		bpf_core_read(ends->local, 4, &sock->__sk_common.skc_rcv_saddr);
		bpf_core_read(ends->remote, 4, &sock->__sk_common.skc_daddr);
	} else if (ends->family == AF_INET6) {
		bpf_core_read(ends->local, 16, &sock->__sk_common.skc_v6_rcv_saddr);
		bpf_core_read(ends->remote, 16, &sock->__sk_common.skc_v6_daddr);
	} else
		return;
	ends->local_port = BPF_CORE_READ(sock, __sk_common.skc_num);
	ends->remote_port = __builtin_bswap16(BPF_CORE_READ(sock, __sk_common.skc_dport));
}

/* Name of an abstract unix socket: an address that begins with a zero byte. */
static __always_inline void descriptor_abstract_name(struct record *record, struct text *text, struct unix_address *address)
{
	u32 length = BPF_CORE_READ(address, len);
	u8 *room = record_room(record, 128);
	char first = 1;
	if (!room || length <= 3 || length > 110)
		return;
	bpf_core_read(&first, 1, &address->name[0].sun_path);
	if (first)
		return;
	length = (length - 3) & 127;
	if (length && bpf_core_read(room, length, (char *)&address->name[0].sun_path + 1) == 0)
		record_took(record, text, length);
}

/* Describe an open file: identity, path, and of a socket both ends. */
static __always_inline void descriptor_describe(struct record *record, struct open_file *to, struct file *file)
{
	struct descriptor kind = {};
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	struct vfsmount *mnt = BPF_CORE_READ(file, f_path.mnt);
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	struct path_buffer *buffer = path_buffer();
	if (!file || !buffer)
		return;
	path_identity(&to->identity, file);
	path_descriptor(&kind, file);
	to->type = kind.type;
	to->access = BPF_CORE_READ(file, f_mode);
	if (kind.type == DESCRIPTOR_SOCKET || kind.type == DESCRIPTOR_UNIX_SOCKET) {
		struct socket *socket = BPF_CORE_READ(file, private_data);
		struct sock *sock = BPF_CORE_READ(socket, sk);
		descriptor_ends(&to->ends, sock);
		dentry = 0;
		if (to->ends.family == AF_UNIX) {
			struct unix_sock *own = (void *)sock, *peer = (void *)BPF_CORE_READ(own, peer);
			if (peer && BPF_CORE_READ(peer, addr))
				own = peer;
			dentry = BPF_CORE_READ(own, path.dentry);
			mnt = BPF_CORE_READ(own, path.mnt);
			descriptor_abstract_name(record, &to->unix_abstract, BPF_CORE_READ(own, addr));
		}
	} else if (kind.type == DESCRIPTOR_PIPE || to->identity.magic == ANON_INODE_MAGIC)
		dentry = 0;
	if (!dentry)
		return;
	struct path_found found = path_find(buffer, dentry, mnt, __builtin_preserve_access_index(&fs->root));
	if (found.truncated)
		to->identity.flags |= FILE_PATH_TRUNCATED;
	path_append(record, to->ends.family ? &to->unix_path : &to->path, buffer, found);
}

/* The pid that a pidfd stands for, 0 when it is none. Since 6.9 (cb12fd8e0dab) pidfds are files of a file system of their own. */
static __always_inline struct pid *descriptor_pid(struct file *file)
{
	char name[8] = {};
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	if (BPF_CORE_READ(inode, i_sb, s_magic) == PIDFS_MAGIC)
		return BPF_CORE_READ(inode, i_private);
	bpf_probe_read_kernel(name, 7, BPF_CORE_READ(file, f_path.dentry, d_name.name));
	if (name[0] != '[' || name[1] != 'p' || name[2] != 'i' || name[3] != 'd' || name[4] != 'f' || name[5] != 'd' || name[6] != ']')
		return 0;
	return BPF_CORE_READ(file, private_data);
}

/* The process that a pid belongs to. */
static __always_inline struct task_struct *descriptor_task(struct pid *pid)
{
	struct hlist_node *first = 0;
	bpf_core_read(&first, sizeof(first), &pid->tasks[PIDTYPE_TGID].first);
	if (!first)
		return 0;
	struct task_struct *links = 0;
	return (void *)first - (u64)__builtin_preserve_access_index(&links->pid_links[PIDTYPE_TGID]);
}

static __always_inline void descriptor_other(struct record *record, struct other_process *to, struct task_struct *task)
{
	if (!task)
		return;
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	struct file *exe = BPF_CORE_READ(mm, exe_file);
	to->start = task_start(task);
	to->cgroup = task_container_key(task);
	to->process = node_process(task);
	to->parent = node_process(BPF_CORE_READ(task, real_parent));
	to->uid = BPF_CORE_READ(task, cred, uid.val);
	to->exe_inode = BPF_CORE_READ(exe, f_inode, i_ino);
	path_of_file(record, &to->exe, exe, 0);
	record_text(record, &to->name, __builtin_preserve_access_index(&task->comm), TASK_TEXT_BYTES);
}
