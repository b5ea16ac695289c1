/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * The canonical path of a file: a walk from dentry to dentry and mount to mount, up to the process's root.
 * The caller's memory has no say in it, so nobody can race it. About 0.4 µs for six parts.
 */
#pragma once

#define PATH_END   4096
#define PATH_PARTS 200

struct path_found {
	u32 offset; /* in the buffer, of the first byte */
	u32 length;
	bool truncated;
};

struct path_walk {
	struct dentry *dentry, *root_dentry, *top; /* top of the mount */
	struct vfsmount *mnt, *root_mnt;
};

/* What a step needs of a directory entry. */
struct path_entry {
	struct dentry *parent;
	const unsigned char *name;
	u32 length;
	u32 hash;     /* of the name, salted with the parent's address */
	u32 sequence; /* odd while the entry is renamed, and another number afterwards */
};

#define ENTRY_NEAR_BYTES      64
#define ENTRY_IS_NEAR(field)  (bpf_core_field_offset(struct dentry, field) <= ENTRY_NEAR_BYTES - 16)
#define ENTRY_OF(type, field) (*(type *)((void *)near + bpf_core_field_offset(struct dentry, field)))

static __always_inline void path_entry(struct path_entry *to, struct dentry *dentry)
{
	if (!CAN_CAST && ENTRY_IS_NEAR(d_parent) && ENTRY_IS_NEAR(d_name) && ENTRY_IS_NEAR(d_seq)) { /* side by side: one read */
		u64 near[ENTRY_NEAR_BYTES / 8] = {};
		bpf_probe_read_kernel(near, sizeof(near), dentry);
		to->parent = ENTRY_OF(struct dentry *, d_parent);
		to->name = ENTRY_OF(const unsigned char *, d_name.name);
		to->length = ENTRY_OF(u32, d_name.len);
		to->hash = ENTRY_OF(u32, d_name.hash);
		to->sequence = ENTRY_OF(u32, d_seq);
		return;
	}
	u64 name = READ_WORD(struct dentry, dentry, d_name.hash); /* and the length */
	to->parent = (void *)READ_WORD(struct dentry, dentry, d_parent);
	to->name = (void *)READ_WORD(struct dentry, dentry, d_name.name);
	to->hash = name;
	to->length = name >> 32;
	to->sequence = READ_WORD(struct dentry, dentry, d_seq);
}

#define NAME_WORDS 4 /* of a name that is copied by plain loads: most are shorter */

/* Copy a name in front of what was copied before. Words reach beyond its end, so what lies there is put back; the buffer has room for that. */
static __always_inline void path_copy_name(char *to, const unsigned char *from, u32 length)
{
	if (!CAN_CAST || length > NAME_WORDS * 8) {
		bpf_probe_read_kernel(to, length, from);
		return;
	}
	u64 following = *(u64 *)(to + length);
#pragma unroll
	for (u32 word = 0; word < NAME_WORDS; word++)
		if (word * 8 < length)
			*(u64 *)(to + word * 8) = read_word(from + word * 8);
	*(u64 *)(to + length) = following;
}

/* From the top of a mount to where it is mounted; false at the top of all. */
static __always_inline bool path_step_out(struct path_walk *walk)
{
	struct mount *mount = (void *)walk->mnt - bpf_core_field_offset(struct mount, mnt);
	struct mount *above = (void *)READ_WORD(struct mount, mount, mnt_parent);
	if (above == mount)
		return false;
	walk->dentry = (void *)READ_WORD(struct mount, mount, mnt_mountpoint);
	walk->mnt = (void *)above + bpf_core_field_offset(struct mount, mnt);
	walk->top = (void *)READ_WORD(struct mount, above, mnt.mnt_root);
	return true;
}

/* A mount that was taken out of the tree, as runtimes do with what they run: its file system goes on above it. */
static __always_inline bool path_step_beyond(struct path_walk *walk)
{
	struct mount *mount = (void *)walk->mnt - bpf_core_field_offset(struct mount, mnt);
	walk->top = 0;
	return !READ_WORD(struct mount, mount, mnt_ns);
}

static __always_inline bool path_step(struct path_walk *walk, struct path_buffer *buffer)
{
	struct path_entry entry = {};

	if (walk->dentry == walk->root_dentry && walk->mnt == walk->root_mnt)
		return false;
	if (walk->dentry == walk->top)
		return path_step_out(walk) || path_step_beyond(walk);
	path_entry(&entry, walk->dentry);
	if (!walk->top && walk->dentry == entry.parent)
		return false;
	u32 length = entry.length & 255;
	u32 offset = buffer->offset;
	if (offset < length + 1) {
		buffer->truncated = 1;
		return false;
	}
	offset -= length + 1;
	buffer->bytes[offset & (PATH_END - 1)] = '/';
	path_copy_name(&buffer->bytes[(offset + 1) & (PATH_END - 1)], entry.name, length);
	buffer->offset = offset;
	bool hangs_nowhere = walk->dentry == entry.parent; /* as a memfd: it has its name alone */
	walk->dentry = entry.parent;
	return !hangs_nowhere;
}

#define PATH_QUICK_PARTS 8 /* most paths have fewer; a turn of the iterator costs 15 ns */

/* Step by step up to the root, or as far as there is room. */
static __always_inline void path_climb(struct path_walk *walk, struct path_buffer *buffer)
{
	bool goes_on = true;
	if (CAN_TAKE_TURNS) {
		struct bpf_iter_num parts;
		for (int part = 0; CAN_CAST && part < PATH_QUICK_PARTS && goes_on; part++)
			goes_on = path_step(walk, buffer);
		if (!goes_on)
			return;
		bpf_iter_num_new(&parts, 0, PATH_PARTS);
		while (goes_on && bpf_iter_num_next(&parts))
			goes_on = path_step(walk, buffer);
		bpf_iter_num_destroy(&parts);
	} else {
		for (int part = 0; part < PATH_PARTS && goes_on; part++)
			goes_on = path_step(walk, buffer);
	}
	buffer->truncated |= goes_on;
}

/* Writes the path of `path` as seen from `root` (0: from the host) to the end of the buffer. */
static __always_inline struct path_found path_find(struct path_buffer *buffer, struct dentry *dentry, struct vfsmount *mnt, struct path *root)
{
	struct path_walk walk = {.dentry = dentry, .mnt = mnt, .top = (void *)READ_WORD(struct vfsmount, mnt, mnt_root)};
	buffer->offset = PATH_END;
	buffer->truncated = 0;
	if (root) {
		walk.root_dentry = (void *)READ_WORD(struct path, root, dentry);
		walk.root_mnt = (void *)READ_WORD(struct path, root, mnt);
	}
	path_climb(&walk, buffer);
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

/* Kinds of a set that are asked for in any of these ways (enum asked_way). */
static __always_inline u64 path_kinds(const struct kind_set *set, u32 ways)
{
	if (!set)
		return 0;
	return (set->bits[0] & -(u64)(ways & 1)) | (set->bits[1] & -(u64)(ways >> 1 & 1)) | (set->bits[2] & -(u64)(ways >> 2 & 1)) |
	       (set->bits[3] & -(u64)(ways >> 3 & 1)) | (set->bits[4] & -(u64)(ways >> 4 & 1));
}

/* A path that is too long to be seen whole may be any. */
static __always_inline bool path_may_be_any(struct path_found found)
{
	return found.truncated || found.offset < 4;
}

/* What the path in the buffer is asked for as. The key is made where it lies: the length goes in front of it, and behind it is a NUL. */
static __always_inline struct kind_set *path_set(struct path_buffer *buffer, struct path_found found)
{
	u32 zero = 0, length = found.length, at = found.offset - 4;
	void *tests = bpf_map_lookup_elem(&path_filter, &zero);
	if (!tests || path_may_be_any(found))
		return 0;
	length = length < PATH_KEY_BYTES - 1 ? length + 1 : PATH_KEY_BYTES - 1; /* an exact path is a prefix that includes the NUL */
	struct path_key *key = (void *)&buffer->bytes[at & (PATH_END - 1)];
	key->length = length * 8;
	return bpf_map_lookup_elem(tests, key);
}

static __always_inline u64 path_kinds_of(struct path_buffer *buffer, struct path_found found, u32 ways)
{
	return path_may_be_any(found) ? ~0ULL : path_kinds(path_set(buffer, found), ways);
}

/* What an entry's own name is asked for as. */
static __always_inline struct kind_set *path_name_set(struct path_buffer *buffer, struct dentry *dentry)
{
	u32 zero = 0;
	void *tests = bpf_map_lookup_elem(&name_filter, &zero);
	if (!tests)
		return 0;
	__builtin_memset(&buffer->name, 0, sizeof(buffer->name));
	bpf_probe_read_kernel_str(buffer->name.name, NAME_KEY_BYTES, (void *)READ_WORD(struct dentry, dentry, d_name.name));
	return bpf_map_lookup_elem(tests, &buffer->name);
}
