import pytest

from watchkeeper_cli import cache
from watchkeeper_cli.policy_set import kernel_program_of, program_of
from watchkeeper_detection.program import Program, narrowed_to
from watchkeeper_detection.vocabulary import kernel

FILES = [("policy.yaml", b"kind: RuntimePolicy")]


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def a_program():
    return Program(lists={"names": ("alice", "bob")})


def test_what_was_stored_is_loaded():
    key = cache.key_of(FILES)
    assert cache.load(key) is None
    cache.store(key, a_program())
    assert cache.load(key) == a_program()


def test_another_content_is_another_key():
    assert cache.key_of(FILES) != cache.key_of([("policy.yaml", b"kind: RuntimePolicy ")])
    assert cache.key_of(FILES) != cache.key_of([*FILES, ("list.yaml", b"")])


def test_a_damaged_file_counts_for_nothing():
    key = cache.key_of(FILES)
    cache.store(key, a_program())
    path = cache.folder() / key
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert cache.load(key) is None


def test_a_file_under_another_key_counts_for_nothing():
    cache.store("a" * 64, a_program())
    (cache.folder() / ("a" * 64)).rename(cache.folder() / ("b" * 64))
    assert cache.load("b" * 64) is None


def test_a_folder_that_can_not_be_written_is_gone_without(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    cache.store("a" * 64, a_program())
    assert cache.load("a" * 64) is None


def test_the_oldest_are_dropped():
    for number in range(cache.KEPT + 5):
        cache.store(f"{number:064}", a_program())
    assert len(list(cache.folder().iterdir())) == cache.KEPT


def test_the_sensor_keeps_its_own_part_of_the_policies_and_no_other_rules():
    cold, warm = (kernel_program_of((), with_library=True) for _ in range(2))
    whole = program_of((), with_library=True)
    concerned = narrowed_to(whole, {kind.name for kind in kernel.KINDS})
    assert cold == warm == concerned
    assert 0 < len(concerned.rules) < len(whole.rules)
