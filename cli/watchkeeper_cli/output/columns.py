"""Rows under headings: aligned for people's terminals, and the same without colours and cuts for grep and awk."""

from __future__ import annotations

import shutil
import sys
from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple
from unicodedata import east_asian_width

from watchkeeper_cli.output.looks import BOLD, DIM
from watchkeeper_cli.output.text import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from watchkeeper_cli.output.looks import Look

GAP = "  "
LEAST = 24  # columns of what folds, however narrow the terminal
CELL = 400  # characters of one cell
BELOW = "    "


class Cell(NamedTuple):
    """Text as it came, and how it is painted."""

    text: str
    code: str = ""


class Row(NamedTuple):
    """`below`: lines under the cells, on terminals; the last cell folds."""

    cells: tuple[Cell, ...]
    below: tuple[Cell, ...] = ()


def width_of(text: str) -> int:
    """Columns that a terminal gives it."""
    return len(text) if text.isascii() else sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def terminal_columns() -> int | None:
    """None where standard output is no terminal: nothing is folded there."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def table(headings: Sequence[str], rows: Sequence[Row], look: Look, columns: int | None) -> Iterator[str]:
    """`columns`: of the terminal. What is in the cells is escaped here."""
    texts = [[shown(cell.text, CELL) for cell in row.cells] for row in rows]
    widths = [max(map(width_of, column)) for column in zip(headings, *texts, strict=True)]
    before = sum(widths[:-1]) + len(GAP) * (len(widths) - 1)
    last = None if columns is None else max(LEAST, columns - before)
    yield look.paint(GAP.join(_padded(text, width) for text, width in zip(headings[:-1], widths, strict=False)) + GAP + headings[-1], BOLD)
    for row, line in zip(rows, texts, strict=True):
        folded = [line[-1]] if last is None else wrap(line[-1], last, break_on_hyphens=False) or [""]
        heads = [_painted(_padded(text, width), cell.code, look) for text, width, cell in zip(line[:-1], widths, row.cells, strict=False)]
        yield GAP.join([*heads, _painted(folded[0], row.cells[-1].code, look)]).rstrip()
        yield from (f"{'':{before}}{_painted(part, row.cells[-1].code, look)}" for part in folded[1:])
        if columns is not None:
            yield from (f"{BELOW}{_painted(part, cell.code or DIM, look)}" for cell in row.below for part in wrap(shown(cell.text, CELL), columns - len(BELOW)))


def _padded(text: str, width: int) -> str:
    return text + " " * (width - width_of(text))


def _painted(text: str, code: str, look: Look) -> str:
    return look.paint(text, code) if code else text
