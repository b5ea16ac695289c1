"""What the sensor sees in the kernel: kinds of events, and the object that each carries beside process, container, pod, node and syscall.

*exact* fields are the kernel's own words (identity of a file, ports, ids, flags), decided without error in the hook; a field that only the caller's memory could tell is
*untrusted* and never exact. Fields of a container or pod are exact because a hook decides them by the cgroup, and an unknown cgroup is never acted upon.
"""

from watchkeeper_detection.fields import Kind
from watchkeeper_detection.vocabulary import kernel_file, kernel_network, kernel_process, kernel_sensor, kernel_system, kernel_workload

_COMMON = ("process", "container", "pod", "node", "syscall")


def _kind(name: str, doc: str, *roots: str) -> Kind:
    return Kind(name, doc, (*_COMMON, *roots))


KINDS = (
    # processes
    _kind("process.exec", "A process began to run another program; `process` is what it became.", "exec"),
    _kind("process.exec_failed", "A process tried to run a program and the kernel refused; `process` is who tried.", "exec"),
    _kind("process.fork", "A process made a child; `process` is the one that made it.", "fork"),
    _kind("process.exit", "A process ended (its last thread is gone).", "exit"),
    _kind("process.ptrace", "A process attached to, or wrote into, another one by ptrace, or asked to be traced itself.", "ptrace", "target_process"),
    _kind("process.memory_read", "A process read another one's memory: process_vm_readv, or /proc/PID/mem opened for it.", "memory_access", "target_process"),
    _kind(
        "process.memory_write", "A process wrote another one's memory: process_vm_writev, or /proc/PID/mem opened for it.", "memory_access", "target_process"
    ),
    _kind("process.signal", "A process sent a signal to a process other than itself.", "signal", "target_process"),
    _kind("process.prctl", "A process renamed itself (its main thread) or moved its argument or program boundaries (prctl PR_SET_NAME, PR_SET_MM).", "prctl"),
    _kind("process.personality", "A process changed its execution domain, for example to run without address randomisation.", "personality"),
    _kind("process.compat_call", "A 64-bit process made its first 32-bit system call, as evasions of 64-bit-only sensors do."),
    # credentials
    _kind("credentials.change", "A process changed its user or group ids (set*id family).", "credentials"),
    _kind("credentials.capabilities", "A process changed its capabilities (capset, ambient set).", "credentials"),
    _kind("credentials.unexplained", "A process holds more rights than any system call of its own gave it: the trace of a kernel exploit.", "credentials"),
    # files
    _kind("file.open", "A file was opened, also through openat2, io_uring or a descriptor received, or the kernel denied it (`syscall.error`).", "file"),
    _kind("file.open_by_handle", "A file was opened by handle (open_by_handle_at), which steps over path permissions and mount borders.", "file"),
    _kind("file.create", "A file came into being: open with O_CREAT, creat, O_TMPFILE.", "file"),
    _kind(
        "file.write",
        "First write of a process to a file since it opened it, or a shared mapping for writing; later writes of the same are not repeated.",
        "file",
    ),
    _kind("file.rename", "A file or directory was renamed or exchanged.", "file"),
    _kind("file.link", "A hard link was made.", "file"),
    _kind("file.symlink", "A symbolic link was made.", "file"),
    _kind("file.unlink", "A name of a file was removed.", "file"),
    _kind("file.mkdir", "A directory was made.", "file"),
    _kind("file.rmdir", "A directory was removed.", "file"),
    _kind("file.mknod", "A device node, fifo or socket was made.", "file"),
    _kind("file.chmod", "Permission bits of a file changed.", "file"),
    _kind("file.chown", "Owner or group of a file changed.", "file"),
    _kind("file.setxattr", "An extended attribute was set or removed: file capabilities, labels.", "file"),
    _kind("file.utime", "Timestamps of a file were set.", "file"),
    _kind("file.truncate", "A file was cut to a length, as clearing a log does.", "file"),
    _kind("file.setflags", "Inode flags were set: immutable, append-only.", "file"),
    # memory and descriptors
    _kind(
        "memory.map",
        "A file was mapped executable that lies in the writable layer, on tmpfs, in a memfd or has no name; other files only where a policy asks for their path or name.",
        "memory",
        "file",
    ),
    _kind("memory.protect", "Memory became writable and executable, or executable after it had been written.", "memory"),
    _kind("memfd.create", "A file without a name was made in memory.", "memfd"),
    _kind(
        "descriptor.duplicate", "A descriptor was duplicated onto standard input, output or error, as reverse shells do.", "descriptor", "connection", "file"
    ),
    _kind("descriptor.receive", "Descriptors came in over a unix socket (SCM_RIGHTS).", "descriptor", "connection", "file"),
    _kind("descriptor.take", "A process took a descriptor out of another one (pidfd_getfd).", "descriptor", "connection", "file", "target_process"),
    _kind("descriptor.splice", "Data was spliced from a file's page cache into a pipe (the shape of page-cache corruption).", "descriptor", "file"),
    # network
    _kind(
        "network.connect",
        "A process began to open a connection (`network.close` says whether it came about), or set the peer of a datagram socket.",
        "connection",
    ),
    _kind("network.accept", "A process accepted a connection.", "connection"),
    _kind("network.listen", "A process began to listen for connections of TCP or SCTP.", "connection"),
    _kind(
        "network.close",
        "A connection of TCP ended, its bytes and duration known; or an attempt to open one came to nothing: `syscall.error` says why, `ECANCELED` when it was given up.",
        "connection",
    ),
    _kind("network.send", "First datagram of a process to one address and port, through a socket that is not connected.", "connection"),
    _kind("network.socket", "A socket of an unusual family or type was made or denied: raw, packet, vsock, netlink, AF_ALG.", "connection"),
    _kind("dns.question", "A process asked a name server, over UDP or TCP.", "dns", "connection"),
    _kind("dns.answer", "A name server answered a process.", "dns", "connection"),
    # isolation and mounts
    _kind("isolation.setns", "A process entered another namespace.", "setns", "target_process"),
    _kind("isolation.unshare", "A process made new namespaces for itself, or a child in new ones (unshare, clone flags).", "unshare"),
    _kind("isolation.chroot", "A process changed its root directory (chroot, pivot_root).", "chroot"),
    _kind("mount.mount", "A file system was mounted or bound (mount, fsmount followed by move_mount).", "mount"),
    _kind("mount.unmount", "A file system was unmounted.", "mount"),
    _kind("mount.move", "A mount was moved onto another place (move_mount, MS_MOVE).", "mount"),
    _kind("mount.clone", "A mount tree was cloned without a place yet (open_tree).", "mount"),
    _kind("mount.change", "Attributes of a mount changed: remount, propagation, mount_setattr.", "mount"),
    _kind("mount.prepare", "A file system context was made and configured (fsopen, fspick, fsconfig, fsmount).", "mount"),
    # kernel interfaces
    _kind("module.load", "A kernel module was loaded.", "module", "file"),
    _kind("module.unload", "A kernel module was removed.", "module"),
    _kind("kexec.load", "Another kernel was loaded, to be booted without the firmware.", "kexec", "file"),
    _kind("bpf.load", "A BPF program or map was made by bpf().", "bpf"),
    _kind("bpf.attach", "A BPF program was attached, linked, detached or pinned.", "bpf"),
    _kind("bpf.discovered", "The inventory found a BPF program that no bpf() call we saw had loaded.", "bpf"),
    _kind("perf.open", "A performance event was opened, which can read other processes and the kernel.", "perf", "target_process"),
    _kind("keyring.call", "A process used the kernel's keys: add_key, request_key, keyctl.", "keyring"),
    _kind("userfaultfd.create", "A process took over the handling of page faults, as race exploits do.", "userfaultfd"),
    _kind("io_uring.create", "A process made an io_uring, through which work is done without system calls.", "io_uring"),
    _kind(
        "io_uring.operation",
        "An operation of an io_uring that has no kind of its own; an open, rename, link, unlink or connect through a ring comes as that kind, with `syscall.io_uring`.",
        "io_uring",
    ),
    _kind("clock.set", "The system clock was set or stepped.", "clock"),
    _kind("tty.inject", "A process pushed input into a terminal (TIOCSTI), as if a person had typed it.", "tty"),
    # containers and the sensor
    _kind("container.start", "A container started; its privileges, mounts and namespaces are in `container`."),
    _kind("container.stop", "A container's last process is gone."),
    *kernel_sensor.KINDS,
)

FIELDS = (
    *kernel_process.FIELDS,
    *kernel_workload.FIELDS,
    *kernel_file.FIELDS,
    *kernel_network.FIELDS,
    *kernel_system.FIELDS,
    *kernel_sensor.FIELDS,
)
