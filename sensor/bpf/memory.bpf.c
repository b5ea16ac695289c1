// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Memory that may be executed, and files that live in memory alone.
 *
 * Hook: the end of mmap, mprotect, pkey_mprotect, shmat and memfd_create. What came of the call is read from the kernel's tree of areas:
 * a descriptor swapped meanwhile, an execution domain that makes all memory executable, or a range over several areas change nothing.
 * Of mapped files only those are told that no package put there (upper layer, memfd, no name, tmpfs) and those that a policy names: every
 * exec maps a dozen libraries. Cost: up to 40 ns of a call without PROT_EXEC, 4 µs of one that is told (measured with a reader beside it).
 */
#include "program.bpf.h"
#include "records_memory.h"
#include "area.bpf.h"

#define PROT_READ             0x1
#define PROT_WRITE            0x2
#define PROT_EXEC             0x4
#define MAP_ANONYMOUS         0x20
#define MAP_HUGETLB           0x40000
#define READ_IMPLIES_EXEC     0x0400000
#define SHM_EXEC              0100000
#define NR_SHMAT              30
#define RAMFS_MAGIC           0x858458f6
#define HUGETLBFS_MAGIC       0x958458f6
#define ANY_WAY               (HOST_READ | HOST_WRITE | CONTAINER_READ | CONTAINER_WRITE)
#define TELLS_PROTECT         1 /* as WANTED is */
#define TELLS_MAP             2
#define AREAS_OF_ONE_MPROTECT 4
#define PAGE_BYTES            4096
#define STACK_SLACK           0x2000 /* between the environment and the end of the stack: name of the program, alignment */

RECORD_LAYOUT(memory_record);
RECORD_LAYOUT(memfd_record);

/* A number for a second record of the same act. */
static __always_inline u64 record_id(void)
{
	u32 zero = 0;
	u64 *count = bpf_map_lookup_elem(&sequence, &zero);
	return count ? (u64)bpf_get_smp_processor_id() << 48 | ++*count : 0;
}

static __always_inline bool memory_may_execute(u64 protection)
{
	if (protection & PROT_EXEC)
		return true;
	struct task_struct *task = (void *)bpf_get_current_task();
	return protection & PROT_READ && BPF_CORE_READ(task, personality) & READ_IMPLIES_EXEC;
}

static __always_inline u32 memory_place(u64 address)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	u64 top = BPF_CORE_READ(mm, env_end) + STACK_SLACK, pages = BPF_CORE_READ(mm, stack_vm);
	if (address >= BPF_CORE_READ(mm, start_brk) && address < BPF_CORE_READ(mm, brk))
		return AREA_HEAP;
	if (address < top && address >= top - STACK_SLACK - pages * PAGE_BYTES)
		return AREA_STACK;
	return AREA_MAPPING;
}

/* 1 unless 0, without a branch: the verifier would follow each combination of flags. */
static __always_inline u32 memory_is(u64 value)
{
	return (value | -value) >> 63;
}

static __always_inline u32 memory_flags(struct vm_area_struct *area)
{
	u64 has = BPF_CORE_READ(area, vm_flags), written = (u64)BPF_CORE_READ(area, anon_vma), file = (u64)BPF_CORE_READ(area, vm_file);
	return MEMORY_AREA_KNOWN | memory_is(has & VM_WRITE) * MEMORY_WRITABLE | memory_is(has & VM_EXEC) * MEMORY_EXECUTABLE |
	       memory_is(has & VM_HUGETLB) * MEMORY_HUGE_PAGES | memory_is(has & VM_SHARED) * MEMORY_SHARED | memory_is(written) * MEMORY_WRITTEN |
	       (1 - memory_is(file)) * MEMORY_ANONYMOUS;
}

/* What the caller asked for, on a kernel whose areas we can't find. */
static __always_inline u32 memory_flags_asked(u64 protection, u64 flags)
{
	return (protection & PROT_WRITE ? MEMORY_WRITABLE : 0) | MEMORY_EXECUTABLE | (flags & MAP_ANONYMOUS ? MEMORY_ANONYMOUS : 0) |
	       (flags & MAP_HUGETLB ? MEMORY_HUGE_PAGES : 0);
}

/* Whether a mapped file is one that is told of. */
static __always_inline bool memory_file_is_told(struct file_identity *identity, struct path_buffer *buffer, struct path_found found,
						struct dentry *dentry)
{
	u64 magic = identity->magic;
	if (identity->flags & (FILE_UPPER | FILE_MEMFD | FILE_UNLINKED))
		return true;
	if (magic == TMPFS_MAGIC || magic == RAMFS_MAGIC || magic == HUGETLBFS_MAGIC)
		return true;
	return (path_kinds_of(buffer, found, ANY_WAY) | path_kinds(path_name_set(buffer, dentry), ANY_WAY)) >> MEMORY_MAP & 1;
}

/* Tell of executable memory: as memory.map where a file is behind it, as memory.protect where it was or is writable. One record serves
 * both, so that the path is walked once. What is to be told lies in the record and is volatile there, for the verifier would follow each of
 * its values through the walk.
 */
static __always_inline int memory_tell(const struct call *call, u64 address, u64 size, u32 flags, u32 protects, struct file *file)
{
	struct memory_record *made = record_begin_call(MEMORY_PROTECT, sizeof(*made), call);
	struct path_buffer *buffer = path_buffer();
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	if (!made || !buffer)
		return 0;
	volatile u32 *tells = &made->tells;
	*tells = protects;
	made->address = address;
	made->size = size;
	made->flags = flags;
	made->area = memory_place(address);
	made->record.result = 0;
	if (file) {
		path_identity(&made->file, file);
		struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
		struct path_found found = path_find(buffer, dentry, BPF_CORE_READ(file, f_path.mnt), __builtin_preserve_access_index(&fs->root));
		if (found.truncated)
			made->file.flags |= FILE_PATH_TRUNCATED;
		if (record_is_wanted(MEMORY_MAP) && memory_file_is_told(&made->file, buffer, found, dentry))
			*tells |= TELLS_MAP;
		if (*tells)
			path_append(&made->record, &made->path, buffer, found);
	}
	if (*tells & TELLS_PROTECT)
		record_send(&made->record);
	if (*tells & TELLS_MAP) {
		made->record.kind = MEMORY_MAP;
		made->record.id = record_id();
		record_send(&made->record);
	}
	return 0;
}

CALL_HANDLER(memory_map)
{
	bool attaches = call->number == NR_SHMAT;
	u64 protection = attaches ? (call->arguments[2] & SHM_EXEC ? PROT_EXEC : 0) | PROT_READ : call->arguments[2];
	u64 address = call->result, size = attaches ? 0 : call->arguments[1];
	struct task_struct *task = (void *)bpf_get_current_task();
	/* the oldest 32-bit mmap has its arguments in memory: its area says what it did */
	if (!call->compat && !memory_may_execute(protection))
		return 0;
	if ((call->result < 0 && call->result > -4096) || record_of_quiet_process())
		return 0;
	struct vm_area_struct *area = area_of(address);
	u32 flags = area ? memory_flags(area) : memory_flags_asked(protection, call->arguments[3]);
	struct file *file = 0;
	if (area) {
		file = BPF_CORE_READ(area, vm_file);
		if (attaches || call->compat)
			size = BPF_CORE_READ(area, vm_end) - address;
	} else if (!(flags & MEMORY_ANONYMOUS) && !attaches)
		file = task_file(task, call->arguments[4]);
	u32 protects = memory_is(flags & MEMORY_WRITABLE) & record_is_wanted(MEMORY_PROTECT);
	if (!(flags & MEMORY_EXECUTABLE) || !(file || protects))
		return 0;
	return memory_tell(call, address, size, flags & ~MEMORY_WRITTEN, protects, file);
}

/* Of the areas in a range the first that is, or was, writable or has a file; 0 when none is executable. */
static __always_inline struct vm_area_struct *memory_area_in(u64 address, u64 end, u32 *flags)
{
	for (int number = 0; number < AREAS_OF_ONE_MPROTECT && address < end; number++) {
		struct vm_area_struct *area = area_of(address);
		if (!area)
			return 0;
		*flags = memory_flags(area);
		if (*flags & MEMORY_EXECUTABLE && (*flags & (MEMORY_WRITABLE | MEMORY_WRITTEN | MEMORY_SHARED) || !(*flags & MEMORY_ANONYMOUS)))
			return area;
		address = BPF_CORE_READ(area, vm_end);
	}
	return 0;
}

CALL_HANDLER(memory_protect)
{
	u64 address = call->arguments[0], size = call->arguments[1];
	u32 flags = 0;
	if (call->result != 0 || !memory_may_execute(call->arguments[2]) || record_of_quiet_process())
		return 0;
	struct vm_area_struct *area = memory_area_in(address, address + size, &flags);
	if (!area)
		return 0;
	u32 shared = memory_is(flags & MEMORY_SHARED) & memory_is(BPF_CORE_READ(area, vm_flags) & VM_MAYWRITE);
	u32 protects = (shared | memory_is(flags & (MEMORY_WRITABLE | MEMORY_WRITTEN))) & record_is_wanted(MEMORY_PROTECT);
	struct file *file = BPF_CORE_READ(area, vm_file);
	return file || protects ? memory_tell(call, address, size, flags, protects, file) : 0;
}

CALL_HANDLER(memfd_create)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	if (call->result < 0 || !record_is_wanted(MEMFD_CREATE) || record_of_quiet_process())
		return 0;
	struct memfd_record *made = record_begin_call(MEMFD_CREATE, sizeof(*made), call);
	struct file *file = task_file(task, call->result);
	if (!made || !file)
		return 0;
	made->flags = call->arguments[1];
	made->mode = BPF_CORE_READ(file, f_inode, i_mode);
	made->huge_pages = BPF_CORE_READ(file, f_inode, i_sb, s_magic) == HUGETLBFS_MAGIC;
	record_text(&made->record, &made->name, BPF_CORE_READ(file, f_path.dentry, d_name.name), 256);
	return record_send(&made->record);
}
