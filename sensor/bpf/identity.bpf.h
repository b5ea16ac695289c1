/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * Files by identity: inode, file system, layer of an overlay, names left; and what a descriptor is.
 */
#pragma once

#define OVERLAY_MAGIC 0x794c7630
#define TMPFS_MAGIC   0x01021994
#define S_IFMT        0170000
#define S_IFREG       0100000
#define S_IFCHR       0020000
#define S_IFIFO       0010000
#define S_IFSOCK      0140000
#define AF_UNIX       1
#define AF_INET       2
#define AF_INET6      10

static __always_inline bool path_is_upper(struct inode *inode)
{
	struct ovl_inode *overlay = (void *)inode - bpf_core_field_offset(struct ovl_inode, vfs_inode);
	if (!bpf_core_type_exists(struct ovl_inode))
		return false;
	return BPF_CORE_READ(overlay, __upperdentry) != 0;
}

static __always_inline bool path_is_memfd(struct dentry *dentry, u64 magic)
{
	char name[8] = {};
	if (magic != TMPFS_MAGIC && magic != 0x958458f6 /* hugetlbfs */)
		return false;
	if (BPF_CORE_READ(dentry, d_parent) != dentry)
		return false; /* a memfd hangs nowhere */
	bpf_probe_read_kernel(name, 6, BPF_CORE_READ(dentry, d_name.name));
	return name[0] == 'm' && name[1] == 'e' && name[2] == 'm' && name[3] == 'f' && name[4] == 'd' && name[5] == ':';
}

#define INODE_NEAR_BYTES      128
#define INODE_IS_NEAR(field)  (bpf_core_field_offset(struct inode, field) <= INODE_NEAR_BYTES - 8)
#define INODE_OF(type, field) (*(type *)((void *)near + bpf_core_field_offset(struct inode, field)))

/* Returns the file system. Without plain loads: the fields of an inode lie together, and one read does instead of seven. */
static __always_inline struct super_block *path_inode(struct file_identity *to, struct inode *inode)
{
	if (CAN_CAST) {
		const struct inode *typed = CAST(struct inode, inode);
		to->inode = typed->i_ino;
		to->size = typed->i_size;
		to->links = typed->i_nlink;
		to->mode = typed->i_mode;
		to->owner_uid = typed->i_uid.val;
		to->owner_gid = typed->i_gid.val;
		return (void *)READ_WORD(struct inode, inode, i_sb);
	}
	if (INODE_IS_NEAR(i_ino) && INODE_IS_NEAR(i_size) && INODE_IS_NEAR(i_nlink) && INODE_IS_NEAR(i_mode) && INODE_IS_NEAR(i_uid) &&
	    INODE_IS_NEAR(i_gid) && INODE_IS_NEAR(i_sb)) {
		u64 near[INODE_NEAR_BYTES / 8] = {};
		bpf_probe_read_kernel(near, sizeof(near), inode);
		to->inode = INODE_OF(u64, i_ino);
		to->size = INODE_OF(u64, i_size);
		to->links = INODE_OF(u32, i_nlink);
		to->mode = INODE_OF(u16, i_mode);
		to->owner_uid = INODE_OF(u32, i_uid);
		to->owner_gid = INODE_OF(u32, i_gid);
		return INODE_OF(struct super_block *, i_sb);
	}
	to->inode = BPF_CORE_READ(inode, i_ino);
	to->size = BPF_CORE_READ(inode, i_size);
	to->links = BPF_CORE_READ(inode, i_nlink);
	to->mode = BPF_CORE_READ(inode, i_mode);
	to->owner_uid = BPF_CORE_READ(inode, i_uid.val);
	to->owner_gid = BPF_CORE_READ(inode, i_gid.val);
	return BPF_CORE_READ(inode, i_sb);
}

static __always_inline void path_identity_of(struct file_identity *to, struct inode *inode, struct dentry *dentry)
{
	struct super_block *system = path_inode(to, inode);
	to->changed_at = drift_ctime(inode);
	to->magic = READ_WORD(struct super_block, system, s_magic);
	to->device = READ_HALF(struct super_block, system, s_dev);
	to->flags |= FILE_KNOWN;
	if (to->magic == OVERLAY_MAGIC)
		to->flags |= path_is_upper(inode) ? FILE_OVERLAY | FILE_UPPER : FILE_OVERLAY;
	if (!to->links)
		to->flags |= FILE_UNLINKED;
	if (path_is_memfd(dentry, to->magic))
		to->flags |= FILE_MEMFD | FILE_UNLINKED;
}

static __always_inline void path_identity(struct file_identity *to, struct file *file)
{
	if (file)
		path_identity_of(to, BPF_CORE_READ(file, f_inode), BPF_CORE_READ(file, f_path.dentry));
}

/* What a descriptor is. */
static __always_inline void path_descriptor(struct descriptor *to, struct file *file)
{
	struct inode *inode = (void *)READ_WORD(struct file, file, f_inode);
	u32 mode = READ_HALF(struct inode, inode, i_mode) & S_IFMT, device = READ_HALF(struct inode, inode, i_rdev);
	if (!file)
		return;
	to->type = DESCRIPTOR_OTHER;
	if (mode == S_IFREG)
		to->type = DESCRIPTOR_FILE;
	else if (mode == S_IFIFO)
		to->type = DESCRIPTOR_PIPE;
	else if (mode == S_IFCHR) {
		u32 major = device >> 20;
		if (device == (1 << 20 | 3))
			to->type = DESCRIPTOR_NULL;
		else if ((major >= 136 && major <= 143) || major == 4 || major == 5)
			to->type = DESCRIPTOR_TTY;
	} else if (mode == S_IFSOCK) {
		struct socket *socket = BPF_CORE_READ(file, private_data);
		struct sock *sock = BPF_CORE_READ(socket, sk);
		to->family = BPF_CORE_READ(sock, __sk_common.skc_family);
		to->type = DESCRIPTOR_UNIX_SOCKET;
		if (to->family == AF_INET || to->family == AF_INET6) {
			to->type = DESCRIPTOR_SOCKET;
			to->remote_port = __builtin_bswap16(BPF_CORE_READ(sock, __sk_common.skc_dport));
			if (to->family == AF_INET)
				bpf_core_read(to->remote, 4, &sock->__sk_common.skc_daddr);
			else
				bpf_core_read(to->remote, 16, &sock->__sk_common.skc_v6_daddr);
		}
	}
}
