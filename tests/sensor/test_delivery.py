"""Delivery: what was kept reaches the receiver, whatever becomes of receiver, disk and process in between."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from watchkeeper_sensor.spool import Spool
from watchkeeper_sensor.spool.delivery import IN_MEMORY, TRIES, Delivery, NotTakenError

PATIENCE = 10.0


class Receiving:
    """A receiver that takes so many at once, after it has been told how to answer."""

    name = "receiver"
    kinds = frozenset({"detection", "loss"})

    def __init__(self, at_once=1):
        self.got = []
        self.stated = []
        self.answers = []
        self.at_once = at_once
        self.offered = 0
        self.is_closed = False
        self.gate = threading.Event()
        self.gate.set()

    def take(self, entries):
        self.gate.wait(PATIENCE)
        self.offered += 1
        if self.answers:
            answer = self.answers.pop(0)
            if answer is not None:
                raise answer
        taken = entries[: self.at_once]
        self.got += [entry.payload for entry in taken if entry.kind == "detection"]
        self.stated += [entry.payload for entry in taken if entry.kind == "loss"]
        return len(taken)

    def close(self):
        self.is_closed = True


def wait_for(holds):
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture
def delivery(tmp_path):
    """`delivery(receiver)` begins to deliver out of the folder's spool."""
    begun = []

    def begin(receiver, folder=tmp_path / "spool", **options):
        begun.append(Delivery(folder, receiver, first_pause=0.002, longest_pause=0.01, **options))
        begun[-1].start()
        return begun[-1]

    yield begin
    for one in begun:
        one.receiver.gate.set()
        one.close()


def numbered(count, start=0):
    return [b"%d" % number for number in range(start, start + count)]


@pytest.mark.parametrize("at_once", [1, 7, 1000])
def test_what_was_kept_arrives_in_order_and_is_forgotten(delivery, tmp_path, at_once):
    receiver = Receiving(at_once)
    one = delivery(receiver)
    for start in range(0, 500, 50):
        one.keep("detection", numbered(50, start))
    wait_for(lambda: one.waiting == 0)
    assert receiver.got == numbered(500)
    assert one.delivered == 500
    one.close()
    assert receiver.is_closed
    with Spool(tmp_path / "spool") as spool:
        assert len(spool) == 0


def test_a_receiver_that_fails_gets_everything_when_it_is_back_and_both_are_said(delivery):
    receiver = Receiving()
    receiver.answers = [NotTakenError("no route")] * 8
    one = delivery(receiver)
    one.keep("detection", numbered(3))
    wait_for(lambda: len(receiver.got) == 3)
    assert receiver.got == numbered(3)
    wait_for(lambda: one.troubles() == [])
    said = one.news()
    assert [text for text in said if "does not take what is found: no route" in text]
    assert "takes what is found again" in said[-1]


def test_what_a_receiver_did_not_take_waits_for_the_next_start(delivery):
    receiver = Receiving()
    receiver.answers = [NotTakenError("down")] * 1_000_000
    one = delivery(receiver)
    one.keep("detection", numbered(20))
    wait_for(lambda: receiver.offered > 2)
    one.close()
    assert "20 for the receiver wait" in one.news()[-1]
    other = Receiving()
    delivery(other)
    wait_for(lambda: len(other.got) == 20)
    assert other.got == numbered(20)


def test_an_entry_that_is_refused_is_given_up_after_some_tries_and_counted_and_the_rest_arrives(delivery):
    receiver = Receiving()
    receiver.answers = [None, *[NotTakenError("HTTP 400", is_refusal=True)] * TRIES]
    one = delivery(receiver)
    one.keep("detection", numbered(4))
    wait_for(lambda: one.waiting == 0)
    assert receiver.got == [b"0", b"2", b"3"]
    assert (one.refused, one.delivered) == (1, 3)
    assert [text for text in one.news() if f"refused an entry {TRIES} times" in text]


def test_refusals_of_other_entries_do_not_count_for_one(delivery):
    receiver = Receiving()
    refusal = NotTakenError("HTTP 400", is_refusal=True)
    receiver.answers = [*[refusal] * (TRIES - 1), None, *[refusal] * (TRIES - 1), None]
    one = delivery(receiver)
    one.keep("detection", numbered(2))
    wait_for(lambda: one.waiting == 0)
    assert receiver.got == numbered(2)
    assert one.refused == 0


def test_who_finds_things_never_waits_for_a_receiver_that_hangs(delivery):
    receiver = Receiving()
    receiver.gate.clear()
    one = delivery(receiver)
    begin = time.monotonic()
    for number in range(100):
        one.keep("detection", [b"%d" % number])
    assert time.monotonic() - begin < 1.0
    assert receiver.got == []
    receiver.gate.set()
    wait_for(lambda: len(receiver.got) == 100)


def test_kinds_that_a_receiver_does_not_want_are_not_kept_for_it(delivery):
    receiver = Receiving()
    receiver.gate.clear()
    one = delivery(receiver)
    one.keep("match", [b"x"])
    one.keep("loss", [b"x"])
    assert one.waiting == 1


def test_without_a_disk_entries_go_by_memory_and_the_spool_is_taken_up_when_there_is_one(delivery, tmp_path):
    (tmp_path / "place").write_text("a file where the folder ought to be")
    receiver = Receiving()
    receiver.gate.clear()
    one = delivery(receiver, tmp_path / "place" / "spool")
    assert "can't be kept on disk" in one.news()[0]
    one.keep("detection", numbered(5))
    assert one.unkept == 5
    assert "Not a directory" in one.troubles()[0]
    (tmp_path / "place").unlink()
    wait_for(lambda: (one.tick(), one.troubles() == [])[1])
    one.keep("detection", numbered(5, 5))
    assert one.unkept == 5
    receiver.gate.set()
    wait_for(lambda: len(receiver.got) == 10)
    assert sorted(receiver.got) == sorted(numbered(10))
    assert not one.lost


def test_what_finds_no_room_in_memory_either_is_counted_and_the_oldest_goes(delivery, tmp_path):
    (tmp_path / "place").write_text("")
    receiver = Receiving()
    receiver.gate.clear()
    one = delivery(receiver, tmp_path / "place" / "spool")
    one.keep("detection", [b"first"])
    wait_for(lambda: one._in_hand)
    one.keep("detection", numbered(IN_MEMORY + 7))
    assert one.lost == {"detection": 7}
    assert one.losses == {("disk", "detection"): 7}
    receiver.gate.set()
    wait_for(lambda: len(receiver.got) == IN_MEMORY + 1)
    assert receiver.got == [b"first", *numbered(IN_MEMORY, 7)]
    (tmp_path / "place").unlink()
    wait_for(lambda: (one.tick(), one.troubles() == [])[1])
    assert one.losses == {("disk", "detection"): 7}
    wait_for(lambda: receiver.stated)  # the receiver gets to know how many it does not get
    assert json.loads(receiver.stated[0])["counts"] == {"detection": 7}


def test_what_only_memory_holds_at_the_end_is_counted_as_lost(delivery, tmp_path):
    (tmp_path / "place").write_text("")
    receiver = Receiving()
    receiver.gate.clear()
    one = delivery(receiver, tmp_path / "place" / "spool")
    one.keep("detection", [b"in hand"])
    wait_for(lambda: one._in_hand)
    one.keep("detection", [b"in memory"])
    one.close(0.01)
    assert one.losses == {("disk", "detection"): 2}


def test_a_thread_that_ended_by_a_fault_is_said(delivery, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    receiver = Receiving()
    receiver.answers = [ZeroDivisionError()]
    one = delivery(receiver)
    one.keep("detection", [b"x"])
    wait_for(lambda: any("its thread has ended" in text for text in one.troubles()))


def test_a_payload_longer_than_the_spool_takes_still_arrives(delivery):
    receiver = Receiving()
    one = delivery(receiver, limit_bytes=16_000)
    one.keep("detection", [b"x" * 5_000, b"y"])
    wait_for(lambda: len(receiver.got) == 2)
    assert {len(payload) for payload in receiver.got} == {5_000, 1}


STREAM = """
import sys
from pathlib import Path
from tests.sensor.test_delivery import Receiving
from watchkeeper_sensor.spool.delivery import Delivery
class Writing(Receiving):
    def take(self, entries):
        with open(sys.argv[2], "ab", buffering=0) as file:
            file.write(b"".join(entry.payload + b"\\n" for entry in entries[:3]))
        return len(entries[:3])
one = Delivery(Path(sys.argv[1]), Writing(), limit_bytes=1 << 20)
one.start()
number = 0
while True:
    one.keep("detection", [b"%d" % number])
    print(number, flush=True)
    number += 1
"""


@pytest.mark.parametrize("seconds", [0.05, 0.2, 0.5])
def test_a_kill_loses_nothing_that_was_kept(tmp_path, seconds):
    arrived = tmp_path / "arrived"
    with subprocess.Popen(
        [sys.executable, "-c", STREAM, tmp_path / "spool", arrived],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": "."},
    ) as process:
        kept = [process.stdout.readline()]
        killer = threading.Timer(seconds, process.send_signal, [signal.SIGKILL])
        killer.start()
        kept += process.stdout.readlines()
    promised = [line for line in kept if line.endswith(b"\n")]
    receiver = Receiving(1000)
    one = Delivery(tmp_path / "spool", receiver)
    one.start()
    wait_for(lambda: one.waiting == 0)
    one.close()
    first = [int(line) for line in arrived.read_bytes().splitlines()] if arrived.exists() else []
    got = {*first, *map(int, receiver.got)}
    assert got >= {int(line) for line in promised}
    assert len(first) + len(receiver.got) <= len(got) + 3  # what was being delivered at the kill comes once more
