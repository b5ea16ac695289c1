"""What is found reaches the collector: at least once, each entry known by spool and number."""

import pytest
from tests.support.detections import a_detection

from watchkeeper_detection.node_wire import DELIVERY_BYTES
from watchkeeper_detection.wire import Blind, encode
from watchkeeper_sensor.cluster.receiving import Collector, _portion, spool_id
from watchkeeper_sensor.spool.delivery import Delivery, NotTakenError
from watchkeeper_sensor.spool.segments import Entry

BOOT = "boot-1"


@pytest.fixture
def receiver(channel, credentials):
    credentials.start()
    assert credentials.wait(10)
    return Collector(channel, credentials, "spool-1")


def entries(*numbers):
    return [Entry(number, "detection", encode(a_detection(id=f"d{number}"))) for number in numbers]


def test_entries_keep_their_numbers_and_their_order(collector, receiver):
    assert receiver.take(entries(4, 5, 7)) == 3
    assert [(spool, position, found.id) for (spool, position), found in collector.entries.items()] == [
        ("spool-1", 4, "d4"),
        ("spool-1", 5, "d5"),
        ("spool-1", 7, "d7"),
    ]


def test_what_the_collector_took_of_a_portion_is_taken(collector, receiver):
    collector.takes = 2
    assert receiver.take(entries(1, 2, 3)) == 2


def test_what_the_spool_itself_lost_is_stated_as_any_loss(collector, receiver):
    stated = b'{"cause":"spool_full","counts":{"detection":7},"since":1,"until":2,"first":1,"last":7}'
    assert receiver.take([Entry(1, "loss", stated), Entry(2, "loss", encode(Blind(cause="ring_full", since=3, until=4, records={"file.open": 9})))]) == 2
    assert collector.found == [
        Blind(cause="spool_full", since=1, until=2, entries={"detection": 7}),
        Blind(cause="ring_full", since=3, until=4, records={"file.open": 9}),
    ]


def test_a_collector_that_is_busy_is_tried_again(collector, receiver):
    collector.answers["/v1/deliveries"] = 503
    with pytest.raises(NotTakenError) as refusal:
        receiver.take(entries(1))
    assert not refusal.value.is_refusal


def test_a_refused_portion_is_offered_singly_so_that_the_bad_entry_alone_is_given_up(collector, receiver):
    collector.answers["/v1/deliveries"] = 400
    with pytest.raises(NotTakenError) as refusal:
        receiver.take(entries(1, 2))
    assert not refusal.value.is_refusal  # either may be the one
    with pytest.raises(NotTakenError) as refusal:
        receiver.take(entries(1, 2))
    assert refusal.value.is_refusal
    del collector.answers["/v1/deliveries"]
    assert receiver.take(entries(1, 2)) == 1
    assert receiver.take(entries(2)) == 1


def test_a_refused_certificate_gives_no_entry_up_and_gets_another(collector, receiver, credentials):
    collector.answers["/v1/deliveries"] = 401
    with pytest.raises(NotTakenError) as refusal:
        receiver.take(entries(1))
    assert not refusal.value.is_refusal
    collector.waited(lambda: credentials.identity().number == 2)


def test_entries_from_memory_are_a_spool_of_their_own_and_the_same_when_offered_again(collector, receiver):
    lost = [Entry(0, "detection", encode(a_detection(id=name))) for name in ("a", "b", "c")]
    collector.answers["/v1/deliveries"] = 503
    with pytest.raises(NotTakenError):
        receiver.take(lost[:2])
    del collector.answers["/v1/deliveries"]
    receiver.take(lost[:2])
    receiver.take(lost[:2])
    receiver.take(lost[2:])
    assert collector.repeats == 2
    assert [found.id for found in collector.found] == ["a", "b", "c"]


def test_a_portion_fits_a_delivery():
    big = [Entry(number, "detection", bytes(1 << 20)) for number in range(1, 9)]
    portion = _portion(big)
    assert 1 <= len(portion) < 8
    assert sum(len(entry.payload) for entry in portion) < DELIVERY_BYTES
    assert len(_portion([Entry(1, "detection", bytes(DELIVERY_BYTES))])) == 1


def test_a_spool_keeps_its_id_over_a_restart_and_gets_another_with_the_host(tmp_path):
    folder = tmp_path / "spool"
    first = spool_id(folder, BOOT)
    (folder / "state").touch()
    assert spool_id(folder, BOOT) == first
    assert spool_id(folder, "boot-2") != first


def test_a_new_spool_in_an_old_folder_gets_another_id(tmp_path):
    first = spool_id(tmp_path, BOOT)
    assert spool_id(tmp_path, BOOT) != first


def test_a_collector_that_is_away_gets_everything_once_when_it_is_back(collector, channel, credentials, tmp_path):
    credentials.start()
    assert credentials.wait(10)
    folder = tmp_path / "spool"
    collector.stop()
    delivery = Delivery(folder, Collector(channel, credentials, spool_id(folder, BOOT)), first_pause=0.05, longest_pause=0.2)
    delivery.start()
    try:
        delivery.keep("detection", [encode(a_detection(id=f"d{number}")) for number in range(1500)])
        collector.start()
        collector.waited(lambda: len(collector.entries) == 1500)
    finally:
        delivery.close()
    assert [found.id for found in collector.found] == [f"d{number}" for number in range(1500)]
    assert not collector.repeats


def test_what_waited_when_the_agent_ended_is_delivered_by_the_next_one(collector, credentials, channel, tmp_path):
    folder = tmp_path / "spool"
    first = Delivery(folder, Collector(channel, credentials, spool_id(folder, BOOT)))
    first.keep("detection", [encode(a_detection(id="kept"))])
    first.close()
    credentials.start()
    assert credentials.wait(10)
    second = Delivery(folder, Collector(channel, credentials, spool_id(folder, BOOT)))
    second.start()
    collector.waited(lambda: collector.found)
    second.close()
    assert [found.id for found in collector.found] == ["kept"]
