"""`watchkeeper fields`: what a rule may read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from watchkeeper_detection.fields import Field


def kinds_beginning(incomplete: str) -> list[str]:
    """For shell completion."""
    from watchkeeper_detection.fields import kinds

    return [name for name in sorted(kinds()) if name.startswith(incomplete)]


def fields(
    kind: Annotated[
        str | None,
        typer.Argument(help="Kind of event, such as audit.request; without one, the kinds are listed.", metavar="[KIND]", autocompletion=kinds_beginning),
    ] = None,
) -> None:
    """List the kinds of events, or the fields that a rule on one kind may read.

    \b
      watchkeeper fields                     every kind of event
      watchkeeper fields audit.request       its fields: path, type, meaning
    """
    from watchkeeper_detection.fields import fields as all_fields
    from watchkeeper_detection.fields import kinds, nearest, roots_of

    if kind is None:
        width = max(len(name) for name in kinds())
        for name, row in sorted(kinds().items()):
            print(f"{name:{width}}  {row.doc}")
        return
    if kind not in kinds():
        like = nearest(kind, kinds())
        hint = f"; did you mean {like}?" if like else "; `watchkeeper fields` lists them"
        raise typer.BadParameter(f"there is no kind of event {kind!r}{hint}", param_hint="KIND")
    roots = roots_of(kind)
    print_fields([field for field in all_fields().values() if field.root in roots])


def print_fields(rows: list[Field]) -> None:
    width = max(len(row.path) for row in rows)
    kind_width = max(len(row.type) for row in rows)
    for row in rows:
        marks = [name for name in ("open", "late", "exact", "untrusted", "untold") if getattr(row, name)]
        print(f"{row.path:{width}}  {row.type:{kind_width}}  {row.doc}{' [' + ', '.join(marks) + ']' if marks else ''}")
