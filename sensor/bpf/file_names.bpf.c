// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Names of files: renamed, linked, made and removed.
 *
 * Hook: the end of the calls. No descriptor leads to what they did, so paths are the caller's (and marked so), with the directory that a
 * relative one starts at from the kernel. Links on the way are not followed. Cost: about 1 µs of a call of several.
 */
#include "file.bpf.h"

#define NR_RENAME    82
#define NR_MKDIR     83
#define NR_RMDIR     84
#define NR_LINK      86
#define NR_UNLINK    87
#define NR_SYMLINK   88
#define NR_MKNOD     133
#define NR_MKDIRAT   258
#define NR_MKNODAT   259
#define NR_RENAMEAT2 316
#define AT_REMOVEDIR 0x200
#define S_IFDIR      0040000

RECORD_LAYOUT(file_change_record);

/* Both paths first, so that there is room for them whatever the directories. */
static __always_inline void file_two_names(struct file_change_record *made, s32 from, u64 path, s32 to, u64 new_path)
{
	made->file.identity.flags |= FILE_PATH_USER;
	file_claimed(&made->record, &made->file.claimed, (void *)path);
	file_claimed(&made->record, &made->new_claimed, (void *)new_path);
	file_directory(&made->record, &made->file.directory, &made->file.claimed, from, &made->file.identity.flags);
	file_directory(&made->record, &made->new_directory, &made->new_claimed, to, &made->file.identity.flags);
}

CALL_HANDLER(file_rename)
{
	struct file_change_record *made = file_change(FILE_RENAME, call);
	bool at = call->number != NR_RENAME;
	if (!made)
		return 0;
	made->flags = call->number == NR_RENAMEAT2 ? (u32)call->arguments[4] : 0;
	file_two_names(made, at ? (s32)call->arguments[0] : AT_FDCWD, at ? call->arguments[1] : call->arguments[0],
		       at ? (s32)call->arguments[2] : AT_FDCWD, at ? call->arguments[3] : call->arguments[1]);
	return record_send(&made->record);
}

CALL_HANDLER(file_link)
{
	struct file_change_record *made = file_change(FILE_LINK, call);
	struct task_struct *task = (void *)bpf_get_current_task();
	bool at = call->number != NR_LINK;
	if (!made)
		return 0;
	file_two_names(made, at ? (s32)call->arguments[0] : AT_FDCWD, at ? call->arguments[1] : call->arguments[0],
		       at ? (s32)call->arguments[2] : AT_FDCWD, at ? call->arguments[3] : call->arguments[1]);
	if (at && call->arguments[4] & AT_EMPTY_PATH && !made->file.claimed.length)
		file_know(&made->file, task_file(task, call->arguments[0])); /* its path is the new one */
	return record_send(&made->record);
}

CALL_HANDLER(file_symlink)
{
	struct file_change_record *made = file_change(FILE_SYMLINK, call);
	bool at = call->number != NR_SYMLINK;
	if (!made)
		return 0;
	file_claimed(&made->record, &made->name, (void *)call->arguments[0]);
	file_named(&made->record, &made->file, at ? (s32)call->arguments[1] : AT_FDCWD, at ? call->arguments[2] : call->arguments[1]);
	return record_send(&made->record);
}

CALL_HANDLER(file_unlink)
{
	bool at = call->number != NR_UNLINK && call->number != NR_RMDIR;
	bool directory = call->number == NR_RMDIR || (at && call->arguments[2] & AT_REMOVEDIR);
	struct file_change_record *made = file_change(directory ? FILE_RMDIR : FILE_UNLINK, call);
	if (!made)
		return 0;
	file_named(&made->record, &made->file, at ? (s32)call->arguments[0] : AT_FDCWD, at ? call->arguments[1] : call->arguments[0]);
	return record_send(&made->record);
}

CALL_HANDLER(file_make)
{
	bool at = call->number == NR_MKDIRAT || call->number == NR_MKNODAT;
	bool directory = call->number == NR_MKDIR || call->number == NR_MKDIRAT;
	struct file_change_record *made = file_change(directory ? FILE_MKDIR : FILE_MKNOD, call);
	struct task_struct *task = (void *)bpf_get_current_task();
	if (!made)
		return 0;
	u32 mode = at ? call->arguments[2] : call->arguments[1], type = directory ? S_IFDIR : mode & S_IFMT;
	if (!type)
		type = S_IFREG;
	made->mode = type | (mode & 07777 & ~BPF_CORE_READ(task, fs, umask));
	if (!directory)
		made->device_number = at ? call->arguments[3] : call->arguments[2];
	file_named(&made->record, &made->file, at ? (s32)call->arguments[0] : AT_FDCWD, at ? call->arguments[1] : call->arguments[0]);
	return record_send(&made->record);
}
