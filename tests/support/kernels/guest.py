"""Boots one kernel and brings back what its command said."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support.kernels.images import DISK_ID
from tests.support.kernels.packages import kernel_folder, output

TIMED_OUT, NO_STATUS = 124, 125
# no_timer_check: on a busy host the emulated clock loses the race with the kernel's check of it. lsm: without bpf in it such programs load but never fire.
KERNEL_WORDS = (
    f"console=ttyS0 quiet loglevel=4 panic=-1 oops=panic no_timer_check nokaslr mitigations=off random.trust_cpu=on root=PARTUUID={DISK_ID:08x}-01 rootwait rw"
    " init=/init lsm=landlock,lockdown,yama,integrity,apparmor,bpf"
)
# Emulation alone: where /dev/kvm opens at all, it may be one that cannot boot these kernels. The parent's end takes qemu with it.
QEMU = (
    *("setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max,la57=off", "-smp", "1"),
    *("-machine", "q35,hpet=off,usb=off,vmport=off", "-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio"),
)


@dataclass(frozen=True)
class Ended:
    series: str
    status: int
    seconds: float

    @property
    def said(self) -> str:
        words = {0: "passed", TIMED_OUT: "ran out of time (status 124)", NO_STATUS: "ended without a status: panic, or qemu failed (status 125)"}
        return f"{words.get(self.status, f'failed with status {self.status}')} in {self.seconds:.1f} s"


def printable(line: str) -> str:
    """A console's line without what a terminal would obey."""
    return "".join(letter if letter.isprintable() or letter == "\t" else f"\\x{ord(letter):02x}" for letter in line.rstrip("\r\n"))


def boot(series: str, root: Path, data: Path, *, memory_mib: int, timeout_seconds: float, out: Path | None, say) -> Ended:
    """Run the command of a data image on a kernel; its console goes to `say`, what it left under $OUT to out/SERIES."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        disk = Path(scratch, "data.ext4")
        output("cp", "--sparse=always", data, disk)
        drives = []
        for name, drive in (("root", f"file={root},snapshot=on"), ("data", f"file={disk}")):
            drives += ["-drive", f"{drive},format=raw,if=none,id={name}", "-device", f"nvme,drive={name},serial={name}"]
        command = [*QEMU, "-m", str(memory_mib), *drives, "-kernel", str(kernel_folder(series) / "vmlinux"), "-append", KERNEL_WORDS]
        timed_out = _run(command, timeout_seconds, say)
        told = output("/sbin/debugfs", "-R", "cat /status", disk).strip()
        if out is not None:
            _bring_out(disk, out / series)
    status = TIMED_OUT if timed_out else int(told) if told.isdigit() else NO_STATUS
    return Ended(series, status, time.monotonic() - started)


def _run(command: list[str], timeout_seconds: float, say) -> bool:
    """Whether the time ran out."""
    late = threading.Event()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace") as guest:

        def end() -> None:
            late.set()
            guest.kill()

        timer = threading.Timer(timeout_seconds, end)
        timer.start()
        try:
            for line in guest.stdout:
                say(printable(line))
        finally:
            timer.cancel()
    return late.is_set()


def _bring_out(disk: Path, folder: Path) -> None:
    """Copy the drive's /out to the folder, which holds nothing else afterwards."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        output("/sbin/debugfs", "-R", f'rdump /out "{scratch}"', disk)
        for file in Path(scratch, "out").glob("*"):
            shutil.move(file, folder / file.name)
