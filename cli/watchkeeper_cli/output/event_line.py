"""A raw event on one line, for people who watch them go by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from watchkeeper_cli.output.looks import BOLD, DIM
from watchkeeper_cli.output.text import shown
from watchkeeper_detection.logs.provider import time_text
from watchkeeper_detection.logs.recorded import as_record

if TYPE_CHECKING:
    from watchkeeper_cli.output.looks import Look
    from watchkeeper_detection.event import Event

SHARED = frozenset({"kind", "observed_at", "id", "process", "container", "pod", "node", "syscall"})
NOISE = frozenset({"inode", "device", "filesystem", "links", "size", "path_trust", "directory", "name", "new_name", "cookie", "for_read"})
"""Fields that a line does without; -o json has them."""
VALUE = 200  # letters of one value
CONTAINER = 12  # letters of an id
LINE = 1000


def event_line(event: Event, look: Look) -> str:
    """Time, kind, who, where, and what this kind has of its own."""
    record = as_record(event)
    process, container = record.get("process", {}), record.get("container", {})
    who = f"{process.get('exe') or process.get('name') or '?'}[{process.get('process_id', '?')}]" if process else ""
    words = [shown(who, VALUE), shown(str(process.get("user") or process.get("uid") or ""), VALUE)]
    if container.get("id"):
        words.append(f"in {shown(container.get('name') or container['id'][:CONTAINER], VALUE)}")
    if event.kind == "process.exec" and process.get("command_line"):
        words.append(f"$ {shown(process['command_line'], VALUE)}")
    error = record.get("syscall", {}).get("error")
    own = " ".join(own_words({name: value for name, value in record.items() if name not in SHARED}))
    text = " ".join(filter(None, [*words, own, f"error={shown(str(error))}" if error else ""]))
    clock = (time_text(event.observed_at) or "")[11:23]
    return f"{look.paint(clock, DIM)} {look.paint(event.kind, BOLD)} {text[:LINE]}"


def own_words(fields: dict[str, Any], above: str = "") -> list[str]:
    """`file.path=/etc/shadow`; what is false, empty or zero is left out."""
    words = []
    for name, value in fields.items():
        if name in NOISE or (name == "claimed_path" and value == fields.get("path")):
            continue
        if isinstance(value, dict):
            words += own_words(value, f"{above}{name}.")
        elif value not in (False, "", 0, []):
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value).lower() if isinstance(value, bool) else str(value)
            words.append(f"{above}{name}={shown(text, VALUE)}")
    return words
