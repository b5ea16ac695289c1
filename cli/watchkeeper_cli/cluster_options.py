"""Options of every command that asks a cluster, as kubectl has them."""

from __future__ import annotations

import sys
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from watchkeeper_cli.ending import USAGE, CommandError

KubeconfigOption = Annotated[
    Path | None, typer.Option("--kubeconfig", help="Cluster and credentials. Default: KUBECONFIG, ~/.kube/config, or the pod's own account.", metavar="FILE")
]
ContextOption = Annotated[str | None, typer.Option("--context", help="Context of the kubeconfig. Default: its current one.", metavar="NAME")]
NamespaceOption = Annotated[str | None, typer.Option("--namespace", "-n", help="Only this namespace. Default: all that you may read.", metavar="NAME")]


class Output(StrEnum):
    text = "text"
    json = "json"
    yaml = "yaml"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="text for people; json and yaml: one object, or one list.")]


def called_by_kubectl() -> bool:
    """Whether the command was called as kubectl's plugin: then a cluster is meant, not this host."""
    return Path(sys.argv[0]).name.startswith("kubectl")


def require_client() -> None:
    """Ends the command where what it takes to ask a cluster is not installed."""
    if find_spec("kubernetes") is None or find_spec("aiohttp") is None:
        raise CommandError("what it takes to ask a cluster is not installed: pip install 'watchkeeper[kubectl]'", USAGE)
