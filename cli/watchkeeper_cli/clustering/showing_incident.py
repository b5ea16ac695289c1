"""The run of `kubectl watchkeeper incident show`."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_cli.clustering.door import during
from watchkeeper_cli.clustering.finding_incident import find_incident
from watchkeeper_cli.clustering.incident_lines import incident_lines
from watchkeeper_cli.clustering.shapes import Incident
from watchkeeper_cli.output.looks import stdout_look
from watchkeeper_cli.output.structured import print_structured

if TYPE_CHECKING:
    from pathlib import Path

    from watchkeeper_cli.clustering.door import Door


def show_incident(kubeconfig: Path | None, context: str | None, namespace: str | None, name: str, output: str) -> None:
    async def act(door: Door) -> dict[str, Any]:
        return await find_incident(door, name, dict[str, Any])

    found = during(kubeconfig, context, namespace, act)
    found["metadata"].pop("managedFields", None)
    if output != "text":
        print_structured(found, output)
        return
    columns = shutil.get_terminal_size().columns
    for line in incident_lines(msgspec.convert(found, Incident), stdout_look(), now=time.time_ns(), columns=columns):
        print(line)
