"""Runs the installed command as a user does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

WATCHKEEPER = str(Path(sys.executable).with_name("watchkeeper"))
LIMIT_SECONDS = 120


def watchkeeper(*arguments: object, stdin: bytes = b"", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Output as text; it is piped, so never a terminal's."""
    done = subprocess.run(
        [WATCHKEEPER, *map(str, arguments)], input=stdin, cwd=cwd, capture_output=True, timeout=LIMIT_SECONDS, check=False, env={**os.environ, "COLUMNS": "200"}
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())
