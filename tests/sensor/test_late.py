import pytest
from tests.support.events import a_policy, a_program, an_event

from watchkeeper_detection.engine import EVER, Engine
from watchkeeper_detection.late import late_fields
from watchkeeper_detection.matcher import Matcher
from watchkeeper_sensor.late import LateQueue
from watchkeeper_sensor.late.source import GIVEN_UP

SECOND = 1_000_000_000
LABELLED = """
- name: labelled
  "on": [file.open]
  when: pod.labels["app"] == "web"
  severity: P2
"""
HASHED = """
- name: hashed
  "on": [file.open]
  when: file.hash == "ab"
  severity: P2
"""
BOTH = """
- name: both
  "on": [file.open]
  when: file.size > 0
  severity: P2
  message: "{file.hash} {pod.owner_name}"
"""
OFTEN = """
- name: often
  "on": [file.open]
  when: file.size > 0
  threshold: {count: 2, within: 10s, by: [file.hash]}
  severity: P2
"""


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Known:
    """A source that knows what it is told, by field."""

    def __init__(self, *paths):
        self.paths = frozenset(paths)
        self.values = {}
        self.never = set()
        self.news = []

    def awaits(self, event, path):
        if path in self.never:
            return GIVEN_UP
        return None if (event.number, path) in self.values else (event.number, path)

    def tell(self, event, path, value):
        self.values[event.number, path] = value
        self.news.append((event.number, path))

    def settled(self):
        news, self.news = self.news, []
        return news

    def fill(self, event, paths):
        for path in paths:
            root, _, name = path.partition(".")
            setattr(getattr(event, root), name, self.values.get((event.number, path)))

    def close(self):
        self.values.clear()


class Bench:
    """A queue over two sources, and rules that read of them."""

    def __init__(self, *rules, **bounds):
        self.clock = Clock()
        self.hashes, self.pods = Known("file.hash"), Known("pod.labels", "pod.owner_name")
        self.queue = LateQueue((self.pods, self.hashes), clock=self.clock, **bounds)
        self.matcher = Matcher(a_program(*(a_policy(rule, name=f"policy-{number}") for number, rule in enumerate(rules))), self.queue.paths)

    def take(self, number=1, at=None):
        event = an_event("file.open", at=number if at is None else at, number=number, **{"file.size": 1, "pod.name": "web-1"})
        return event, self.queue.take(event, self.matcher, self.matcher.match_now(event)[2])

    def settled(self):
        return [detection for judged in self.queue.settled() for detection in judged.detections]


def test_a_rule_waits_until_all_that_it_reads_is_known():
    bench = Bench(BOTH)
    event, judged = bench.take()
    assert (judged.detections, len(bench.queue)) == ((), 1)
    bench.hashes.tell(event, "file.hash", "ab")
    assert bench.settled() == []
    bench.pods.tell(event, "pod.owner_name", "web")
    (detection,) = bench.settled()
    assert (detection.message, detection.unresolved, len(bench.queue)) == ("ab web", (), 0)
    assert bench.queue.judged == {"known": 1}


def test_what_is_known_already_is_not_waited_for():
    bench = Bench(HASHED)
    bench.hashes.values[1, "file.hash"] = "ab"
    event, judged = bench.take()
    assert [detection.rule for detection in judged.detections] == ["hashed"]
    assert (event.file.hash, len(bench.queue)) == ("ab", 0)


def test_each_rule_waits_for_what_it_reads_itself():
    bench = Bench(HASHED, LABELLED)
    event, _ = bench.take()
    bench.hashes.tell(event, "file.hash", "ab")
    assert [detection.rule for detection in bench.settled()] == ["hashed"]
    bench.pods.tell(event, "pod.labels", {"app": "web"})
    assert [detection.rule for detection in bench.settled()] == ["labelled"]


def test_after_two_seconds_a_rule_is_judged_without_and_says_so():
    bench = Bench(BOTH)
    event, _ = bench.take()
    bench.hashes.tell(event, "file.hash", "ab")
    bench.clock.now += 1.99
    assert bench.settled() == []
    bench.clock.now += 0.01
    (detection,) = bench.settled()
    assert (detection.message, detection.unresolved) == ("ab ?", ("pod.owner_name",))
    assert "pod.owner_name" in detection.absent
    assert bench.queue.judged == {"too_late": 1}


def test_what_was_given_up_is_not_waited_for_but_said():
    bench = Bench(BOTH)
    bench.pods.never.add("pod.owner_name")
    bench.hashes.values[1, "file.hash"] = "ab"
    _, judged = bench.take()
    assert [detection.unresolved for detection in judged.detections] == [("pod.owner_name",)]


@pytest.mark.parametrize("bounds", [{"most": 2}, {"most_bytes": 2 * 2048}])
def test_a_full_queue_judges_at_once_and_counts(bounds):
    bench = Bench(BOTH, **bounds)
    judged = [bench.take(number)[1] for number in (1, 2, 3)]
    assert [len(one.detections) for one in judged] == [0, 0, 1]
    assert judged[2].detections[0].unresolved == ("file.hash", "pod.owner_name")
    assert bench.queue.judged == {"queue_full": 1}
    assert len(bench.queue) == 2


def test_at_the_end_everything_that_waits_is_judged():
    bench = Bench(BOTH, OFTEN)
    for number in (1, 2):
        bench.take(number)
    found = list(bench.queue.finish())
    assert sum(len(judged.detections) for judged in found) == sum(len(judged.matches) for judged in found) == 2
    assert (len(bench.queue), bench.queue.judged, bench.queue.joined_until) == (0, {"ended": 4}, EVER)


def test_windows_wait_for_matches_that_are_judged_late():
    bench = Bench(OFTEN)
    engine = Engine(bench.matcher.program, late=late_fields())
    first, _ = bench.take(1)
    assert bench.queue.joined_until == SECOND
    bench.hashes.values[2, "file.hash"] = "ab"
    _, judged = bench.take(2)  # known at once, and later in time
    for match in judged.matches:
        engine.wait(match)
    assert engine.advance(min(3 * SECOND, bench.queue.joined_until)) == []
    bench.hashes.tell(first, "file.hash", "ab")
    for late in bench.queue.settled():
        for match in late.matches:
            engine.wait(match)
    (detection,) = engine.advance(min(3 * SECOND, bench.queue.joined_until))
    assert (detection.event_ids, engine.late) == (("test:log:1", "test:log:2"), 0)


def test_rules_without_state_hold_no_window_back():
    bench = Bench(BOTH)
    bench.take(1)
    assert bench.queue.joined_until == EVER
