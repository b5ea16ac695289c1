"""Flags of system calls in words."""

from __future__ import annotations

import os
from functools import lru_cache

CLONE_FLAGS = {
    0x00000100: "CLONE_VM",
    0x00000200: "CLONE_FS",
    0x00000400: "CLONE_FILES",
    0x00000800: "CLONE_SIGHAND",
    0x00001000: "CLONE_PIDFD",
    0x00002000: "CLONE_PTRACE",
    0x00004000: "CLONE_VFORK",
    0x00008000: "CLONE_PARENT",
    0x00010000: "CLONE_THREAD",
    0x00020000: "CLONE_NEWNS",
    0x00040000: "CLONE_SYSVSEM",
    0x00080000: "CLONE_SETTLS",
    0x00100000: "CLONE_PARENT_SETTID",
    0x00200000: "CLONE_CHILD_CLEARTID",
    0x00800000: "CLONE_UNTRACED",
    0x01000000: "CLONE_CHILD_SETTID",
    0x02000000: "CLONE_NEWCGROUP",
    0x04000000: "CLONE_NEWUTS",
    0x08000000: "CLONE_NEWIPC",
    0x10000000: "CLONE_NEWUSER",
    0x20000000: "CLONE_NEWPID",
    0x40000000: "CLONE_NEWNET",
    0x80000000: "CLONE_IO",
    0x200000000: "CLONE_INTO_CGROUP",
}
"""Source: linux/sched.h."""


@lru_cache(maxsize=1024)
def clone_flags(bits: int) -> list[str]:
    """Names of the flags. The list is shared: never change it."""
    return [name for flag, name in CLONE_FLAGS.items() if bits & flag]


OPEN_ACCESS = ("O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE")
OPEN_FLAGS = {
    os.O_CREAT: "O_CREAT",
    os.O_EXCL: "O_EXCL",
    os.O_NOCTTY: "O_NOCTTY",
    os.O_TRUNC: "O_TRUNC",
    os.O_APPEND: "O_APPEND",
    os.O_NONBLOCK: "O_NONBLOCK",
    os.O_DSYNC: "O_DSYNC",
    os.O_SYNC & ~os.O_DSYNC: "O_SYNC",
    os.O_ASYNC: "O_ASYNC",
    os.O_DIRECT: "O_DIRECT",
    os.O_DIRECTORY: "O_DIRECTORY",
    os.O_NOFOLLOW: "O_NOFOLLOW",
    os.O_NOATIME: "O_NOATIME",
    os.O_CLOEXEC: "O_CLOEXEC",
    os.O_PATH: "O_PATH",
    os.O_TMPFILE & ~os.O_DIRECTORY: "O_TMPFILE",
}
INODE_FLAGS = {
    0x00000001: "secure_deletion",
    0x00000002: "undelete",
    0x00000004: "compressed",
    0x00000008: "synchronous",
    0x00000010: "immutable",
    0x00000020: "append_only",
    0x00000040: "no_dump",
    0x00000080: "no_access_time",
    0x00004000: "journal_data",
    0x00010000: "directory_synchronous",
    0x00020000: "top_directory",
    0x00800000: "no_copy_on_write",
    0x02000000: "direct_access",
    0x20000000: "project_inherit",
    0x40000000: "case_insensitive",
}
"""Source: linux/fs.h, FS_*_FL."""


@lru_cache(maxsize=1024)
def open_flags(bits: int) -> list[str]:
    """Names of the flags of an open, how it is accessed first. The list is shared: never change it."""
    return [OPEN_ACCESS[bits & os.O_ACCMODE], *(name for flag, name in OPEN_FLAGS.items() if bits & flag)]


@lru_cache(maxsize=256)
def inode_flags(bits: int) -> list[str]:
    """Names of flags of an inode. The list is shared: never change it."""
    return [name for flag, name in INODE_FLAGS.items() if bits & flag]
