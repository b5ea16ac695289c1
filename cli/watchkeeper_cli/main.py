"""The command `watchkeeper`. Subcommands are one module each and import what they need when they run: help answers in 0.1 s."""

from __future__ import annotations

import os
import sys

import typer

from watchkeeper_cli import coverage, explain, fields, judge, lint, test
from watchkeeper_cli.ending import BROKEN_PIPE, CommandError

app = typer.Typer(
    name="watchkeeper",
    no_args_is_help=True,
    rich_markup_mode=None,  # rich costs a third of a second at every --help and completion
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    help="""Runtime security for Kubernetes: judges audit, cloud and flow logs with policies written in CEL.

\b
  watchkeeper judge audit.log                      what matters in a Kubernetes audit log
  watchkeeper judge AWSLogs/ --severity P2         a CloudTrail tree, what to look at today
  watchkeeper explain k8s-pod-exec                 what a policy matches, and where it can be blind
  watchkeeper fields audit.request                 what a rule may read
""",
)
app.command("judge")(judge.judge)
app.command("test")(test.run_policies)
app.command("lint")(lint.lint)
app.command("explain")(explain.explain)
app.command("fields")(fields.fields)
app.command("coverage")(coverage.coverage)


def main() -> None:
    """Run the command; a reader that leaves (`| head`) ends it quietly."""
    try:
        app()
    except CommandError as error:
        from watchkeeper_cli.output.text import shown

        print(f"watchkeeper: {shown(str(error))}", file=sys.stderr)
        sys.exit(error.status)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(BROKEN_PIPE)


if __name__ == "__main__":
    main()
