"""A followed file gives each whole line once: through rotation, truncation and the end of the process that followed it."""

from __future__ import annotations

import contextlib
import gzip
from typing import TYPE_CHECKING

import pytest

from watchkeeper_operator.transports.following import Following, Positions

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def follow():
    with contextlib.ExitStack() as opened:

        def open_(patterns, saved, **options) -> Following:
            return opened.enter_context(contextlib.closing(Following(patterns, saved, **options)))

        yield open_


def lines(following: Following) -> list[bytes]:
    return b"".join(one.content for one in following.read()).splitlines()


@pytest.fixture
def log(tmp_path) -> Path:
    path = tmp_path / "audit.log"
    path.write_bytes(b"old\n")
    return path


def appended(path: Path, content: bytes) -> None:
    with path.open("ab") as file:
        file.write(content)


def test_the_first_process_passes_over_what_is_there_and_reads_what_comes(log, follow):
    following = follow([str(log)], None)
    assert lines(following) == []
    appended(log, b"a\nb\n")
    assert lines(following) == [b"a", b"b"]
    assert lines(following) == []


def test_a_line_is_given_when_it_is_whole(log, follow):
    following = follow([str(log)], None)
    appended(log, b"be")
    assert lines(following) == []
    appended(log, b"gun\nnex")
    assert lines(following) == [b"begun"]


def test_what_a_rotated_file_still_holds_is_read_and_then_the_new_one(log, follow):
    following = follow([str(log)], None)
    appended(log, b"a\n")
    log.rename(log.with_name("audit-2026.log"))
    appended(log.with_name("audit-2026.log"), b"b\n")
    log.write_bytes(b"c\n")
    assert lines(following) == [b"a", b"b", b"c"]
    appended(log, b"d\n")
    assert lines(following) == [b"d"]
    assert len(following.positions.files) == 1


def test_a_rotated_file_that_a_glob_matches_is_not_read_again(log, follow):
    following = follow([str(log.parent / "*.log")], None)
    appended(log, b"a\n")
    assert lines(following) == [b"a"]
    log.rename(log.with_name("audit-2026.log"))
    log.write_bytes(b"b\n")
    assert lines(following) == [b"b"]


def test_an_emptied_file_is_read_from_its_beginning(log, follow):
    following = follow([str(log)], None)
    appended(log, b"a long line\n")
    assert lines(following) == [b"a long line"]
    log.write_bytes(b"new\n")
    assert lines(following) == [b"new"]


def test_the_next_process_goes_on_where_the_last_one_stopped(log, follow):
    first = follow([str(log)], None)
    appended(log, b"a\n")
    assert lines(first) == [b"a"]
    saved = first.positions
    first.close()
    appended(log, b"b\n")
    assert lines(follow([str(log)], saved)) == [b"b"]


def test_a_file_that_came_while_nobody_followed_is_read_whole(log, follow):
    first = follow([str(log)], None)
    saved = first.positions
    first.close()
    log.rename(log.with_name("audit-2026.log"))
    log.write_bytes(b"new\n")
    assert lines(follow([str(log.parent / "*.log")], saved)) == [b"new"]


def test_a_packed_file_is_passed_over(log, follow):
    following = follow([str(log.parent / "*")], Positions())
    assert lines(following) == [b"old"]
    (log.parent / "audit-2026.log.gz").write_bytes(gzip.compress(b"old\n"))
    assert lines(following) == []


def test_a_file_that_can_not_be_read_is_named_and_the_others_are_read(log, follow):
    (log.parent / "folder.log").mkdir()
    following = follow([str(log.parent / "*.log")], None)
    appended(log, b"a\n")
    assert lines(following) == [b"a"]
    assert list(following.unreadable) == [str(log.parent / "folder.log")]


def test_a_line_without_end_does_not_grow_in_memory(log, follow):
    following = follow([str(log)], None, line_bytes=1 << 20)
    appended(log, b"x" * (3 << 20))
    pieces = [one.content for one in following.read()]
    assert max(map(len, pieces)) < 2 << 20
    assert sum(map(len, pieces)) > 2 << 20
