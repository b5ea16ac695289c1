/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * Files by identity, and their canonical path: a walk from dentry to dentry and mount to mount, up to the process's root.
 * The caller's memory has no say in it, so nobody can race it. About 0.4 µs for six parts.
 */
#pragma once

#define PATH_END      4096
#define PATH_PARTS    200
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

struct path_found {
	u32 offset; /* in the buffer, of the first byte */
	u32 length;
	bool truncated;
};

struct path_walk {
	struct dentry *dentry, *root_dentry, *top; /* top of the mount */
	struct vfsmount *mnt, *root_mnt;
};

/* What a step needs of a directory entry. In the kernel it lies side by side, so one read does; the offsets are asked all the same. */
struct path_entry {
	struct dentry *parent;
	u32 hash;
	u32 length;
	const unsigned char *name;
};

static __always_inline void path_entry(struct path_entry *to, struct dentry *dentry)
{
	const u32 at = bpf_core_field_offset(struct dentry, d_parent), name = bpf_core_field_offset(struct dentry, d_name);
	const u32 length = bpf_core_field_offset(struct qstr, len), text = bpf_core_field_offset(struct qstr, name);
	if (name == at + 8 && length == 4 && text == 8) {
		bpf_probe_read_kernel(to, sizeof(*to), (void *)dentry + at);
		return;
	}
	to->parent = BPF_CORE_READ(dentry, d_parent);
	to->length = BPF_CORE_READ(dentry, d_name.len);
	to->name = BPF_CORE_READ(dentry, d_name.name);
}

static __always_inline bool path_step(struct path_walk *walk, struct path_buffer *buffer)
{
	struct dentry *dentry = walk->dentry; /* locals: BPF_CORE_READ would take a member of ours for one of the kernel's */
	struct vfsmount *mnt = walk->mnt;
	struct path_entry entry = {};

	if (dentry == walk->root_dentry && mnt == walk->root_mnt)
		return false;
	if (dentry == walk->top) {
		struct mount *mount = (void *)mnt - bpf_core_field_offset(struct mount, mnt);
		struct mount *above = BPF_CORE_READ(mount, mnt_parent);
		if (above == mount)
			return false;
		walk->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
		mnt = (void *)above + bpf_core_field_offset(struct mount, mnt);
		walk->mnt = mnt;
		walk->top = BPF_CORE_READ(mnt, mnt_root);
		return true;
	}
	path_entry(&entry, dentry);
	u32 length = entry.length & 255;
	u32 offset = buffer->offset;
	if (offset < length + 1) {
		buffer->truncated = 1;
		return false;
	}
	offset -= length + 1;
	buffer->bytes[offset & (PATH_END - 1)] = '/';
	bpf_probe_read_kernel(&buffer->bytes[(offset + 1) & (PATH_END - 1)], length, entry.name);
	buffer->offset = offset;
	walk->dentry = entry.parent;
	return dentry != entry.parent; /* what hangs nowhere, as a memfd, has its name alone */
}

/* Writes the path of `path` as seen from `root` (0: from the host) to the end of the buffer. */
static __always_inline struct path_found path_find(struct path_buffer *buffer, struct dentry *dentry, struct vfsmount *mnt, struct path *root)
{
	struct path_walk walk = {.dentry = dentry, .mnt = mnt, .top = BPF_CORE_READ(mnt, mnt_root)};
	buffer->offset = PATH_END;
	buffer->truncated = 0;
	if (root) {
		walk.root_dentry = BPF_CORE_READ(root, dentry);
		walk.root_mnt = BPF_CORE_READ(root, mnt);
	}
	for (int part = 0;; part++) {
		if (part == PATH_PARTS)
			buffer->truncated = 1;
		if (part == PATH_PARTS || !path_step(&walk, buffer))
			break;
	}
	if (buffer->offset == PATH_END) {
		buffer->offset = PATH_END - 1;
		buffer->bytes[PATH_END - 1] = '/';
	}
	struct path_found found = {.offset = buffer->offset & (PATH_END - 1), .truncated = buffer->truncated};
	found.length = PATH_END - found.offset;
	return found;
}

static __always_inline struct path_buffer *path_buffer(void)
{
	u32 zero = 0;
	return bpf_map_lookup_elem(&path_buffers, &zero);
}

static __always_inline void path_append(struct record *record, struct text *text, struct path_buffer *buffer, struct path_found found)
{
	u8 *room = record_room(record, PATH_END);
	u32 length = found.length;
	if (!room || !length || length > PATH_END)
		return;
	bpf_probe_read_kernel(room, length, &buffer->bytes[found.offset & (PATH_END - 1)]);
	record_took(record, text, length);
}

/* Append the path of an open file, seen from the current process's root. */
static __always_inline void path_of_file(struct record *record, struct text *text, struct file *file, u32 *flags)
{
	struct path_buffer *buffer = path_buffer();
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	if (!buffer || !file)
		return;
	struct path_found found =
		path_find(buffer, BPF_CORE_READ(file, f_path.dentry), BPF_CORE_READ(file, f_path.mnt), __builtin_preserve_access_index(&fs->root));
	if (found.truncated && flags)
		*flags |= FILE_PATH_TRUNCATED;
	path_append(record, text, buffer, found);
}

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

/* The fields of an inode lie together: one read instead of seven, where this kernel has them so. Returns the file system. */
static __always_inline struct super_block *path_inode(struct file_identity *to, struct inode *inode)
{
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
	to->magic = BPF_CORE_READ(system, s_magic);
	to->device = BPF_CORE_READ(system, s_dev);
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

/* What of a path's length a key holds. The mask says it in a way that 5.10 and 6.1 understand, whose verifiers lose the bound of the comparison
 * between here and its use; the barrier keeps the compiler from dropping it.
 */
static __always_inline u32 path_key_length(u32 length)
{
	if (length > PATH_KEY_BYTES - 1)
		length = PATH_KEY_BYTES - 1;
	asm volatile("" : "+r"(length));
	return length & 255;
}

/* Whether a path or its last part is among the tests of this kind. `found` is the path in the buffer. */
static __always_inline bool path_is_tested(u32 kind, struct path_buffer *buffer, struct path_found found)
{
	u32 zero = 0, length = path_key_length(found.length);
	void *tests = bpf_map_lookup_elem(&path_filter, &zero);
	struct kind_set *set = 0;
	__builtin_memset(&buffer->key, 0, sizeof(buffer->key));
	bpf_probe_read_kernel(buffer->key.path, length, &buffer->bytes[found.offset & (PATH_END - 1)]);
	buffer->key.length = (length + 1) * 8; /* with the NUL: an exact path is a prefix that includes it */
	if (tests)
		set = bpf_map_lookup_elem(tests, &buffer->key);
	if (set && set->bits[(kind >> 6) & 1] >> (kind & 63) & 1 && kind < 128)
		return true;
	return false;
}

static __always_inline bool path_name_is_tested(u32 kind, struct path_buffer *buffer, struct dentry *dentry)
{
	u32 zero = 0;
	void *tests = bpf_map_lookup_elem(&name_filter, &zero);
	struct kind_set *set;
	if (!tests)
		return false;
	__builtin_memset(&buffer->name, 0, sizeof(buffer->name));
	bpf_probe_read_kernel_str(buffer->name.name, NAME_KEY_BYTES, BPF_CORE_READ(dentry, d_name.name));
	set = bpf_map_lookup_elem(tests, &buffer->name);
	return set && kind < 128 && set->bits[(kind >> 6) & 1] >> (kind & 63) & 1;
}

/* What a descriptor is. */
static __always_inline void path_descriptor(struct descriptor *to, struct file *file)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	u32 mode = BPF_CORE_READ(inode, i_mode) & S_IFMT, device = BPF_CORE_READ(inode, i_rdev);
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
