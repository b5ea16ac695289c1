"""What `up` hands to its receivers: to each what it takes, and nothing that was found before is forgotten."""

import time

import msgspec
import pytest
from tests.support.detections import a_detection
from tests.support.matches import a_match

from watchkeeper_cli.delivering import HISTORY, SPOOLS, Outbox
from watchkeeper_cli.notifying import Webhook
from watchkeeper_detection.wire import Blind, decode_match
from watchkeeper_operator.store.detections import DetectionStore
from watchkeeper_sensor.spool import Spool
from watchkeeper_sensor.spool.delivery import Delivery

BLIND = Blind(cause="killed", since=1, until=2)


class Collecting:
    """As the cluster's collector would: takes matches too."""

    name = "collector"
    kinds = frozenset({"detection", "match", "loss"})

    def __init__(self):
        self.got = []

    def take(self, entries):
        self.got += entries
        return len(entries)

    def close(self):
        pass


def settle(outbox):
    end = time.monotonic() + 10
    while any(one.waiting for one in outbox.deliveries):
        assert time.monotonic() < end
        time.sleep(0.005)
    return outbox.close()


def test_the_history_gets_detections_and_blind_intervals_and_a_collector_matches_too(tmp_path):
    outbox, collecting = Outbox(tmp_path, None, "P3"), Collecting()
    outbox.deliveries.append(Delivery(tmp_path / SPOOLS / "collector", collecting))
    outbox.start()
    outbox.keep([a_detection()], [BLIND], [a_match(1)])
    assert settle(outbox) == []
    with DetectionStore(tmp_path / HISTORY, read_only=True) as store:
        assert (list(store.find()), store.blind()) == ([a_detection()], [BLIND])
    assert [entry.kind for entry in collecting.got] == ["detection", "loss", "match"]
    assert decode_match(collecting.got[2].payload) == a_match(1)


def test_a_webhook_gets_what_is_as_severe_as_was_asked_for(tmp_path):
    outbox = Outbox(tmp_path, Webhook("http://127.0.0.1:9/", b"secret"), "P2")
    outbox.keep([msgspec.structs.replace(a_detection(), id=severity, severity=severity) for severity in ("P1", "P2", "P3", "P4")], [])
    assert [(one.receiver.name, one.waiting) for one in outbox.deliveries] == [("webhook", 2), ("history", 4)]
    outbox.close()
    later = Outbox(tmp_path, None, "P2")
    assert later.tick() == ["2 detections of an earlier run wait for a webhook: --notify posts them"]
    later.close()


def test_an_entry_that_can_not_be_read_does_not_hold_up_the_others(tmp_path, monkeypatch):
    from watchkeeper_sensor.spool import delivery

    monkeypatch.setattr(delivery, "TRIES", 1)
    with Spool(tmp_path / SPOOLS / "history") as spool:
        spool.append("detection", b"\x00of another version")
    outbox = Outbox(tmp_path, None, "P3")
    outbox.keep([a_detection()], [])
    outbox.start()
    assert any("can't be read" in text for text in settle(outbox))
    with DetectionStore(tmp_path / HISTORY, read_only=True) as store:
        assert list(store.find()) == [a_detection()]


@pytest.mark.parametrize("state", [None, "folder"])
def test_nothing_is_made_on_disk_without_a_state(tmp_path, state):
    Outbox(tmp_path / state if state else None, None, "P3").close()
    assert (tmp_path / "folder").exists() is bool(state)
