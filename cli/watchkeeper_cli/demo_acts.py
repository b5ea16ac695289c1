"""The acts of `watchkeeper up --demo`: harmless, on files of our own, in processes of their own. Run as `python -m watchkeeper_cli.demo_acts`.

Before each act its process prints its name and process id; after the last one, `done`.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PAUSE_SECONDS = 0.1
MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108 (the act is to run a program from there)


def run_from_shared_memory() -> None:
    """Copy /bin/true to shared memory and run it there."""
    folder = Path(tempfile.mkdtemp(prefix="watchkeeper-demo-", dir=MEMORY_FOLDER))
    try:
        program = folder / "payload"
        shutil.copy("/bin/true", program)
        program.chmod(0o700)
        _in_same_process(folder, [str(program)])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _in_same_process(folder: Path, command: list[str]) -> None:
    """Become the command; what it leaves behind is cleared by a child that waits for its end."""
    end, kept = os.pipe()
    if os.fork() == 0:
        os.close(kept)
        os.read(end, 1)  # returns when the command is gone
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)
    os.close(end)
    os.set_inheritable(kept, True)
    os.execv(command[0], command)  # noqa: S606 (no shell is the point)


def run_from_memory() -> None:
    """Run a program that never was a file: memfd_create and exec."""
    number = os.memfd_create("demo", 0)
    os.write(number, Path("/bin/true").read_bytes())
    os.execv(f"/proc/self/fd/{number}", ["true"])  # noqa: S606


def read_password_hashes() -> None:
    """Open /etc/shadow, and read nothing."""
    os.close(os.open("/etc/shadow", os.O_RDONLY))


def shell_on_socket() -> None:
    """A shell whose input and output are a connection, to a listener of our own on loopback."""
    listener = socket.create_server(("127.0.0.1", 0))
    connection = socket.create_connection(listener.getsockname())
    peer, _ = listener.accept()
    peer.sendall(b"exit 0\n")
    for number in (0, 1, 2):
        os.dup2(connection.fileno(), number)
    os.execv("/bin/sh", ["sh"])  # noqa: S606


def set_user_id_bit() -> None:
    """Give a copy of /bin/true the set-user-id bit, for a moment."""
    folder = Path(tempfile.mkdtemp(prefix="watchkeeper-demo-"))
    try:
        program = folder / "helper"
        shutil.copy("/bin/true", program)
        program.chmod(0o4755)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


ACTS: dict[str, Callable[[], None]] = {
    "a program run from shared memory": run_from_shared_memory,
    "a program run from memory alone": run_from_memory,
    "the password hashes opened": read_password_hashes,
    "a shell on a network connection": shell_on_socket,
    "a set-user-id bit set": set_user_id_bit,
}


def main() -> None:
    out = os.dup(1)
    os.set_inheritable(out, False)
    null = os.open(os.devnull, os.O_RDWR)
    for name, act in ACTS.items():
        child = os.fork()
        if child == 0:
            for number in (0, 1, 2):
                os.dup2(null, number)
            os.write(out, f"{os.getpid()} {name}\n".encode())
            act()
            os._exit(0)
        os.waitpid(child, 0)
        time.sleep(PAUSE_SECONDS)
    os.write(out, b"done\n")


if __name__ == "__main__":
    main()
