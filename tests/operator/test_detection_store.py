"""History on disk."""

import msgspec
import pytest
from tests.support.detections import a_detection

from watchkeeper_detection.detection import Act
from watchkeeper_operator.store.detections import DetectionStore, StoreError


def test_what_was_kept_is_found_again_oldest_first(tmp_path):
    later = msgspec.structs.replace(a_detection(), id="b", observed_at=20, act=Act(process="/bin/sh", process_id=7, ancestors=("/sbin/init",)))
    earlier = msgspec.structs.replace(a_detection(), id="a", observed_at=10)
    with DetectionStore(tmp_path / "history.db") as store:
        store.add([later, earlier])
        store.add([later])
    with DetectionStore(tmp_path / "history.db", read_only=True) as store:
        assert list(store.find()) == [earlier, later]


def test_a_search_is_narrowed_by_time_severity_policy_and_number(tmp_path):
    found = [msgspec.structs.replace(a_detection(), id=str(n), observed_at=n, severity=f"P{n % 4 + 1}", policy=f"p{n % 2}") for n in range(12)]
    with DetectionStore(tmp_path / "history.db") as store:
        store.add(found)
        assert [one.observed_at for one in store.find(since=8)] == [8, 9, 10, 11]
        assert {one.severity for one in store.find(severity="P2")} == {"P1", "P2"}
        assert {one.policy for one in store.find(policy="p1")} == {"p1"}
        assert [one.observed_at for one in store.find(most=2)] == [10, 11]


def test_a_search_may_choose_and_still_gives_the_latest(tmp_path):
    found = [msgspec.structs.replace(a_detection(), id=f"{n:x}", observed_at=n, rule=f"r{n % 3}") for n in range(12)]
    with DetectionStore(tmp_path / "history.db") as store:
        store.add(found)
        assert [one.observed_at for one in store.find(keep=lambda one: one.rule == "r1", most=2)] == [7, 10]


def test_a_detection_is_found_by_how_its_id_begins(tmp_path):
    found = [msgspec.structs.replace(a_detection(), id=name, event=b"\xff") for name in ("aa01", "aa02", "aaf", "ab")]
    with DetectionStore(tmp_path / "history.db") as store:
        store.add(found)
        assert [one.id for one in store.named("aa")] == ["aa01", "aa02", "aaf"]
        assert store.named("ab") == [found[3]]
        assert store.named("b") == []


def test_the_oldest_go_when_there_are_too_many(tmp_path):
    with DetectionStore(tmp_path / "history.db") as store:
        store.add([msgspec.structs.replace(a_detection(), id=str(n), observed_at=n) for n in range(10)])
        assert store.trim(kept=4) == 6
        assert [one.observed_at for one in store.find()] == [6, 7, 8, 9]


def test_a_folder_that_can_not_be_used_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        DetectionStore(tmp_path / "file" / "history.db")


def test_nobody_else_may_read_the_history(tmp_path):
    DetectionStore(tmp_path / "state" / "history.db").close()
    assert (tmp_path / "state" / "history.db").stat().st_mode & 0o077 == 0
