"""docs/fields.md from the vocabulary: `python -m watchkeeper_detection.fields_doc > docs/fields.md`."""

from __future__ import annotations

import sys
from itertools import groupby
from typing import TYPE_CHECKING

from watchkeeper_detection.fields import Field, Kind, fields, kinds
from watchkeeper_detection.vocabulary import COMMON_ROOTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TITLE = """# Events and fields

What a policy may read. Generated from the rows in `policies/watchkeeper_detection/vocabulary/`:
`python -m watchkeeper_detection.fields_doc > docs/fields.md`.
`watchkeeper fields KIND` prints the same for one kind.

A rule names the kinds of events that it is about in `on`, and reads their fields in its conditions by path:
`audit.user.username`, `process.parent.exe`. Every event has the *common* objects; each kind has a few more, named in
the tables below. A field that an event does not have is *absent*: that is no error, `has(path)` asks for it, and a
condition that comes out absent does not hold. A JSON null is absent too.

| mark | meaning |
|---|---|
| open | the provider's own JSON: anything may be named below it, with the provider's names; its type is known only when it is read |
| late | known only some time after the event; a rule that reads it waits for at most 2 seconds and is then judged without |
| exact | the kernel decides it without error: only such fields may stand in a rule with `kill` |
| untrusted | chosen by whoever may be the attacker: text to look for, never to rely on in an exception |
| untold | the sensor does not tell it yet: always absent, and `watchkeeper lint` says so of a rule that reads it |
"""


def document() -> str:
    """The whole page, as Markdown."""
    return "\n".join((TITLE, *_kinds(), *_objects())) + "\n"


def _kinds() -> Iterator[str]:
    yield "## Kinds of events\n"
    yield f"Common objects, in every event: {_links(COMMON_ROOTS)}.\n"
    for family, rows in groupby(kinds().values(), key=lambda kind: kind.name.partition(".")[0]):
        yield f"### {family} events\n"
        yield "| kind | what happened | objects |\n|---|---|---|"
        yield from (_kind(kind) for kind in rows)
        yield ""


def _kind(kind: Kind) -> str:
    return f"| `{kind.name}` | {_cell(kind.doc)} | {_links(kind.roots)} |"


def _objects() -> Iterator[str]:
    yield "## Fields\n"
    for root, rows in _by_root(fields().values()):
        yield f"### {root}\n"
        yield f"{_carriers(root)}\n"
        yield "| field | type | marks | meaning |\n|---|---|---|---|"
        yield from (_field(field) for field in rows)
        yield ""


def _by_root(rows: Iterable[Field]) -> Iterable[tuple[str, list[Field]]]:
    found: dict[str, list[Field]] = {}
    for row in rows:
        found.setdefault(row.root, []).append(row)
    return found.items()


def _field(field: Field) -> str:
    marks = [name for name in ("open", "late", "exact", "untrusted", "untold") if getattr(field, name)]
    return f"| `{field.path}` | {field.type} | {', '.join(marks)} | {_cell(field.doc)}{f' *Not told yet: {_cell(field.untold)}.*' if field.untold else ''} |"


def _carriers(root: str) -> str:
    if root in COMMON_ROOTS:
        return "In every event."
    names = [kind.name for kind in kinds().values() if root in kind.roots]
    families = [f"`{family}.*`" for family, _ in groupby(names, key=lambda name: name.partition(".")[0])]
    short = 6
    return f"In {', '.join(f'`{name}`' for name in names) if len(names) <= short else ', '.join(dict.fromkeys(families))}."


def _links(roots: Iterable[str]) -> str:
    return ", ".join(f"[{root}](#{root})" for root in roots)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(document())
