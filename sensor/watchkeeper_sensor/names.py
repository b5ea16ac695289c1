"""Numbers of the kernel in words: capabilities, errors, devices, file types."""

from __future__ import annotations

import errno
import stat
from functools import lru_cache

CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE"),
    *("NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN"),
    *("SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE"),
    *("MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE"),
)
"""By number, without `CAP_`. Source: linux/capability.h."""

FILE_TYPES = {
    stat.S_IFREG: "regular",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFBLK: "block",
    stat.S_IFCHR: "character",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}

FILE_SYSTEMS = {
    0x794C7630: "overlay",
    0x01021994: "tmpfs",
    0x9FA0: "proc",
    0x62656572: "sysfs",
    0x63677270: "cgroup2",
    0x27E0EB: "cgroup",
    0xEF53: "ext4",
    0x58465342: "xfs",
    0x9123683E: "btrfs",
    0x64626720: "debugfs",
    0x74726163: "tracefs",
    0x73636673: "securityfs",
    0xCAFE4A11: "bpf",
    0x1CD1: "devpts",
    0x958458F6: "hugetlbfs",
    0x50495045: "pipefs",
    0x534F434B: "sockfs",
    0x09041934: "anon_inodefs",
    0x6E736673: "nsfs",
    0x42494E4D: "binfmt_misc",
    0x6969: "nfs",
    0x65735546: "fuse",
    0x73717368: "squashfs",
    0x858458F6: "ramfs",
}
"""Magic number of a file system → its type. Source: linux/magic.h; others are named by their number."""


@lru_cache(maxsize=4096)
def capability_names(bits: int) -> list[str]:
    """Names such as `CAP_SYS_ADMIN`. The list is shared: never change it."""
    return [f"CAP_{CAPABILITIES[number] if number < len(CAPABILITIES) else number}" for number in range(64) if bits >> number & 1]


def error_name(result: int) -> str | None:
    """`EACCES` of -13; None for a call that succeeded."""
    return errno.errorcode.get(-result, str(-result)) if -4096 < result < 0 else None


def device_name(device: int) -> str:
    """`MAJOR:MINOR` of the kernel's own dev_t."""
    return f"{device >> 20}:{device & 0xFFFFF}"


def file_type(mode: int) -> str | None:
    return FILE_TYPES.get(stat.S_IFMT(mode))


def file_system(magic: int) -> str:
    return FILE_SYSTEMS.get(magic) or hex(magic)
