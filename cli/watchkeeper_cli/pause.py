"""`kubectl watchkeeper pause` and `resume`: the switch that stops every response at once."""

from __future__ import annotations

from typing import Annotated

import typer

from watchkeeper_cli.cluster_options import ContextOption, KubeconfigOption, require_client


def pause(
    reason: Annotated[str, typer.Option(help="Why; shown by status and doctor.", metavar="TEXT")] = "",
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
) -> None:
    """Stop responses: from now on Watchkeeper changes nothing in the cluster in response to what it finds.

    Makes the ConfigMap watchkeeper-pause in watchkeeper-system, which is read before every write of a response; while it is there, whatever is in it,
    there are none. What is isolated stays isolated: undoing is a write too. Sensors, detections and incidents go on. `resume` deletes it.

    \b
      kubectl watchkeeper pause --reason 'the deploy of tonight is being isolated'
      kubectl create configmap watchkeeper-pause -n watchkeeper-system      the same, where this command is not at hand

    \b
    Exit status: 0 paused (also when it was before), 2 wrong usage, 3 the cluster can't be asked, or does not let you.
    """
    require_client()
    from watchkeeper_cli.clustering.pausing import pause_responses

    pause_responses(kubeconfig, context, reason)


def resume(
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
) -> None:
    """Let responses go on, after `pause`. What expired or was asked for meanwhile is done then.

    \b
      kubectl watchkeeper resume

    \b
    Exit status: 0 not paused, 2 wrong usage, 3 the cluster can't be asked, or does not let you.
    """
    require_client()
    from watchkeeper_cli.clustering.pausing import resume_responses

    resume_responses(kubeconfig, context)
