"""Who has which place in the state folder, and what is left in the other."""

import os

import pytest

from watchkeeper_sensor.cluster.slots import own_slot, take_left
from watchkeeper_sensor.keeping import FolderInUseError


@pytest.fixture
def own():
    held = []

    def take(state):
        held.append(own_slot(state))
        return held[-1]

    yield take
    for slot in held:
        os.close(slot.lock)


def end(slot):
    """The sensor ends: its lock goes with it."""
    os.dup2(os.open("/dev/null", os.O_RDONLY), slot.lock)


def used(slot, at, content=b"windows"):
    (slot.folder / "agent.state").write_bytes(content)
    os.utime(slot.folder / "agent.state", (at, at))


def test_a_first_sensor_takes_over_from_nobody(own, tmp_path):
    slot = own(tmp_path)
    assert (slot.folder.name, slot.takes_over) == ("a", False)


def test_one_that_starts_beside_another_goes_on_from_what_that_one_wrote(own, tmp_path):
    old = own(tmp_path)
    used(old, 1000)
    (old.folder / "node-feed.json").write_text("policies")
    (tmp_path / "b" / "windows").mkdir(parents=True)
    (tmp_path / "b" / "windows" / "1.frames").write_text("of long ago")
    new = own(tmp_path)
    assert (new.folder.name, new.takes_over) == ("b", True)
    assert (new.folder / "agent.state").read_bytes() == b"windows"
    assert (new.folder / "node-feed.json").read_text() == "policies"
    assert not (new.folder / "windows").exists()


def test_a_restart_goes_on_with_the_place_that_was_used_last(own, tmp_path):
    old, new = own(tmp_path), own(tmp_path)
    used(old, 1000)
    used(new, 2000)
    end(old)
    end(new)
    slot = own(tmp_path)
    assert (slot.folder, slot.takes_over) == (new.folder, False)


def test_a_third_is_refused(own, tmp_path):
    own(tmp_path)
    own(tmp_path)
    with pytest.raises(FolderInUseError):
        own_slot(tmp_path)


def test_nothing_is_taken_from_one_that_watches(own, tmp_path):
    old, new = own(tmp_path), own(tmp_path)
    (old.folder / "spool" / "collector").mkdir(parents=True)
    assert take_left(new) == []


def test_what_an_ended_one_left_is_taken_once_and_its_place_is_free(own, tmp_path):
    old, new = own(tmp_path), own(tmp_path)
    (old.folder / "spool" / "collector").mkdir(parents=True)
    (old.folder / "spool" / "collector" / "id").write_text("5f0c boot")
    (old.folder / "left" / "earlier").mkdir(parents=True)
    end(old)
    left = take_left(new)
    assert len(left) == 2
    assert sorted((folder / "id").exists() for folder in left) == [False, True]
    assert take_left(new) == left
    assert own(tmp_path).folder == old.folder


def test_what_was_left_before_is_found_after_a_restart(own, tmp_path):
    slot = own(tmp_path)
    (slot.folder / "left" / "earlier").mkdir(parents=True)
    assert [folder.name for folder in take_left(slot)] == ["earlier"]
