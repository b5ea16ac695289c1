"""`watchkeeper doctor`: what this machine and kernel let the sensor see."""

from __future__ import annotations

from typing import Annotated

import typer


def doctor(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show what the kernel's verifier said of programs that it refused.")] = False,
) -> None:
    """Try every program of the sensor on this kernel, one by one, and say what can't be seen here, why, and what to do.

    \b
    Exit status: 0 everything can be seen, 1 something can't, 3 the sensor can't run here.
    """
    from watchkeeper_cli.examining import examine

    raise typer.Exit(examine(verbose=verbose))
