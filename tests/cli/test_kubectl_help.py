"""The command as kubectl's plugin: help that is quick and worth reading, and usage errors before anything is asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.commands import WATCHKEEPER, watchkeeper

PLUGIN = str(Path(WATCHKEEPER).with_name("kubectl-watchkeeper"))
COMMANDS = ["status", "incidents", "policies", "pause", "resume", "incident show", "incident take", "incident disposition", "incident close"]
SLOW = ("aiohttp", "kubernetes", "cryptography", "yaml", "rich", "msgspec", "pydantic")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_examples_and_exit_statuses(command):
    done = watchkeeper(*command.split(), "--help")
    assert done.returncode == 0
    assert f"kubectl watchkeeper {command}" in done.stdout
    assert "Exit status: 0" in done.stdout


def test_kubectl_is_named_as_people_call_it():
    told = subprocess.run([PLUGIN, "--help"], capture_output=True, text=True, check=True).stdout
    assert told.startswith("Usage: kubectl watchkeeper [OPTIONS] COMMAND")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_imports_nothing_that_is_slow(command):
    script = f"import sys\nsys.argv = ['watchkeeper', *{command.split()!r}, '--help']\nfrom watchkeeper_cli.main import main\ntry:\n    main()\nexcept SystemExit:\n    pass\n"
    script += f"print([name for name in {SLOW!r} if name in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.strip().splitlines()[-1] == "[]"


WRONG = {
    ("incidents", "--all", "--closed"): "only one of --all, --open and --closed",
    ("incidents", "--watch", "-o", "yaml"): "with --watch: text or json",
    ("incidents", "--severity", "P9"): "P9",
    ("incident", "disposition", "x"): "--as",
    ("incident", "disposition", "x", "--as", "maybe"): "maybe",
    ("doctor", "--host", "-o", "yaml"): "of a host: text or json",
}


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_wrong_usage_is_said_before_a_cluster_is_asked(words):
    done = watchkeeper(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert WRONG[words] in done.stderr
