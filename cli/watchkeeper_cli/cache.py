"""Checked policies on disk, by content: what was checked once is not checked again.

A cache must never decide anything: what is unreadable, damaged, foreign or of another version is as good as absent.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import watchkeeper_detection
from watchkeeper_detection.program import PROGRAM_VERSION, Program, decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterable

DIGEST_BYTES = 32
KEPT = 24  # sets of policies remembered; the oldest go


def folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or ""
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "watchkeeper" / "policies"


def key_of(files: Iterable[tuple[str, bytes]]) -> str:
    """Hash of the policies' content and of the code that would check them."""
    digest = hashlib.blake2b(str(PROGRAM_VERSION).encode(), digest_size=DIGEST_BYTES)
    for source in sorted(Path(watchkeeper_detection.__file__).parent.rglob("*.py")):
        status = source.stat()
        digest.update(f"{source.name} {status.st_mtime_ns} {status.st_size}\n".encode())
    for name, content in files:
        digest.update(f"{Path(name).suffix} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def load(key: str) -> Program | None:
    path = folder() / key
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_uid != os.getuid():
                return None
            stored = file.read()
    except OSError:
        return None
    digest, content = stored[:DIGEST_BYTES], stored[DIGEST_BYTES:]
    return decode(content) if _digest(key, content) == digest else None


def store(key: str, program: Program) -> None:
    """Write so that readers see all or nothing; where that can't be, go without."""
    import tempfile

    content = encode(program)
    with suppress(OSError):
        folder().mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(dir=folder(), prefix=".", delete=False) as file:
            file.write(_digest(key, content) + content)
        Path(file.name).replace(folder() / key)
        stored = sorted(folder().iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        for old in stored[KEPT:]:
            old.unlink(missing_ok=True)


def _digest(key: str, content: bytes) -> bytes:
    return hashlib.blake2b(content, key=key.encode()[:64], digest_size=DIGEST_BYTES).digest()
