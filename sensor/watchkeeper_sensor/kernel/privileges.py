"""The agent gives up what it no longer needs once its programs are loaded.

What stays: loading and reading programs when policies change (BPF, PERFMON, NET_ADMIN for cgroup programs, SYS_ADMIN where the kernel still asks for
it), looking into processes and files of others (SYS_PTRACE, DAC_READ_SEARCH), and its own limits (SYS_RESOURCE). What goes: everything by which a taken-over
agent could change the host's files, users, modules or devices.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from watchkeeper_sensor.kernel.libbpf import BpfError

KEPT = {"CAP_DAC_READ_SEARCH": 2, "CAP_NET_ADMIN": 12, "CAP_SYS_PTRACE": 19, "CAP_SYS_ADMIN": 21, "CAP_SYS_RESOURCE": 24, "CAP_PERFMON": 38, "CAP_BPF": 39}
"""Name → number. Source: linux/capability.h."""
HIGHEST = 63
VERSION_3 = 0x20080522
PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 23, 24, 38, 47, 4


NICENESS = -10
CLONE_NEWCGROUP = 0x02000000


def go_first() -> bool:
    """Have processors before programs of usual priority do: a busy host must not make the sensor blind. Whether it is so; it takes CAP_SYS_NICE."""
    if os.getpriority(os.PRIO_PROCESS, 0) > NICENESS:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
        except PermissionError:
            return os.getpriority(os.PRIO_PROCESS, 0) < 0  # whoever started us said how much we get
    return True


def see_host_cgroups() -> str:
    """See paths of cgroups as the host's first process does: from a pod's own namespace they lie above its root. Why not, where that can't be.

    It takes CAP_SYS_ADMIN, CAP_SYS_PTRACE and the host's pid namespace. Threads that are started later see the same.
    """
    host = Path("/proc/1/ns/cgroup")
    try:
        if host.stat().st_ino == Path("/proc/self/ns/cgroup").stat().st_ino:
            return ""
        number = os.open(host, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        return f"the host's first process can't be looked at ({error.strerror}): hostPID and CAP_SYS_PTRACE are needed"
    try:
        if ctypes.CDLL(None, use_errno=True).setns(number, CLONE_NEWCGROUP):
            return f"the host's cgroup namespace can't be entered: {os.strerror(ctypes.get_errno())}"
    finally:
        os.close(number)
    return ""


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Half(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def give_up() -> None:
    """Drop all capabilities but KEPT from every set of this thread, for good. Threads that are started later have no more. Raises BpfError.

    The file that the history is kept in was opened before; root still owns its files.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    for number in range(HIGHEST + 1):
        if number not in KEPT.values() and libc.prctl(PR_CAPBSET_READ, number, 0, 0, 0) == 1 and libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0):
            raise BpfError(ctypes.get_errno(), "could not give up a capability")
    libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header, halves = _Header(VERSION_3, 0), (_Half * 2)()
    if libc.capget(ctypes.byref(header), halves):
        raise BpfError(ctypes.get_errno(), "could not read the capabilities")
    kept = sum(1 << number for number in KEPT.values())
    for place, half in enumerate(halves):
        mask = kept >> (32 * place) & 0xFFFFFFFF
        half.effective &= mask
        half.permitted &= mask
        half.inheritable = 0
    if libc.capset(ctypes.byref(header), halves):
        raise BpfError(ctypes.get_errno(), "could not give up the capabilities")
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise BpfError(ctypes.get_errno(), "could not give up new privileges")
