"""`watchkeeper coverage`: which ATT&CK techniques the policies name."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from watchkeeper_detection.program import Program

KUBERNETES_KINDS = ("audit.", "rbac.")
NAME_WIDTH = 60


class Output(StrEnum):
    table = "table"
    layer = "layer"


def coverage(
    policies: Annotated[list[Path] | None, typer.Option(help="Policies beside the library; may be given again.", metavar="DIR")] = None,
    no_library: Annotated[bool, typer.Option("--no-library", help="Leave the shipped library out.")] = False,
    output: Annotated[Output, typer.Option("--output", "-o", help="table, or layer: JSON for MITRE's ATT&CK Navigator.")] = Output.table,
) -> None:
    """Show the ATT&CK techniques that the policies name, for containers, cloud and Kubernetes.

    \b
      watchkeeper coverage                         per tactic, then per technique
      watchkeeper coverage -o layer > layer.json   to open in the ATT&CK Navigator
    """
    from watchkeeper_cli.policy_set import program_of
    from watchkeeper_detection.coverage import PLATFORM_GROUPS, navigator_layer

    program = program_of(policies or [], with_library=not no_library)
    if output is Output.layer:
        print(json.dumps(navigator_layer(program.rules, (*PLATFORM_GROUPS["containers"], *PLATFORM_GROUPS["cloud"])), indent=1))
    else:
        print_table(program)


def print_table(program: Program) -> None:
    """A summary per tactic and matrix, then every technique named."""
    from watchkeeper_detection.attack import MATRIX_VERSION, TACTICS
    from watchkeeper_detection.coverage import PLATFORM_GROUPS, coverage_by_tactic, coverage_rows

    on_kubernetes = [rule for rule in program.rules if any(kind.startswith(KUBERNETES_KINDS) for kind in rule.kinds)]
    columns = {
        "Containers": coverage_by_tactic(coverage_rows(program.rules, PLATFORM_GROUPS["containers"])),
        "Cloud": coverage_by_tactic(coverage_rows(program.rules, PLATFORM_GROUPS["cloud"])),
        "Kubernetes API": coverage_by_tactic(coverage_rows(on_kubernetes, PLATFORM_GROUPS["containers"])),
    }
    rows = [row for row in coverage_rows(program.rules) if row.rules]
    policies = len({rule.policy for rule in program.rules})
    print(f"{policies} policies with {len(program.rules)} rules name {len({row.technique for row in rows})} techniques of ATT&CK v{MATRIX_VERSION}.")
    print("Named, of the techniques that MITRE lists for containers and for cloud; the last column counts rules on the Kubernetes API only.\n")
    print(f"{'':22}" + "".join(f"{name:>16}" for name in columns))
    for tactic, row in TACTICS.items():
        cells = ["{}/{}".format(*counts[tactic]) if tactic in counts else "–" for counts in columns.values()]
        print(f"{row.name:22}" + "".join(f"{cell:>16}" for cell in cells))
    last = None
    for technique in rows:
        if technique.tactic != last:
            last = technique.tactic
            print(f"\n{TACTICS[last].name}")
        rules = technique.rules
        some = ", ".join(rules[:2]) + (f" and {len(rules) - 2} more" if len(rules) > 2 else "")
        print(f"  {technique.technique:10} {technique.name:{NAME_WIDTH}.{NAME_WIDTH}}  {some}")
