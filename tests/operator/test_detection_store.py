"""History on disk."""

import contextlib
import sqlite3

import msgspec
import pytest
from tests.support.detections import a_detection

from watchkeeper_detection.detection import Act
from watchkeeper_detection.wire import Blind
from watchkeeper_operator.store.detections import ASIDE, DamagedError, DetectionStore, StoreError, move_aside


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


def test_blind_intervals_are_kept_once_and_found_by_their_end(tmp_path):
    early = Blind(cause="killed", since=10, until=20)
    late = Blind(cause="ring_full", since=15, until=40, records={"file.open": 7})
    with DetectionStore(tmp_path / "history.db") as store:
        store.add([], [late, early])
        store.add([], [early])
    with DetectionStore(tmp_path / "history.db", read_only=True) as store:
        assert store.blind() == [early, late]
        assert store.blind(since=21) == [late]
    with DetectionStore(tmp_path / "history.db") as store:
        assert store.trim(kept=1) == 1
        assert store.blind() == [late]


def test_a_history_from_before_there_were_blind_intervals_is_read(tmp_path):
    with DetectionStore(tmp_path / "history.db") as store:
        store.add([a_detection()])
    with contextlib.closing(sqlite3.connect(tmp_path / "history.db")) as other:
        other.execute("DROP TABLE blind")
    with DetectionStore(tmp_path / "history.db", read_only=True) as store:
        assert store.blind() == []
        assert list(store.find()) == [a_detection()]


def damage_within(path):
    """Pages after the first become noise; SQLite finds it when it reads or writes them."""
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (path.stat().st_size - 4096))


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"no database" * 1000), damage_within], ids=["all of it", "all pages but the first"])
def test_damage_is_told_from_passing_trouble_and_the_file_can_be_moved_aside(tmp_path, damage):
    path = tmp_path / "history.db"
    with DetectionStore(path) as store:
        store.add([msgspec.structs.replace(a_detection(), id=f"{n:032x}") for n in range(200)])
    for side in ("-wal", "-shm"):
        assert not path.with_name(path.name + side).exists()
    damage(path)
    with pytest.raises(DamagedError), DetectionStore(path) as store:
        store.add([msgspec.structs.replace(a_detection(), id=f"{n:032x}") for n in range(200, 400)])
    with pytest.raises(StoreError), DetectionStore(path, read_only=True) as store:
        list(store.find())
    for moment in range(5):
        aside = move_aside(path, moment)
        assert aside.exists()
        with DetectionStore(path) as store:
            store.add([a_detection()])
    assert sorted(one.name for one in tmp_path.glob("*.damaged-*")) == [f"history.db.damaged-{moment}" for moment in range(5 - ASIDE, 5)]


def test_a_lock_of_another_process_is_passing_trouble(tmp_path):
    path = tmp_path / "history.db"
    with DetectionStore(path) as store, contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        store.add([a_detection(line=2)])
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="locked") as said:
            store.add([a_detection()])
        assert not isinstance(said.value, DamagedError)
        with pytest.raises(StoreError, match="locked"):
            store.trim(kept=0)
        other.execute("ROLLBACK")
        store.add([a_detection()])
        assert len(list(store.find())) == 2
