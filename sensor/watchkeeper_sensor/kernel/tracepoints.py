"""Which tracepoints this kernel has: by its type information, for names change and some need an option of the kernel."""

from __future__ import annotations

from functools import cache
from pathlib import Path

BTF = Path("/sys/kernel/btf/vmlinux")


@cache
def _type_names() -> bytes:
    try:
        return BTF.read_bytes()
    except OSError:  # require_machine says what that means
        return b""


@cache
def has_tracepoint(name: str) -> bool:
    """False as well on a kernel without type information, where no program can be had."""
    return b"\0btf_trace_" + name.encode() + b"\0" in _type_names()


def forget() -> None:
    """Give back the memory that reading took: some megabytes."""
    _type_names.cache_clear()
