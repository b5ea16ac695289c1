"""What the agent keeps: windows go on as if it had never been killed, whatever the moment; what can't be kept or read is said."""

import json
import os
import random
import subprocess
import sys

import msgspec
import pytest
from tests.support.matches import a_match
from tests.support.policy_objects import a_policy, a_rule

from watchkeeper_detection.checking import check_policies
from watchkeeper_detection.engine import Engine
from watchkeeper_detection.policy_loading import load_policies
from watchkeeper_sensor.keeping import JOURNAL, NAME, FolderInUseError, Keeper, KeepingError, own_folder

THRESHOLD = a_policy(a_rule(threshold={"count": 3, "within": "1h", "by": ["identity.id"]}))
PROGRAM = check_policies(load_policies(json.dumps(THRESHOLD).encode(), "policy.json").documents).program


def test_windows_go_on_as_if_there_had_been_no_kill(tmp_path):
    """Matches come, the state is saved and the agent killed at random moments; each threshold must fire just where it would have."""
    for seed in range(20):
        chance, folder = random.Random(seed), tmp_path / str(seed)
        matches = [
            msgspec.structs.replace(a_match(number, chance.choice("abc"), number=number), rule=PROGRAM.rules[0].state_key)
            for number in range(chance.randrange(40, 120))
        ]
        undisturbed = Engine(PROGRAM)
        expected = [detection.id for match in matches for detection in [*undisturbed.wait(match), *undisturbed.advance(match.observed_at + 1)]]
        found, engine, keeper = set(), Engine(PROGRAM), Keeper(folder)
        for match in matches:
            fired = engine.wait(match)
            keeper.note([match])
            keeper.flush()
            found |= {detection.id for detection in [*fired, *engine.advance(match.observed_at + 1)]}
            if chance.random() < 0.2:
                keeper.save("boot", match.observed_at, engine.snapshot())
            if chance.random() < 0.15:
                keeper.close()  # a kill: what is in memory is gone, what was written is not
                keeper, engine = Keeper(folder), Engine(PROGRAM)
                kept = keeper.load()
                if kept is not None:
                    engine.restore(kept.engine)
                for journaled in keeper.journaled(kept.journal if kept else 0):
                    found |= {detection.id for detection in engine.wait(journaled)}
                found |= {detection.id for detection in engine.advance(match.observed_at + 1)}
        keeper.close()
        assert found == set(expected)
        assert len(expected) > 5


def test_what_the_snapshot_has_is_not_joined_once_more(tmp_path):
    keeper = Keeper(tmp_path)
    keeper.note([a_match(1), a_match(2)])
    keeper.save("boot", 1, b"")
    keeper.note([a_match(3)])
    keeper.flush()
    keeper.note([a_match(4)])  # never written down: the round was not over
    keeper.close()
    again = Keeper(tmp_path)
    assert [match.observed_at for match in again.journaled(again.load().journal)] == [a_match(3).observed_at]
    again.close()


def test_a_state_that_can_not_be_read_is_said_with_the_time_it_was_written(tmp_path):
    keeper = Keeper(tmp_path)
    assert keeper.load() is None
    keeper.save("boot", 1, b"x")
    keeper.close()
    (tmp_path / NAME).write_bytes(b"\xc1")
    os.utime(tmp_path / NAME, ns=(5_000_000_000, 5_000_000_000))
    with pytest.raises(KeepingError, match="damaged or of another version") as said:
        Keeper(tmp_path).load()
    assert said.value.since == 5_000_000_000


def test_a_folder_that_can_not_be_used_is_said_and_taken_up_later(tmp_path):
    (tmp_path / "place").write_text("")
    keeper = Keeper(tmp_path / "place")
    assert "Not a directory" in keeper.failed
    keeper.note([a_match(1)])
    keeper.flush()
    with pytest.raises(KeepingError, match="File exists"):
        keeper.save("boot", 1, b"x")
    (tmp_path / "place").unlink()
    keeper.save("boot", 2, b"x")
    assert keeper.failed == ""
    keeper.note([a_match(2)])
    keeper.flush()
    assert len(list((tmp_path / "place" / JOURNAL).glob("*.frames"))) == 1
    keeper.close()


def test_a_folder_belongs_to_one_process_at_a_time(tmp_path):
    code = "import sys; from pathlib import Path; from watchkeeper_sensor.keeping import own_folder; own_folder(Path(sys.argv[1])); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code, tmp_path / "state"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        owner.stdout.readline()
        with pytest.raises(FolderInUseError, match=rf"in use by another watchkeeper \(process {owner.pid}\)"):
            own_folder(tmp_path / "state")
        owner.kill()
        owner.wait()
        os.close(own_folder(tmp_path / "state"))  # a kill gives it back
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0
