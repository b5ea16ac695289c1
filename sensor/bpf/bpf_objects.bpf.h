/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
 * BPF programs, maps and links, behind descriptors.
 */
#pragma once

#define BPF_NAME_BYTES 16

enum bpf_command {
	BPF_COMMAND_MAP_CREATE = 0,
	BPF_COMMAND_MAP_UPDATE = 2,
	BPF_COMMAND_MAP_DELETE = 3,
	BPF_COMMAND_PROG_LOAD = 5,
	BPF_COMMAND_OBJ_PIN = 6,
	BPF_COMMAND_PROG_ATTACH = 8,
	BPF_COMMAND_PROG_DETACH = 9,
	BPF_COMMAND_RAW_TRACEPOINT_OPEN = 17,
	BPF_COMMAND_MAP_LOOKUP_AND_DELETE = 21,
	BPF_COMMAND_MAP_FREEZE = 22,
	BPF_COMMAND_MAP_LOOKUP_AND_DELETE_BATCH = 25,
	BPF_COMMAND_MAP_UPDATE_BATCH = 26,
	BPF_COMMAND_MAP_DELETE_BATCH = 27,
	BPF_COMMAND_LINK_CREATE = 28,
	BPF_COMMAND_LINK_UPDATE = 29,
	BPF_COMMAND_LINK_DETACH = 34,
};

enum bpf_prog_type { BPF_PROG_TYPE_UNSPEC };
enum bpf_attach_type { BPF_CGROUP_INET_INGRESS };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct bpf_prog_aux {
	u32 id;
	const char *attach_func_name;
	char name[16];
};

struct bpf_prog {
	u16 kprobe_override : 1;
	enum bpf_prog_type type;
	enum bpf_attach_type expected_attach_type;
	u8 tag[8];
	struct bpf_prog_aux *aux;
};

struct bpf_map {
	enum bpf_map_type map_type;
	u32 id;
	char name[16];
};

struct bpf_link {
	u32 id;
	struct bpf_prog *prog;
};

#pragma clang attribute pop

enum bpf_object {
	BPF_OBJECT_NONE,
	BPF_OBJECT_PROGRAM,
	BPF_OBJECT_MAP,
	BPF_OBJECT_LINK,
};

/* What a descriptor's file holds, by the name that the kernel gives such files. */
static __always_inline enum bpf_object bpf_object_of(struct file *file)
{
	char name[10] = {};
	if (!file)
		return BPF_OBJECT_NONE;
	bpf_probe_read_kernel(name, 9, BPF_CORE_READ(file, f_path.dentry, d_name.name));
	if (name[0] != 'b' || name[1] != 'p' || name[2] != 'f' || (name[3] != '-' && name[3] != '_'))
		return BPF_OBJECT_NONE;
	if (name[4] == 'p')
		return BPF_OBJECT_PROGRAM;
	if (name[4] == 'm')
		return BPF_OBJECT_MAP;
	return name[4] == 'l' ? BPF_OBJECT_LINK : BPF_OBJECT_NONE;
}
