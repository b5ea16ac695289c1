"""`kubectl watchkeeper incidents`: what happened in a cluster, the gravest first."""

from __future__ import annotations

from typing import Annotated

import typer

from watchkeeper_cli.cluster_options import ContextOption, KubeconfigOption, NamespaceOption, Output, OutputOption, require_client
from watchkeeper_cli.judge import Severity


def incidents(
    severity: Annotated[Severity, typer.Option("--severity", "-s", help="Least severity that counts: P1 page someone now … P4 record.")] = Severity.P4,
    everything: Annotated[bool, typer.Option("--all", help="Open and closed ones.")] = False,
    only_open: Annotated[bool, typer.Option("--open", help="Open ones: what is shown when nothing else is said.")] = False,
    only_closed: Annotated[bool, typer.Option("--closed", help="Closed ones.")] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on, and tell each that opens, becomes graver, is taken or closed.")] = False,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    output: OutputOption = Output.text,
) -> None:
    """List incidents: how grave, how old, what, where, who, and what people said of them.

    Open ones come first, the gravest of them first, then the newest. Into a pipe there is one line each. With --watch, -o json tells one object a line.

    \b
      kubectl watchkeeper incidents
      kubectl watchkeeper incidents --severity P2 --watch
      kubectl watchkeeper incidents -n shop --all
      kubectl watchkeeper incidents --closed -o json | jq '.[] | select(.disposition == "TruePositive")'

    \b
    Exit status: 0, 2 wrong usage, 3 the cluster can't be asked.
    """
    if everything + only_open + only_closed > 1:
        raise typer.BadParameter("only one of --all, --open and --closed", param_hint="--all")
    if watch and output is Output.yaml:
        raise typer.BadParameter("with --watch: text or json", param_hint="--output")
    require_client()
    from watchkeeper_cli.clustering.incident_rows import Asked
    from watchkeeper_cli.clustering.listing_incidents import follow_incidents, list_incidents

    asked = Asked(severity.value, open=not only_closed, closed=everything or only_closed)
    if watch:
        follow_incidents(kubeconfig, context, namespace, asked, output.value)
    else:
        list_incidents(kubeconfig, context, namespace, asked, output.value)
