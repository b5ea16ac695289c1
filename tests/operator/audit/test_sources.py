"""What receivers report becomes the status of a LogSource: with its blind rules and gaps, and never better than it is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from watchkeeper_detection import wire
from watchkeeper_operator.audit.coverage import BlindRule, Coverage
from watchkeeper_operator.audit.sources import CanaryRun, LogSources
from watchkeeper_operator.audit.state import Arrival, LogState, encode_state
from watchkeeper_operator.bus.messages import Message
from watchkeeper_operator.resources.log_source import LogSourceStatus

SECOND = 10**9
NOW = 1_773_300_000 * SECOND


def a_state(replica: str = "a", **parts: Any) -> LogState:
    defaults = {"events": 100, "per_second": 4.6, "lag_median_ms": 300, "lag_p99_ms": 900, "last_event_at": NOW - SECOND}
    return LogState(**{"source": "control-plane", "replica": replica, "started_at": NOW - 1000 * SECOND, "reported_at": NOW} | defaults | parts)


def reported(*states: LogState, losses: tuple[wire.Blind, ...] = ()) -> LogSources:
    sources = LogSources()
    messages = [Message(1, "log-state", f"audit/{state.source}/{state.replica}", NOW, encode_state(state)) for state in states]
    messages += [Message(2, "loss", "audit/control-plane", NOW, wire.encode(loss)) for loss in losses]
    asyncio.run(sources.take(messages))
    return sources


def status(sources: LogSources, *, spec: dict[str, str] | None = None, now: int = NOW) -> dict[str, Any]:
    """Checked against the kind."""
    found = sources.status("control-plane", spec or {}, {}, generation=1, now=now)
    LogSourceStatus.model_validate(found)
    return found


def conditions(found: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {one["type"]: (one["status"], one["reason"]) for one in found["conditions"]}


def test_before_anything_came_nothing_is_claimed():
    found = status(LogSources())
    assert conditions(found) == {
        "Accepted": ("True", "Valid"),
        "Receiving": ("False", "NeverSeen"),
        "Complete": ("Unknown", "NotYetSeen"),
        "Covered": ("Unknown", "NotYetTested"),
    }


def test_receivers_of_one_source_are_added_and_the_worst_lag_is_told():
    found = status(reported(a_state("a"), a_state("b", events=11, lag_p99_ms=2500, lag_median_ms=700)))
    assert (found["records"], found["recordsPerSecond"], found["lagMilliseconds"]) == (111, 9, 2500)
    assert conditions(found)["Receiving"] == ("True", "Arriving")


def test_a_receiver_that_is_gone_is_counted_no_more_and_what_it_saw_last_stays_known():
    gone = a_state("a", reported_at=NOW - 1000 * SECOND, last_event_at=NOW - 1000 * SECOND)
    found = status(reported(gone))
    assert (found["records"], "lagMilliseconds" in found) == (0, False)
    assert found["lastRecordAt"] == "2026-03-12T07:03:20Z"
    assert conditions(found)["Receiving"] == ("False", "Silent")


def test_a_source_is_silent_after_the_time_that_it_names():
    late = a_state(last_event_at=NOW - 40 * SECOND)
    assert conditions(status(reported(late)))["Receiving"] == ("True", "Arriving")
    found = status(reported(late), spec={"silentAfter": "30s"})
    assert conditions(found)["Receiving"] == ("False", "Silent")
    assert found["gaps"][0]["reason"] == "no events"
    assert "until" not in found["gaps"][0]


def test_losses_and_truncated_events_are_never_complete():
    lost = status(reported(a_state(), losses=(wire.Blind(cause="queue_full", since=NOW - SECOND, until=NOW, entries={"detection": 3}),)))
    assert (conditions(lost)["Complete"], lost["missing"], lost["gaps"][0]["records"]) == (("False", "Gaps"), 1, 3)
    cut = status(reported(a_state(truncated=2)))
    assert (conditions(cut)["Complete"], cut["truncated"]) == (("False", "Truncated"), 2)


def test_blind_rules_are_named_with_what_they_lack():
    sources = reported(a_state())
    blind = tuple(BlindRule(f"policy-{number}/rule", "audit level Request for create of pods; Metadata is logged", True, "watchkeeper") for number in range(14))
    sources.tested = CanaryRun(NOW, Coverage(sent=270, arrived=260, slowest_seconds=0.35, rules=326, blind=blind))
    found = status(sources)
    assert conditions(found)["Covered"] == ("False", "BlindRules")
    assert (found["coverage"]["blind"], len(found["coverage"]["blindRules"])) == (14, 10)
    assert found["coverage"]["blindRules"][0] == {
        "policy": "watchkeeper/policy-0",
        "rule": "rule",
        "reason": "audit level Request for create of pods; Metadata is logged",
    }


def test_a_rule_that_is_blind_in_part_leaves_the_source_not_covered():
    sources = reported(a_state())
    sources.tested = CanaryRun(NOW, Coverage(sent=1, arrived=1, slowest_seconds=0.1, rules=1, blind=(BlindRule("p/r", "x", False, "watchkeeper"),)))
    assert conditions(status(sources))["Covered"] == ("False", "BlindRules")


def test_a_test_that_could_not_be_made_is_unknown_and_says_why():
    sources = reported(a_state())
    sources.tested = CanaryRun(NOW, None, "watchkeeper-canary may list secrets")
    found = status(sources)
    assert conditions(found)["Covered"] == ("Unknown", "NotYetTested")
    assert "coverage" not in found


def test_canaries_of_one_run_are_gathered_from_all_receivers():
    one, other = (Arrival(nonce, "get", f"/api/v1/{nonce}", "Metadata", 0.1) for nonce in ("n1", "n2"))
    sources = reported(a_state("a", arrivals=(one, other)), a_state("b", arrivals=(one,)))
    assert sources.arrivals("n1") == [one, one]


@pytest.mark.parametrize("payload", [b"", b"\xc1", encode_state(a_state())[:-3]])
def test_a_damaged_report_changes_nothing(payload):
    sources = LogSources()
    asyncio.run(sources.take([Message(1, "log-state", "audit/control-plane/a", NOW, payload), Message(2, "loss", "audit/control-plane", NOW, payload)]))
    assert conditions(status(sources))["Receiving"] == ("False", "NeverSeen")
