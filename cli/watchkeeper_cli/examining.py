"""The run of `watchkeeper doctor`."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from watchkeeper_cli.ending import FAILED, SUCCEEDED, UNREADABLE, CommandError
from watchkeeper_cli.output.text import plural, shown
from watchkeeper_detection.vocabulary import kernel
from watchkeeper_sensor.decoding import PROGRAMS
from watchkeeper_sensor.kernel.libbpf import BpfError, BpfUnavailableError, library
from watchkeeper_sensor.kernel.programs import KernelSensor, object_path, require_machine, unified_cgroup

LSM = Path("/sys/kernel/security/lsm")
LOCKDOWN = Path("/sys/kernel/security/lockdown")
AGENT_KINDS = (
    "container.start",
    "container.stop",
    "bpf.discovered",
    "sensor.lost",
    "sensor.tampered",
    "sensor.started",
    "sensor.stopped",
    "sensor.enforced",
    "sensor.not_enforced",
)
"""Kinds that the agent makes without a program of their own."""


def examine(*, verbose: bool) -> int:
    """Print what was found; returns the exit status."""
    print(f"host      {platform.node()}, kernel {platform.release()} ({platform.machine()})")
    try:
        require_machine(object_path())
    except BpfUnavailableError as error:
        raise CommandError(f"the sensor can't run here: {error}", UNREADABLE) from None
    print(f"libbpf    {library().libbpf_major_version()}.{library().libbpf_minor_version()}; type information (BTF): yes")
    print(f"cgroups   {cgroups()}")
    print(f"security  active modules: {read(LSM) or 'unknown'}; lockdown: {read(LOCKDOWN) or 'unknown'}")
    print(f"agent     {plural(len(PROGRAMS), 'program')}, {os.cpu_count()} processors")
    seen: set[str] = set(AGENT_KINDS)
    refused = 0
    for program in PROGRAMS:
        try:
            sensor = KernelSensor(object_path(), (), [program]) if not program.kinds else KernelSensor(object_path(), program.kinds, [program])
        except (BpfError, BpfUnavailableError) as error:
            refused += 1
            print(f"REFUSED   {program.name}: {shown(str(error))}")
            continue
        sensor.close()
        if sensor.blind_spots:
            refused += 1
            for spot in sensor.blind_spots:
                print(f"REFUSED   {program.name}: {shown(spot.reason)}")
                if verbose and spot.log:
                    print("\n".join(f"          {shown(line)}" for line in spot.log.splitlines()))
        else:
            seen.update(program.kinds)
    blind = [kind.name for kind in kernel.KINDS if kind.name not in seen]
    print(f"sees      {len(seen)} of {len(kernel.KINDS)} kinds of events")
    for kind in blind:
        print(f"BLIND     {kind}")
    return FAILED if refused or blind else SUCCEEDED


def cgroups() -> str:
    try:
        return f"version 2 at {unified_cgroup()}"
    except BpfUnavailableError as error:
        return str(error)


def read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
