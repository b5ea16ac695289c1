"""Requests and flags of ptrace, prctl, namespaces and mounts in words.

Source: the kernel's uapi headers (linux/ptrace.h, linux/prctl.h, linux/sched.h, linux/mount.h, linux/fs.h); numbers never change once given.
"""

from __future__ import annotations

import signal
from functools import lru_cache

PTRACE_REQUESTS = {
    0: "PTRACE_TRACEME",
    4: "PTRACE_POKETEXT",
    5: "PTRACE_POKEDATA",
    6: "PTRACE_POKEUSR",
    13: "PTRACE_SETREGS",
    15: "PTRACE_SETFPREGS",
    16: "PTRACE_ATTACH",
    19: "PTRACE_SETFPXREGS",
    0x4205: "PTRACE_SETREGSET",
    0x4206: "PTRACE_SEIZE",
    0x4212: "PTRACE_SET_SYSCALL_INFO",
}

PR_SET_MM = 35
PRCTL_BOUNDARIES = (
    "",
    "START_CODE",
    "END_CODE",
    "START_DATA",
    "END_DATA",
    "START_STACK",
    "START_BRK",
    "BRK",
    "ARG_START",
    "ARG_END",
    "ENV_START",
    "ENV_END",
    "AUXV",
    "EXE_FILE",
    "MAP",
    "MAP_SIZE",
)
"""What PR_SET_MM moves, by number."""

NAMESPACE_FLAGS = {
    0x00020000: "mount",
    0x20000000: "process",
    0x40000000: "network",
    0x10000000: "user",
    0x04000000: "uts",
    0x08000000: "ipc",
    0x02000000: "cgroup",
    0x00000080: "time",
}
"""CLONE_NEW* → our word."""

NAMESPACE_TYPES = {
    "mnt": "mount",
    "pid": "process",
    "pid_for_children": "process",
    "net": "network",
    "user": "user",
    "uts": "uts",
    "ipc": "ipc",
    "cgroup": "cgroup",
    "time": "time",
    "time_for_children": "time",
}
"""The kernel's name of a namespace's type → our word."""

MOUNT_FLAGS = {
    0x1: "MS_RDONLY",
    0x2: "MS_NOSUID",
    0x4: "MS_NODEV",
    0x8: "MS_NOEXEC",
    0x10: "MS_SYNCHRONOUS",
    0x20: "MS_REMOUNT",
    0x40: "MS_MANDLOCK",
    0x80: "MS_DIRSYNC",
    0x100: "MS_NOSYMFOLLOW",
    0x400: "MS_NOATIME",
    0x800: "MS_NODIRATIME",
    0x1000: "MS_BIND",
    0x2000: "MS_MOVE",
    0x4000: "MS_REC",
    0x8000: "MS_SILENT",
    0x10000: "MS_POSIXACL",
    0x20000: "MS_UNBINDABLE",
    0x40000: "MS_PRIVATE",
    0x80000: "MS_SLAVE",
    0x100000: "MS_SHARED",
    0x200000: "MS_RELATIME",
    0x800000: "MS_I_VERSION",
    0x1000000: "MS_STRICTATIME",
    0x2000000: "MS_LAZYTIME",
}
MOUNT_ATTRIBUTES = {
    0x1: "MOUNT_ATTR_RDONLY",
    0x2: "MOUNT_ATTR_NOSUID",
    0x4: "MOUNT_ATTR_NODEV",
    0x8: "MOUNT_ATTR_NOEXEC",
    0x10: "MOUNT_ATTR_NOATIME",
    0x20: "MOUNT_ATTR_STRICTATIME",
    0x80: "MOUNT_ATTR_NODIRATIME",
    0x100000: "MOUNT_ATTR_IDMAP",
    0x200000: "MOUNT_ATTR_NOSYMFOLLOW",
}
UNMOUNT_FLAGS = {0x1: "MNT_FORCE", 0x2: "MNT_DETACH", 0x4: "MNT_EXPIRE", 0x8: "UMOUNT_NOFOLLOW"}
MOVE_FLAGS = {
    0x1: "MOVE_MOUNT_F_SYMLINKS",
    0x2: "MOVE_MOUNT_F_AUTOMOUNTS",
    0x4: "MOVE_MOUNT_F_EMPTY_PATH",
    0x10: "MOVE_MOUNT_T_SYMLINKS",
    0x20: "MOVE_MOUNT_T_AUTOMOUNTS",
    0x40: "MOVE_MOUNT_T_EMPTY_PATH",
    0x100: "MOVE_MOUNT_SET_GROUP",
    0x200: "MOVE_MOUNT_BENEATH",
}
OPEN_TREE_FLAGS = {0x1: "OPEN_TREE_CLONE", 0x8000: "AT_RECURSIVE"}
PROPAGATIONS = {0x20000: "unbindable", 0x40000: "private", 0x80000: "slave", 0x100000: "shared"}


@lru_cache(maxsize=1024)
def namespace_types(flags: int) -> list[str]:
    """Words of CLONE_NEW* flags. The list is shared: never change it."""
    return [word for flag, word in NAMESPACE_FLAGS.items() if flags & flag]


def signal_name(number: int) -> str | None:
    """`SIGKILL` of 9; None for a number that has no name."""
    first, last = signal.SIGRTMIN, signal.SIGRTMAX
    if first <= number <= last:
        return f"SIGRTMIN+{number - first}" if number > first else "SIGRTMIN"
    try:
        return signal.Signals(number).name
    except ValueError:
        return None
