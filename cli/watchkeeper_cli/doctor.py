"""`watchkeeper doctor`: what this machine and kernel let the sensor see."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Output(StrEnum):
    text = "text"
    json = "json"


def doctor(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Name every program, and show what the kernel's verifier said of those that it refused.")
    ] = False,
    output: Annotated[Output, typer.Option("--output", "-o", help="text for people; json: one object with every check and hook.")] = Output.text,
) -> None:
    """Say what the sensor can see on this host, what it can't and why, and what to do about it.

    Looks at kernel, rights, cgroups, container runtimes and clock, then loads and attaches every program of the sensor for a moment. Nothing is
    changed on the host. Lines begin with ok, note (worth knowing), BLIND (it runs, but something can't be seen) or MISSING (it can't run).

    \b
      sudo watchkeeper doctor
      sudo watchkeeper doctor -v                                   every program by name, and the verifier's words
      sudo watchkeeper doctor -o json | jq '.hooks[] | select(.state != "attached")'

    \b
    Exit status: 0 everything can be seen, 1 something can't, 3 the sensor can't run here.
    """
    from watchkeeper_cli.examining import examine

    raise typer.Exit(examine(verbose=verbose, output=output.value))
