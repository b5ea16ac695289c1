"""Rows under headings: aligned, folded on terminals, whole in pipes, escaped everywhere."""

from __future__ import annotations

from watchkeeper_cli.output.columns import Cell, Row, table, width_of
from watchkeeper_cli.output.looks import Look

PLAIN = Look(colours=False, moves=False)


def drawn(rows, columns, *headings):
    return list(table(headings or ("A", "B"), rows, PLAIN, columns))


def row(*texts, below=()):
    return Row(tuple(Cell(text) for text in texts), tuple(Cell(text) for text in below))


def test_columns_are_as_wide_as_their_widest_cell():
    assert drawn([row("one", "x"), row("three", "y")], None) == ["A      B", "one    x", "three  y"]


def test_wide_letters_count_as_the_terminal_draws_them():
    assert width_of("日本") == 4
    assert drawn([row("日本", "x"), row("ab", "y")], None)[1:] == ["日本  x", "ab    y"]


def test_the_last_column_folds_on_a_terminal_and_never_in_a_pipe():
    text = "word " * 12
    assert drawn([row("a", text)], 40) == ["A  B", "a  " + ("word " * 7).strip(), "   " + ("word " * 5).strip()]
    assert len(drawn([row("a", text)], None)) == 2


def test_what_is_below_a_row_is_for_terminals_alone():
    rows = [row("a", "b", below=("more",))]
    assert drawn(rows, 40) == ["A  B", "a  b", "    more"]
    assert drawn(rows, None) == ["A  B", "a  b"]


def test_a_narrow_terminal_still_shows_words():
    assert all(len(line) <= 60 for line in drawn([row("a" * 30, "word " * 20)], 10)[1:])


def test_cells_are_escaped():
    assert drawn([row("\x1b[2J", "\u202e", below=("\x07",))], 40)[1:] == ["\\x1b[2J  \\u202e", "    \\x07"]


def test_colours_are_around_the_text_alone():
    painted = Look(colours=True, moves=True)
    assert list(table(("A", "B"), [Row((Cell("a", "1"), Cell("b")))], painted, 40))[1] == "\x1b[1ma\x1b[0m  b"
