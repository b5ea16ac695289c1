"""`watchkeeper doctor`: what this machine and kernel let the sensor see; `kubectl watchkeeper doctor`: what in a cluster keeps it from seeing."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from watchkeeper_cli.cluster_options import ContextOption, KubeconfigOption, called_by_kubectl, require_client


class Output(StrEnum):
    text = "text"
    json = "json"
    yaml = "yaml"


def doctor(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Name every program, and show what the kernel's verifier said of those that it refused.")
    ] = False,
    output: Annotated[Output, typer.Option("--output", "-o", help="text for people; json, yaml: one object with every check and hook.")] = Output.text,
    cluster: Annotated[
        bool | None, typer.Option("--cluster/--host", help="A cluster, or this host. Called as kubectl watchkeeper: a cluster.", show_default=False)
    ] = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
) -> None:
    """Say what the sensor can see on this host, or what keeps Watchkeeper from seeing in a cluster, and what to do about it.

    Looks at kernel, rights, cgroups, container runtimes and clock, then loads and attaches every program of the sensor for a moment. Nothing is
    changed on the host.

    In a cluster it looks at kinds and admission policies (are they as shipped?), processes, leader, pods, authority, nodes, audit log, policies, at who
    may impersonate, approve or edit exceptions, and at the network's means to isolate. Nothing is written, no Secret is read. Lines begin with ok, note (worth knowing), BLIND (it runs, but something can't be seen) or MISSING (it can't run).

    \b
      sudo watchkeeper doctor
      sudo watchkeeper doctor -v                                   every program by name, and the verifier's words
      kubectl watchkeeper doctor                                   a cluster
      sudo watchkeeper doctor -o json | jq '.hooks[] | select(.state != "attached")'

    \b
    Exit status: 0 everything can be seen, 1 something can't, 2 wrong usage, 3 the sensor can't run here, or what a cluster lacks keeps it from working.
    """
    if (called_by_kubectl() or bool(kubeconfig or context)) if cluster is None else cluster:
        require_client()
        from watchkeeper_cli.clustering.examining_cluster import examine_cluster

        raise typer.Exit(examine_cluster(kubeconfig, context, output.value))
    if output is Output.yaml:
        raise typer.BadParameter("of a host: text or json", param_hint="--output")
    from watchkeeper_cli.examining import examine

    raise typer.Exit(examine(verbose=verbose, output=output.value))
