// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Mounts.
 *
 * Hook: the end of mount, umount2, move_mount, open_tree, open_tree_attr, mount_setattr, fsopen, fspick, fsconfig and fsmount. Texts are the
 * caller's and may have changed; what a descriptor leads to, and the mount that the kernel has made, are the kernel's own. Cost: about 8 µs of
 * each of these calls, of which a mount and an unmount take 60; nothing elsewhere.
 */
#include "mount.bpf.h"

#define NR_FSOPEN         430
#define NR_FSCONFIG       431
#define NR_FSMOUNT        432
#define NR_FSPICK         433
#define MS_REMOUNT        0x20
#define MS_BIND           0x1000
#define MS_RECURSIVE_BIND 0x5000
#define MS_MOVE           0x2000
#define MS_PROPAGATION    0x1e0000 /* UNBINDABLE, PRIVATE, SLAVE, SHARED */
#define MS_MAGIC          0xc0ed0000
#define MS_MAGIC_MASK     0xffff0000
#define EMPTY_FROM        0x4 /* MOVE_MOUNT_F_EMPTY_PATH */
#define OPEN_TREE_CLONE   0x1
#define NEED_UNMOUNT      0x10000000 /* FMODE_NEED_UNMOUNT: the descriptor came of fsmount or a clone */
#define SET_STRING        1
#define SET_PATH          3
#define SET_PATH_EMPTY    4
#define OPTION_BYTES      4096
#define KEY_BYTES         256

RECORD_LAYOUT(mount_record);

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct fs_context {
	struct file_system_type *fs_type;
	const char *source;
};

#pragma clang attribute pop

/* Mounts that open_tree cloned and that have no place yet. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 256);
	__type(key, u64);
	__type(value, u32);
} mounts_cloned SEC(".maps");

static __always_inline struct mount_record *mount_begin(u32 kind, const struct call *call, u64 flags)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	if (!file_is_told(call->result) || !record_is_wanted(kind) || record_of_quiet_process())
		return 0;
	struct mount_record *made = record_begin_call(kind, sizeof(*made), call);
	if (!made)
		return 0;
	made->flags = flags;
	made->namespace = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	return made;
}

static __always_inline void mount_target(struct mount_record *made, s32 directory, u64 path)
{
	u32 flags = 0;
	if (path)
		file_claimed(&made->record, &made->target, (void *)path);
	file_directory(&made->record, &made->target_directory, &made->target, directory, &flags);
}

static __always_inline void mount_source(struct mount_record *made, s32 directory, u64 path)
{
	u32 flags = 0;
	if (path)
		file_claimed(&made->record, &made->source, (void *)path);
	file_directory(&made->record, &made->source_directory, &made->source, directory, &flags);
}

static __always_inline struct mount *mount_of_file(struct file *file)
{
	struct vfsmount *mnt = file ? BPF_CORE_READ(file, f_path.mnt) : 0;
	return mnt ? (void *)mnt - bpf_core_field_offset(struct mount, mnt) : 0;
}

/* What mount() does, by its flags in the order in which the kernel asks for them. */
static __always_inline u32 mount_kind(u64 flags)
{
	if (flags & MS_REMOUNT)
		return MOUNT_CHANGE;
	if (flags & MS_BIND)
		return MOUNT_MOUNT;
	if (flags & MS_PROPAGATION)
		return MOUNT_CHANGE;
	return flags & MS_MOVE ? MOUNT_MOVE : MOUNT_MOUNT;
}

CALL_HANDLER(mount_call)
{
	u64 flags = call->arguments[3];
	if ((flags & MS_MAGIC_MASK) == MS_MAGIC)
		flags &= ~(u64)MS_MAGIC_MASK;
	u32 kind = mount_kind(flags);
	struct mount_record *made = mount_begin(kind, call, flags);
	if (!made)
		return 0;
	mount_target(made, AT_FDCWD, call->arguments[1]);
	if (kind == MOUNT_MOUNT && call->result == 0) {
		u64 place = (u64)mount_place(&made->record, &made->target);
		struct mount *mount =
			(void *)mount_newest(made->target.offset, made->target.length, place, (flags & MS_RECURSIVE_BIND) == MS_RECURSIVE_BIND);
		if (mount)
			mount_describe(made, mount, true);
	}
	mount_source(made, AT_FDCWD, call->arguments[0]);
	if (call->arguments[2] > LOWEST_ADDRESS)
		record_user_text(&made->record, &made->type, (void *)call->arguments[2], SYSTEM_NAME);
	if (call->arguments[4])
		record_user_text(&made->record, &made->options, (void *)call->arguments[4], OPTION_BYTES);
	return record_send(&made->record);
}

CALL_HANDLER(mount_unmount)
{
	struct mount_record *made = mount_begin(MOUNT_UNMOUNT, call, call->arguments[1]);
	if (!made)
		return 0;
	mount_target(made, AT_FDCWD, call->arguments[0]);
	return record_send(&made->record);
}

CALL_HANDLER(mount_move)
{
	u64 flags = call->arguments[4];
	struct file *file = flags & EMPTY_FROM ? task_file((void *)bpf_get_current_task(), call->arguments[0]) : 0;
	struct mount *mount = mount_of_file(file);
	u32 kind = file && BPF_CORE_READ(file, f_mode) & NEED_UNMOUNT ? MOUNT_MOUNT : MOUNT_MOVE;
	struct mount_record *made = mount_begin(kind, call, flags);
	if (!made)
		return 0;
	if (mount)
		mount_describe(made, mount, call->result == 0);
	u64 key = (u64)mount;
	if (mount && bpf_map_lookup_elem(&mounts_cloned, &key))
		made->state |= MOUNT_BOUND;
	mount_target(made, call->arguments[2], call->arguments[3]);
	mount_source(made, call->arguments[0], call->arguments[1]);
	return record_send(&made->record);
}

CALL_HANDLER(mount_clone)
{
	if (!(call->arguments[2] & OPEN_TREE_CLONE))
		return 0;
	struct mount *mount = call->result < 0 ? 0 : mount_of_file(task_file((void *)bpf_get_current_task(), call->result));
	u64 key = (u64)mount;
	u32 one = 1;
	if (mount)
		bpf_map_update_elem(&mounts_cloned, &key, &one, BPF_ANY);
	struct mount_record *made = mount_begin(MOUNT_CLONE, call, call->arguments[2]);
	if (!made)
		return 0;
	if (mount)
		mount_describe(made, mount, false);
	mount_source(made, call->arguments[0], call->arguments[1]);
	return record_send(&made->record);
}

CALL_HANDLER(mount_change)
{
	u64 attributes[3] = {};
	struct mount_record *made = mount_begin(MOUNT_CHANGE, call, 0);
	if (!made)
		return 0;
	bpf_probe_read_user(attributes, sizeof(attributes), (void *)call->arguments[3]);
	made->attributes = attributes[0];
	made->cleared = attributes[1];
	made->propagation = attributes[2];
	mount_target(made, call->arguments[0], call->arguments[1]);
	if (call->arguments[2] & AT_EMPTY_PATH && !made->target.length) {
		struct mount *mount = mount_of_file(task_file((void *)bpf_get_current_task(), call->arguments[0]));
		if (mount)
			mount_describe(made, mount, true);
	}
	return record_send(&made->record);
}

static __always_inline void mount_configured(struct mount_record *made, const struct call *call)
{
	u64 value = call->arguments[3], command = call->arguments[1];
	made->command = command;
	if (call->arguments[2])
		record_user_text(&made->record, &made->key, (void *)call->arguments[2], KEY_BYTES);
	if (command == SET_STRING || command == SET_PATH || command == SET_PATH_EMPTY)
		record_user_text(&made->record, &made->options, (void *)value, OPTION_BYTES);
}

CALL_HANDLER(mount_prepare)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	bool opens = call->number == NR_FSOPEN || call->number == NR_FSPICK;
	struct mount_record *made = mount_begin(MOUNT_PREPARE, call, 0);
	if (!made)
		return 0;
	if (call->result >= 0) {
		struct file *file = task_file(task, opens ? call->result : call->arguments[0]);
		struct fs_context *context = file ? BPF_CORE_READ(file, private_data) : 0;
		if (call->number != NR_FSMOUNT)
			record_text(&made->record, &made->filesystem, BPF_CORE_READ(context, fs_type, name), SYSTEM_NAME);
		if (context)
			record_text(&made->record, &made->source, BPF_CORE_READ(context, source), OPTION_BYTES);
	} else if (call->number == NR_FSOPEN)
		record_user_text(&made->record, &made->type, (void *)call->arguments[0], SYSTEM_NAME);
	if (call->number == NR_FSCONFIG)
		mount_configured(made, call);
	if (call->number == NR_FSPICK)
		mount_target(made, call->arguments[0], call->arguments[1]);
	if (call->number == NR_FSMOUNT) {
		made->attributes = call->arguments[2];
		struct mount *mount = call->result < 0 ? 0 : mount_of_file(task_file(task, call->result));
		if (mount)
			mount_describe(made, mount, false);
	}
	return record_send(&made->record);
}
