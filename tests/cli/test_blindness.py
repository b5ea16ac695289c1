"""When a host was blind, in words."""

from watchkeeper_cli.blindness import MOST, blind_lines
from watchkeeper_detection.wire import Blind

SECOND = 1_000_000_000
BEGIN = 1_773_282_600 * SECOND  # 2026-03-12T02:30:00Z


def a_blind(cause, since, until, **fields):
    return Blind(cause=cause, since=BEGIN + int(since * SECOND), until=BEGIN + int(until * SECOND), **fields)


def test_nobody_watching_and_losses_are_told_with_their_times():
    assert blind_lines(
        [
            a_blind("killed", 0, 5),
            a_blind("ring_full", 60, 61, records={"file.open": 1000, "process.exec": 1}),
            a_blind("spool_full", 120, 121, entries={"detection": 2, "loss": 1}),
        ]
    ) == [
        "blind 2026-03-12 02:30:00 to 2026-03-12 02:30:05: the sensor was killed",
        "blind 2026-03-12 02:31:00 to 2026-03-12 02:31:01: 1,001 records lost (file.open 1000, process.exec 1): ring full",
        "blind 2026-03-12 02:32:00 to 2026-03-12 02:32:01: found and not kept: 2 detections, 1 loss: spool full",
    ]


def test_a_flood_is_one_interval_and_two_kills_are_two():
    flood = [a_blind("rate_limit", second / 2, second / 2 + 0.5, records={"file.open": 10}) for second in range(100)]
    assert blind_lines(flood) == ["blind 2026-03-12 02:30:00 to 2026-03-12 02:30:50: 1,000 records lost (file.open 1000): rate limit"]
    assert len(blind_lines([a_blind("killed", 0, 1), a_blind("killed", 2, 3)])) == 2


def test_only_the_latest_are_told_one_by_one():
    lines = blind_lines([a_blind("stopped", 10 * number, 10 * number + 1) for number in range(MOST + 5)])
    assert lines[0] == "blind at 5 earlier times besides"
    assert len(lines) == MOST + 1
