"""`kubectl watchkeeper policies`: which hold, on how many nodes, and why not elsewhere."""

from __future__ import annotations

from typing import Annotated

import typer

from watchkeeper_cli.cluster_options import ContextOption, KubeconfigOption, NamespaceOption, Output, OutputOption, require_client
from watchkeeper_cli.ending import FAILED, SUCCEEDED


def policies(
    failing: Annotated[bool, typer.Option("--failing", help="Only those that do not hold as they are written.")] = False,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    output: OutputOption = Output.text,
) -> None:
    """List the policies of a cluster: accepted or why not, in force on how many nodes or why not. Those that do not hold come first.

    \b
      kubectl watchkeeper policies
      kubectl watchkeeper policies --failing
      kubectl watchkeeper policies -n shop -o json | jq '.[] | select(.inForce != "True")'
      kubectl watchkeeper explain k8s-pod-exec                      one of them, rule by rule

    \b
    Exit status: 0 all hold as they are written, 1 some do not, 2 wrong usage, 3 the cluster can't be asked.
    """
    require_client()
    from watchkeeper_cli.clustering.listing_policies import list_policies

    holds = list_policies(kubeconfig, context, namespace, output.value, only_failing=failing)
    raise typer.Exit(SUCCEEDED if holds else FAILED)
