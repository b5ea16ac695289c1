"""Paths as callers give them → paths from the process's root, without asking the file system."""

from __future__ import annotations

PROC_ROOTS = frozenset({"self", "thread-self"})


def normalised(directory: str | None, claimed: str | None, process_ids: tuple[str, ...] = ()) -> str | None:
    """`claimed`, which starts at `directory` when it is relative, with `.`, `..`, `//` and the process's own /proc/self/root taken out.

    Other symbolic links stay as they are. None where the start of a relative path is unknown. `process_ids`: numbers under /proc that mean the process.
    """
    if claimed is None or (not claimed.startswith("/") and directory is None):
        return None
    parts: list[str] = []
    whole = claimed if claimed.startswith("/") else f"{directory}/{claimed}"
    for part in whole.split("/"):
        if part == "..":
            del parts[-1:]
        elif part and part != ".":
            parts.append(part)
            if part == "root" and len(parts) == 3 and parts[0] == "proc" and (parts[1] in PROC_ROOTS or parts[1] in process_ids):
                parts.clear()
    return "/" + "/".join(parts)
