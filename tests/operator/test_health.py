"""What is silent for too long is named; what need not speak is not."""

from __future__ import annotations

from watchkeeper_operator.health import Health


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_watch_that_was_heard_a_minute_ago_is_silent():
    clock = Clock()
    health = Health(clock)
    health.watch("watch of Pod", lambda: 0.0)
    clock.now = 60.0
    assert health.silent() == {}
    clock.now = 61.0
    assert health.silent() == {"watch of Pod": 61.0}


def test_a_loop_has_to_turn_until_it_rests():
    clock = Clock()
    health = Health(clock)
    clock.now = 100.0
    assert health.silent() == {}
    health.beat("statuses")
    clock.now = 146.0
    assert health.silent() == {"statuses": 46.0}
    health.beat("statuses")
    assert health.silent() == {}
    health.rest("statuses")
    clock.now = 1000.0
    assert health.silent() == {}


def test_what_is_no_longer_watched_or_need_not_speak_is_not_named():
    clock = Clock()
    health = Health(clock)
    health.watch("leader's", lambda: 0.0)
    health.watch("waits", lambda: None)
    health.leave("leader's")
    clock.now = 1000.0
    assert health.silent() == {}


def test_what_is_missing_to_be_ready_is_named():
    health = Health()
    health.require("policies are judged", lambda: False)
    health.require("other", lambda: True)
    assert health.not_ready() == ("policies are judged",)
