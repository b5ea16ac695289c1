"""`kubectl watchkeeper incident …`: everything about one incident, and what people say of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from watchkeeper_cli.cluster_options import ContextOption, KubeconfigOption, Output, OutputOption, require_client

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the incident, or NAMESPACE/NAME.", show_default=False)]
NamespaceOption = Annotated[
    str | None, typer.Option("--namespace", "-n", help="Where it lies. Default: found by its name where you may read all, else as kubectl.", metavar="NAME")
]
NoteOption = Annotated[str | None, typer.Option(help="What the next person should know.", metavar="TEXT")]
OwnerOption = Annotated[str | None, typer.Option(help="Person or team that has it.", metavar="WHO")]
ForceOption = Annotated[bool, typer.Option("--force", help="Also where somebody else said otherwise.")]


class Disposition(StrEnum):
    true_positive = "true-positive"
    false_positive = "false-positive"
    benign = "benign"


WRITTEN = {Disposition.true_positive: "TruePositive", Disposition.false_positive: "FalsePositive", Disposition.benign: "Benign"}


def show(
    name: NameArgument,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    output: OutputOption = Output.text,
) -> None:
    """Show everything of one incident: timeline and moments t0 … t8, what it is about, why its detections belong together, why it is so grave,
    what to check and do, and what could not be seen meanwhile.

    \b
      kubectl watchkeeper incident show inc-3fa8c1d20b7e4f55
      kubectl watchkeeper incident show shop/inc-3fa8c1d20b7e4f55
      kubectl watchkeeper incident show inc-3fa8c1d20b7e4f55 -o yaml        the object itself

    \b
    Exit status: 0, 2 wrong usage, 3 there is no such incident, or the cluster can't be asked.
    """
    require_client()
    from watchkeeper_cli.clustering.showing_incident import show_incident

    show_incident(kubeconfig, context, namespace, name, output.value)


def take(
    name: NameArgument,
    owner: Annotated[str | None, typer.Option("--as", help="Person or team. Default: your name, as the cluster knows you.", metavar="WHO")] = None,
    note: NoteOption = None,
    force: ForceOption = False,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Say that you have it: it counts as acknowledged (t4) from then on.

    \b
      kubectl watchkeeper incident take inc-3fa8c1d20b7e4f55
      kubectl watchkeeper incident take inc-3fa8c1d20b7e4f55 --as 'storage team'

    \b
    Exit status: 0, 1 somebody else has it or was faster, 2 wrong usage, 3 there is no such incident, or the cluster can't be asked.
    """
    require_client()
    from watchkeeper_cli.clustering.saying import say

    say(kubeconfig, context, namespace, name, {"owner": owner, "note": note}, force=force, own_name=owner is None)


def disposition(
    name: NameArgument,
    said: Annotated[Disposition, typer.Option("--as", help="What it was: an attack, a mistake of the rule, or what the rule says but meant well.")],
    note: NoteOption = None,
    owner: OwnerOption = None,
    force: ForceOption = False,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Say what an incident was. A false positive and a benign one are closed by that; a true positive stays open until `incident close`.

    \b
      kubectl watchkeeper incident disposition inc-3fa8c1d20b7e4f55 --as benign --note 'the nightly backup'
      kubectl watchkeeper incident disposition inc-3fa8c1d20b7e4f55 --as true-positive --owner 'on call'

    \b
    Exit status: 0, 1 somebody said otherwise or was faster, 2 wrong usage, 3 there is no such incident, or the cluster can't be asked.
    """
    require_client()
    from watchkeeper_cli.clustering.saying import say

    say(kubeconfig, context, namespace, name, {"disposition": WRITTEN[said], "note": note, "owner": owner}, force=force)


def close(
    name: NameArgument,
    said: Annotated[Disposition | None, typer.Option("--as", help="What it was. Default: what was said before, or nothing.", show_default=False)] = None,
    note: NoteOption = None,
    owner: OwnerOption = None,
    force: ForceOption = False,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Close an incident (t8). What belongs to it and comes later opens a new one.

    \b
      kubectl watchkeeper incident close inc-3fa8c1d20b7e4f55 --as true-positive --note 'token revoked, pod rebuilt'

    \b
    Exit status: 0, 1 somebody said otherwise or was faster, 2 wrong usage, 3 there is no such incident, or the cluster can't be asked.
    """
    require_client()
    from watchkeeper_cli.clustering.saying import say

    words = {"disposition": WRITTEN[said] if said else None, "note": note, "owner": owner, "closed": True}
    say(kubeconfig, context, namespace, name, words, force=force)
