// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* What files are marked with: permissions, owners, extended attributes, times, length, inode flags.
 *
 * Hook: the end of the calls. Where a descriptor leads to the file (the f* calls, AT_EMPTY_PATH, ioctl), path and values are the kernel's
 * as they are after the call; else they are what the caller said, and marked so. Cost: about 1 µs of a call that is told.
 */
#include "file.bpf.h"

#define NR_IOCTL          16
#define NR_TRUNCATE       76
#define NR_FTRUNCATE      77
#define NR_CHMOD          90
#define NR_FCHMOD         91
#define NR_CHOWN          92
#define NR_FCHOWN         93
#define NR_LCHOWN         94
#define NR_UTIME          132
#define NR_SETXATTR       188
#define NR_LSETXATTR      189
#define NR_FSETXATTR      190
#define NR_REMOVEXATTR    197
#define NR_LREMOVEXATTR   198
#define NR_FREMOVEXATTR   199
#define NR_UTIMES         235
#define NR_FCHOWNAT       260
#define NR_FUTIMESAT      261
#define NR_UTIMENSAT      280
#define NR_SETXATTRAT     463
#define NR_REMOVEXATTRAT  466
#define FS_IOC_SETFLAGS   0x40086602
#define FS_IOC32_SETFLAGS 0x40046602
#define FS_IOC_FSSETXATTR 0x401c5820
#define FS_IMMUTABLE_FL   0x10
#define FS_APPEND_FL      0x20
#define FS_NODUMP_FL      0x40
#define FS_NOATIME_FL     0x80
#define UTIME_NOW         ((1L << 30) - 1)
#define UTIME_OMIT        ((1L << 30) - 2)
#define NAME_BYTES        256 /* of an extended attribute */

/* The file of a call: by descriptor where there is no path, else by the caller's path. Returns whether the kernel knows it. */
static __always_inline bool file_meant(struct file_change_record *made, s32 number, u64 path)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	if (path) {
		file_named(&made->record, &made->file, number, path);
		if (made->file.claimed.length || number == AT_FDCWD)
			return false;
		made->file.identity.flags &= ~FILE_PATH_USER; /* the path is empty: the descriptor is meant */
	}
	struct file *file = task_file(task, number);
	if (!file)
		return false;
	file_reached(&made->record, &made->file, file);
	return true;
}

CALL_HANDLER(file_chmod)
{
	struct file_change_record *made = file_change(FILE_CHMOD, call);
	if (!made)
		return 0;
	u32 number = call->number, mode = call->arguments[1];
	bool known;
	if (number == NR_FCHMOD)
		known = file_meant(made, call->arguments[0], 0);
	else if (number == NR_CHMOD)
		known = file_meant(made, AT_FDCWD, call->arguments[0]);
	else {
		known = file_meant(made, call->arguments[0], call->arguments[1]);
		mode = call->arguments[2];
	}
	made->mode = (known && !call->result ? made->file.identity.mode : mode) & 07777;
	return record_send(&made->record);
}

CALL_HANDLER(file_chown)
{
	struct file_change_record *made = file_change(FILE_CHOWN, call);
	if (!made)
		return 0;
	u32 number = call->number;
	bool known, at = number == NR_FCHOWNAT;
	if (number == NR_FCHOWN)
		known = file_meant(made, call->arguments[0], 0);
	else
		known = file_meant(made, at ? (s32)call->arguments[0] : AT_FDCWD, at ? call->arguments[1] : call->arguments[0]);
	made->uid = at ? call->arguments[2] : call->arguments[1];
	made->gid = at ? call->arguments[3] : call->arguments[2];
	if (known && !call->result) {
		made->uid = made->uid == ~0U ? ~0U : made->file.identity.owner_uid;
		made->gid = made->gid == ~0U ? ~0U : made->file.identity.owner_gid;
	}
	return record_send(&made->record);
}

CALL_HANDLER(file_setxattr)
{
	struct file_change_record *made = file_change(FILE_SETXATTR, call);
	if (!made)
		return 0;
	u32 number = call->number;
	bool at = number == NR_SETXATTRAT || number == NR_REMOVEXATTRAT;
	if (record_user_text(&made->record, &made->name, (void *)(at ? call->arguments[3] : call->arguments[1]), NAME_BYTES) < 0)
		lost(FILE_SETXATTR, LOST_UNREADABLE, made->record.cgroup);
	if (number == NR_FSETXATTR || number == NR_FREMOVEXATTR)
		file_meant(made, call->arguments[0], 0);
	else
		file_meant(made, at ? (s32)call->arguments[0] : AT_FDCWD, at ? call->arguments[1] : call->arguments[0]);
	return record_send(&made->record);
}

/* Two numbers of the caller's: seconds and a part of a second. */
static __always_inline bool file_time_pair(const struct call *call, u64 from, u32 place, s64 *seconds, s64 *part)
{
	s64 wide[2] = {};
	s32 narrow[2] = {};
	long failed;
	if (call->compat) {
		failed = bpf_probe_read_user(narrow, sizeof(narrow), (void *)(from + place * 4));
		*seconds = narrow[0];
		*part = narrow[1];
	} else {
		failed = bpf_probe_read_user(wide, sizeof(wide), (void *)(from + place * 8));
		*seconds = wide[0];
		*part = wide[1];
	}
	return !failed;
}

static __always_inline void file_time(struct file_change_record *made, const struct call *call, u64 times)
{
	s64 seconds = 0, part = 0;
	u32 number = call->number;
	made->modified = TIME_NOW;
	if (!times)
		return;
	made->modified = TIME_NONE;
	/* utime has the second of two seconds, the others the second of two pairs */
	if (!file_time_pair(call, times, number == NR_UTIME ? 0 : 2, &seconds, &part)) {
		lost(FILE_UTIME, LOST_UNREADABLE, made->record.cgroup);
		return;
	}
	if (number == NR_UTIME) {
		seconds = part;
		part = 0;
	} else if (number != NR_UTIMENSAT)
		part *= 1000;
	else if (part == UTIME_OMIT)
		return;
	made->modified = number == NR_UTIMENSAT && part == UTIME_NOW ? TIME_NOW : TIME_GIVEN;
	made->modified_seconds = seconds;
	made->modified_nanoseconds = part;
}

CALL_HANDLER(file_utime)
{
	struct file_change_record *made = file_change(FILE_UTIME, call);
	if (!made)
		return 0;
	u32 number = call->number;
	bool at = number == NR_FUTIMESAT || number == NR_UTIMENSAT;
	file_time(made, call, at ? call->arguments[2] : call->arguments[1]);
	file_meant(made, at ? (s32)call->arguments[0] : AT_FDCWD, at ? call->arguments[1] : call->arguments[0]);
	return record_send(&made->record);
}

CALL_HANDLER(file_truncate)
{
	struct file_change_record *made = file_change(FILE_TRUNCATE, call);
	if (!made)
		return 0;
	bool by_descriptor = call->number == NR_FTRUNCATE;
	bool known = file_meant(made, by_descriptor ? (s32)call->arguments[0] : AT_FDCWD, by_descriptor ? 0 : call->arguments[0]);
	made->size = known && !call->result ? made->file.identity.size : call->arguments[1];
	return record_send(&made->record);
}

/* Flags of the wider ioctl, as the older one writes them. */
static __always_inline u64 file_xflags(u32 flags)
{
	return (flags & 0x8 ? FS_IMMUTABLE_FL : 0) | (flags & 0x10 ? FS_APPEND_FL : 0) | (flags & 0x40 ? FS_NOATIME_FL : 0) |
	       (flags & 0x80 ? FS_NODUMP_FL : 0);
}

CALL_HANDLER(file_setflags)
{
	u32 command = call->arguments[1], flags = 0;
	if (command != FS_IOC_SETFLAGS && command != FS_IOC32_SETFLAGS && command != FS_IOC_FSSETXATTR)
		return 0;
	struct file_change_record *made = file_change(FILE_SETFLAGS, call);
	if (!made)
		return 0;
	if (bpf_probe_read_user(&flags, sizeof(flags), (void *)call->arguments[2]))
		lost(FILE_SETFLAGS, LOST_UNREADABLE, made->record.cgroup);
	made->flags = command == FS_IOC_FSSETXATTR ? file_xflags(flags) : flags;
	file_meant(made, call->arguments[0], 0);
	return record_send(&made->record);
}
