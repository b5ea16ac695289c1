"""`kubectl watchkeeper status`: what is blind, what happened, and how each part of Watchkeeper does."""

from __future__ import annotations

import typer

from watchkeeper_cli.cluster_options import ContextOption, KubeconfigOption, NamespaceOption, Output, OutputOption, require_client
from watchkeeper_cli.ending import FAILED, SUCCEEDED, UNREADABLE, CommandError


def status(
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    output: OutputOption = Output.text,
) -> None:
    """Say what is blind in a cluster, which incidents are open, and how each part of Watchkeeper does.

    Read from the API server alone: it answers also while operator and collector are down, and says so. What you may not read is UNKNOWN, never well.

    \b
      kubectl watchkeeper status
      kubectl watchkeeper status --context production
      kubectl watchkeeper status -n shop                           incidents and policies of one namespace
      kubectl watchkeeper status -o json | jq '.blind[] | .what'

    \b
    Exit status: 0 all is seen, 1 something is blind, unknown or paused, 2 wrong usage, 3 the cluster can't be asked.
    """
    require_client()
    import time

    from watchkeeper_cli.clustering.door import during
    from watchkeeper_cli.clustering.facts import gather
    from watchkeeper_cli.clustering.overview import overview
    from watchkeeper_cli.clustering.overview_lines import overview_lines
    from watchkeeper_cli.clustering.place import place_of
    from watchkeeper_cli.output.looks import stdout_look
    from watchkeeper_cli.output.structured import print_structured
    from watchkeeper_cli.output.text import clock

    facts = during(kubeconfig, context, namespace, gather)
    now = time.time_ns()
    found = overview(facts, place_of(kubeconfig, context).name, now)
    if found.knows_nothing:
        raise CommandError(f"you may read nothing of Watchkeeper (context {found.context}); docs/kubectl.md says what this takes", UNREADABLE, found.unread)
    if output is Output.text:
        print("\n".join(overview_lines(found, stdout_look(), clock(now))))
    else:
        print_structured(found, output.value)
    raise typer.Exit(SUCCEEDED if found.is_well else FAILED)
