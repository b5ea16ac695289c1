"""Contracts of the tree itself."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT_BYTES = 8192
REGISTRIES = re.compile(r"\b(?:pypi|pythonhosted|npmjs|crates|maven|proxy\.golang|deb\.debian)\.(?:org|io|com)\b|files\.python")


def committed() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_operator_folder_does_not_hide_the_standard_library():
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_no_binaries_are_committed():
    binary = [name for name in committed() if b"\0" in (ROOT / name).read_bytes()[:TEXT_BYTES]]
    assert binary == []


def test_no_registry_hosts_are_named():
    named = [name for name in committed() if name != "tests/contracts/test_layout.py" and REGISTRIES.search((ROOT / name).read_text(errors="replace"))]
    assert named == []


def test_locks_pin_exact_versions_and_name_no_place():
    for lock in ("requirements.lock", "requirements-dev.lock"):
        lines = [line for line in (ROOT / lock).read_text().splitlines() if line and not line.startswith("#")]
        assert lines
        assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9_.\-]+==[0-9][A-Za-z0-9.]*", line)] == []


def test_layers_are_kept():
    done = subprocess.run([Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_make_target_is_explained():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    explained = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert targets == explained
