"""Opening logs: paths, folders, compressions; what can't be read is named and the rest is read."""

import gzip
import os
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper_operator.transports import files
from watchkeeper_operator.transports.files import FileUnreadableError, chunks, find

CONTENT = b"".join(b"line %d\n" % number for number in range(100_000))


def read(path, **options):
    return b"".join(chunk.data for chunk in chunks(str(path), **options))


def zstd(content):
    return zstandard.ZstdCompressor().compress(content)


FORMS = {
    "plain": CONTENT,
    "gzip": gzip.compress(CONTENT),
    "gzip of two members": gzip.compress(CONTENT[:1000]) + gzip.compress(CONTENT[1000:]),
    "gzip with zeros after it": gzip.compress(CONTENT) + bytes(1000),
    "zstd": zstd(CONTENT),
    "zstd of two frames": zstd(CONTENT[:1000]) + zstd(CONTENT[1000:]),
    "gzip in gzip": gzip.compress(gzip.compress(CONTENT)),
    "zstd in gzip": gzip.compress(zstd(CONTENT)),
}


@pytest.mark.parametrize("form", FORMS)
def test_content_is_the_same_in_every_form_whatever_the_name(tmp_path, form):
    path = tmp_path / "audit.log"
    path.write_bytes(FORMS[form])
    assert read(path) == CONTENT
    assert sum(chunk.read_bytes for chunk in chunks(str(path))) == len(FORMS[form])
    assert find([str(path)]).total_bytes == len(FORMS[form])


@pytest.mark.parametrize("form", ["gzip", "zstd", "gzip in gzip"])
def test_content_that_is_cut_off_is_read_as_far_as_it_goes_and_then_named(tmp_path, form):
    path = tmp_path / "x"
    path.write_bytes(FORMS[form][:-100])
    got = []
    with pytest.raises(FileUnreadableError, match="ends in its middle; fetch the file again"):
        got.extend(chunks(str(path)))
    read_part = b"".join(chunk.data for chunk in got)
    assert CONTENT.startswith(read_part)


@pytest.mark.parametrize("magic", [files.GZIP + b"\x08\x00", files.ZSTD])
def test_damaged_content_is_named(tmp_path, magic):
    path = tmp_path / "x"
    path.write_bytes(magic + b"\xff" * 500)
    with pytest.raises(FileUnreadableError, match="damaged"):
        read(path)


def test_bytes_after_gzip_that_are_none_are_named(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(gzip.compress(CONTENT) + b"hidden")
    with pytest.raises(FileUnreadableError, match="damaged gzip"):
        read(path)


@pytest.mark.parametrize("compress", [gzip.compress, zstd])
def test_a_decompression_bomb_is_stopped(tmp_path, monkeypatch, compress):
    monkeypatch.setattr(files, "RATIO_FROM_BYTES", 1 << 20)
    path = tmp_path / "bomb"
    path.write_bytes(compress(bytes(64 << 20)))
    sizes: list[int] = []
    with pytest.raises(FileUnreadableError, match="as a decompression bomb does"):
        sizes.extend(len(chunk.data) for chunk in chunks(str(path)))
    assert sum(sizes) < 48 << 20


def test_a_file_may_not_unpack_to_more_than_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MOST_BYTES", 1000)
    path = tmp_path / "x"
    path.write_bytes(gzip.compress(CONTENT))
    with pytest.raises(FileUnreadableError, match="unpacks to over"):
        read(path)


def test_compressions_inside_one_another_have_an_end(tmp_path):
    content = CONTENT
    for _ in range(6):
        content = gzip.compress(content)
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(FileUnreadableError, match="more than 4 compressions"):
        read(tmp_path / "x")


def test_a_part_of_a_file_can_be_read(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(CONTENT)
    assert read(path, start=1000, end=2000) == CONTENT[1000:2000]
    assert read(path, start=1000) == CONTENT[1000:]
    assert read(path, end=10) == CONTENT[:10]
    assert read(path, start=len(CONTENT), end=len(CONTENT)) == b""


def test_an_empty_file_has_no_content(tmp_path):
    (tmp_path / "x").write_bytes(b"")
    assert read(tmp_path / "x") == b""


def test_standard_input_may_be_compressed(monkeypatch, tmp_path):
    (tmp_path / "x").write_bytes(FORMS["gzip"])
    with (tmp_path / "x").open("rb") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert read("-") == CONTENT
    assert [file.path for file in find(["-"]).files] == ["-"]


# paths


def test_folders_are_read_in_order_without_hidden_files(tmp_path):
    for name in ("b.log", "a.log", "sub/z.gz", "sub/.hidden/x", ".git/config", "a.d/1"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    found = find([str(tmp_path)])
    assert [os.path.relpath(file.path, tmp_path) for file in found.files] == ["a.log", "b.log", "a.d/1", "sub/z.gz"]
    assert found.total_bytes == 4
    assert found.unreadable == ()


def test_links_that_go_in_circles_end_and_no_file_is_read_twice(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a").write_bytes(b"x")
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path / "sub" / "a")
    (tmp_path / "gone").symlink_to(tmp_path / "nothing")
    found = find([str(tmp_path), str(tmp_path / "sub" / "a")])
    assert len(found.files) == 1
    assert [(Path(path).name, reason) for path, reason in found.unreadable] == [("gone", "there is no such file; check the path")]


def test_what_is_not_there_is_named_and_the_rest_is_read(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    found = find([str(tmp_path / "missing"), str(tmp_path / "a"), "nul\0byte"])
    assert [Path(file.path).name for file in found.files] == ["a"]
    assert [path for path, _ in found.unreadable] == [str(tmp_path / "missing"), "nul\0byte"]


def test_an_empty_folder_is_named(tmp_path):
    assert find([str(tmp_path)]).unreadable == ((str(tmp_path), "the folder holds no files (hidden ones are left out)"),)


def test_a_file_that_vanishes_is_named(tmp_path):
    with pytest.raises(FileUnreadableError, match="there is no such file"):
        read(tmp_path / "x")


def test_pipes_are_read_when_named_and_not_waited_for_in_folders(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a").write_bytes(b"x")
    assert [Path(file.path).name for file in find([str(tmp_path)]).files] == ["a"]
    assert [file.size for file in find([str(tmp_path / "pipe")]).files] == [0]


@given(st.binary(max_size=200), st.sampled_from([b"", files.GZIP, files.ZSTD, gzip.compress(b"x" * 100), zstd(b"x" * 100)]))
def test_any_bytes_are_content_or_a_named_error(tmp_path_factory, content, head):
    path = tmp_path_factory.mktemp("any") / "x"
    path.write_bytes(head + content)
    with suppress(FileUnreadableError):
        read(path)
