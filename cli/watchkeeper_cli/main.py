"""The command `watchkeeper`. Subcommands are one module each and import what they need when they run: help answers in 0.1 s."""

from __future__ import annotations

import os
import sys
from functools import wraps
from typing import TYPE_CHECKING, Annotated

import typer

from watchkeeper_cli import (
    audit_config,
    collector,
    coverage,
    detections,
    doctor,
    explain,
    fields,
    incident,
    incidents,
    judge,
    lint,
    operator,
    pause,
    policies,
    replay,
    sensor,
    status,
    test,
    trace,
    up,
)
from watchkeeper_cli.cluster_options import called_by_kubectl
from watchkeeper_cli.ending import BROKEN_PIPE, INTERRUPTED, CommandError, flush_output, keep_output_whole

if TYPE_CHECKING:
    from collections.abc import Callable

app = typer.Typer(
    name="watchkeeper",
    no_args_is_help=True,
    rich_markup_mode=None,  # rich costs a third of a second at every --help and completion
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    help="""Runtime security for Kubernetes and Linux: watches hosts, judges audit, cloud and flow logs, with policies written in CEL.

\b
  kubectl watchkeeper status                       a cluster: what is blind, what happened, how each part does
  kubectl watchkeeper incidents                    what happened, the gravest first; incident show NAME tells all of one
  sudo watchkeeper up                              what happens on this host, as it happens
  sudo watchkeeper doctor                          what can be seen here, what can't, and what to do about it
  sudo watchkeeper detections --since 1d           what was found
  watchkeeper judge audit.log                      what matters in a Kubernetes audit log
  watchkeeper judge AWSLogs/ --severity P2         a CloudTrail tree, what to look at today
  watchkeeper explain k8s-pod-exec                 what a policy matches, and where it can be blind
  watchkeeper fields audit.request                 what a rule may read
""",
)


def ending_well(command: Callable[..., None]) -> Callable[..., None]:
    """The command, with its last error told in a line, and quiet when the reader of its output leaves (`| head`)."""

    @wraps(command)
    def run(**options: object) -> None:
        try:
            command(**options)
            flush_output()
        except CommandError as error:
            from watchkeeper_cli.output.text import shown

            for line in error.lines:
                print(shown(line), file=sys.stderr)
            print(f"watchkeeper: {shown(str(error))}", file=sys.stderr)
            raise typer.Exit(error.status) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(BROKEN_PIPE) from None

    return run


COMMANDS: dict[str, Callable[..., None]] = {
    "status": status.status,
    "incidents": incidents.incidents,
    "policies": policies.policies,
    "pause": pause.pause,
    "resume": pause.resume,
    "up": up.up,
    "trace": trace.trace,
    "replay": replay.replay,
    "doctor": doctor.doctor,
    "operator": operator.operator,
    "collector": collector.collector,
    "sensor": sensor.sensor,
    "judge": judge.judge,
    "test": test.run_policies,
    "lint": lint.lint,
    "explain": explain.explain,
    "fields": fields.fields,
    "coverage": coverage.coverage,
    "audit-config": audit_config.audit_config,
}


def print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"watchkeeper {version('watchkeeper')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.", callback=print_version, is_eager=True)] = False,
) -> None:
    """Options before the subcommand."""


for name, command in COMMANDS.items():
    app.command(name)(ending_well(command))

history = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
history.callback()(ending_well(detections.detections))
history.command("show")(ending_well(detections.show))
app.add_typer(history, name="detections")

one_incident = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="One incident: everything about it, and what people say of it.")
for name, command in (("show", incident.show), ("take", incident.take), ("disposition", incident.disposition), ("close", incident.close)):
    one_incident.command(name)(ending_well(command))
app.add_typer(one_incident, name="incident")


def main() -> None:
    keep_output_whole()
    app(prog_name="kubectl watchkeeper" if called_by_kubectl() else None)


if __name__ == "__main__":
    main()
