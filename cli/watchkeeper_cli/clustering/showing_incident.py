"""The run of `kubectl watchkeeper incident show`."""

from __future__ import annotations

import shutil
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from watchkeeper_cli.clustering.door import during
from watchkeeper_cli.clustering.finding_incident import find_incident
from watchkeeper_cli.clustering.incident_lines import incident_lines
from watchkeeper_cli.clustering.shapes import Incident
from watchkeeper_cli.output.looks import stdout_look
from watchkeeper_cli.output.structured import print_structured

if TYPE_CHECKING:
    from pathlib import Path

UNKNOWN = (100, 24)  # where there is no terminal


def show_incident(kubeconfig: Path | None, context: str | None, namespace: str | None, name: str, output: str) -> None:
    if output == "text":
        _print(during(kubeconfig, context, namespace, partial(find_incident, name=name, shape=Incident)))
        return
    found = during(kubeconfig, context, namespace, partial(find_incident, name=name, shape=dict[str, Any]))
    found["metadata"].pop("managedFields", None)
    print_structured(found, output)


def _print(found: Incident) -> None:
    columns = shutil.get_terminal_size(UNKNOWN).columns
    for line in incident_lines(found, stdout_look(), now=time.time_ns(), columns=columns):
        print(line)
