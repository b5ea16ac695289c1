"""promtool of the distribution, unpacked into the cache: what Prometheus itself says of rules."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from tests.support.debian_packages import unpack

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "watchkeeper" / "prometheus"


def promtool() -> Path:
    """The program. Raises NoPackagesError."""
    CACHE.mkdir(parents=True, exist_ok=True)
    program = CACHE / "layer" / "usr" / "bin" / "promtool"
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        if not program.exists():
            unpack(["prometheus"], CACHE / "layer")
            (program.parent / "prometheus").unlink()
    return program


def check_rules(groups: Iterable[Mapping[str, Any]], folder: Path) -> str:
    """What promtool says of rule groups; empty where it accepts them."""
    rules = folder / "rules.yaml"
    rules.write_text(yaml.safe_dump({"groups": list(groups)}))
    return _said("check", "rules", rules)


def run_tests(groups: Iterable[Mapping[str, Any]], tests: Iterable[Mapping[str, Any]], folder: Path) -> str:
    """Runs promtool's own unit tests; empty where all hold."""
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": list(groups)}))
    written = folder / "tests.yaml"
    written.write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": "30s", "tests": list(tests)}))
    return _said("test", "rules", written)


def _said(*words: str | Path) -> str:
    done = subprocess.run([promtool(), *words], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""
