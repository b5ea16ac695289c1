"""Events that never came are known by what the API server says, by silence, and by what could not be kept."""

from __future__ import annotations

import pytest

from watchkeeper_detection.wire import Blind
from watchkeeper_operator.audit.gaps import Dropped, Gaps, dropped

SECOND = 10**9
METRICS = b"""# HELP apiserver_audit_error_total [ALPHA] Counter of audit events that failed to be audited properly.
# TYPE apiserver_audit_error_total counter
apiserver_audit_error_total{plugin="webhook"} %d
apiserver_audit_error_total{plugin="log"} 2
apiserver_audit_error_total_of_another{plugin="webhook"} 77
process_start_time_seconds 1.77328e+09
"""


def gaps(**options) -> Gaps:
    return Gaps(**{"silent_after": 120 * SECOND} | options)


def test_failures_of_the_plugin_are_read_with_the_start_of_the_server():
    assert dropped(METRICS % 5, "webhook") == Dropped(1.77328e9, 5)
    assert dropped(METRICS % 5, "log") == Dropped(1.77328e9, 2)


@pytest.mark.parametrize("text", [b"", b"process_start_time_seconds NaN\n", b"process_start_time_seconds 1e400\n", b"\xff\xfe"])
def test_metrics_that_name_no_start_say_nothing(text):
    assert dropped(text, "webhook") is None


def test_a_rise_is_a_gap_between_the_two_readings():
    found = gaps()
    assert found.take_metrics(Dropped(100.0, 0), 1000 * SECOND) is None
    gap = found.take_metrics(Dropped(100.0, 3), 1060 * SECOND)
    assert gap is not None
    assert (gap.since, gap.until, gap.records, gap.reason) == (1000 * SECOND, 1060 * SECOND, 3, "the API server could not deliver 3 events")
    assert found.take_metrics(Dropped(100.0, 3), 1120 * SECOND) is None
    assert found.count == 1


def test_a_server_that_began_anew_counts_from_nothing():
    found = gaps()
    found.take_metrics(Dropped(100.0, 9), 1000 * SECOND)
    gap = found.take_metrics(Dropped(1010.0, 2), 1060 * SECOND)
    assert gap is not None
    assert (gap.since, gap.records) == (1010 * SECOND, 2)


def test_servers_that_answer_in_turn_are_told_apart():
    found = gaps()
    found.take_metrics(Dropped(100.0, 0), 0)
    found.take_metrics(Dropped(200.0, 0), 0)
    assert [found.take_metrics(Dropped(start, 0), 60 * SECOND) for start in (100.0, 200.0, 100.0)] == [None] * 3


def test_silence_is_a_gap_that_goes_on_until_an_event_comes():
    found = gaps()
    assert found.look(1000 * SECOND, 1119 * SECOND) is None
    begun = found.look(1000 * SECOND, 1121 * SECOND)
    assert begun is not None
    assert (begun.since, begun.until, found.newest[0]) == (1000 * SECOND, 0, begun)
    assert found.look(1000 * SECOND, 1200 * SECOND) is None
    ended = found.look(1210 * SECOND, 1211 * SECOND)
    assert ended is not None
    assert (ended.since, ended.until, found.silence, found.count) == (1000 * SECOND, 1211 * SECOND, None, 1)


def test_what_the_collector_lost_is_a_gap():
    found = gaps()
    found.take_loss(Blind(cause="queue_full", since=1, until=5, entries={"detection": 4, "match": 2}))
    assert [(gap.records, gap.reason) for gap in found.newest] == [(6, "queue_full: 6 lost")]


def test_the_ten_newest_are_kept_and_all_are_counted():
    found = gaps()
    for number in range(25):
        found.take_loss(Blind(cause="queue_full", since=number, until=number, entries={"detection": 1}))
    assert [gap.since for gap in found.newest] == list(range(24, 14, -1))
    assert found.count == 25
