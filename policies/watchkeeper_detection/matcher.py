"""The stateless half of the engine: one event in; detections of plain rules and matches of stateful ones out.

It runs wherever events are (a node, a worker process); what it returns can be joined elsewhere.
"""

from __future__ import annotations

import itertools
from collections import Counter
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from watchkeeper_detection.cel.compile import compile_condition, compile_value
from watchkeeper_detection.cel.requirements import clauses
from watchkeeper_detection.cel.tree import Field
from watchkeeper_detection.detection import Detection, Entity, Place, detection_id
from watchkeeper_detection.found import Found
from watchkeeper_detection.index import Index, getter
from watchkeeper_detection.late import early_part, late_reads, reads_of
from watchkeeper_detection.match import ABOUT, Match, Scalar, scalar, scalars
from watchkeeper_detection.placing import Placed, Rates, Sample, build, indexable
from watchkeeper_detection.redact import redact
from watchkeeper_detection.unit import NONE, Unit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from watchkeeper_detection.cel.tree import Node
    from watchkeeper_detection.event import Event
    from watchkeeper_detection.program import Guard, Program, Rule

NOTHING: tuple[tuple[Detection, ...], tuple[Match, ...]] = ((), ())
NOTHING_NOW: tuple[tuple[Detection, ...], tuple[Match, ...], tuple[Unit, ...]] = ((), (), ())
PLAIN = frozenset({"string", "int", "bool", "double", "list(string)"})  # field types that are read as they are
SAMPLED = range(64, 5184, 10)  # events of each kind by whose values the rules are placed anew
MESSAGE_VALUE = 300  # characters of one value in a message
FAILURE_SAMPLE = 16  # events of each kind whose conditions are looked at again for type errors; then one in 512


class MatcherStatistics:
    """Counts since the start: events and candidates by kind, what guards held back, conditions that failed."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.candidates = 0
        self.held: Counter[tuple[str, str]] = Counter()  # (policy/rule, guard)
        self.held_by_exception: Counter[tuple[str, str]] = Counter()
        self.failures: Counter[str] = Counter()  # policy/rule: type errors seen in the sample
        self.failure_example: dict[str, str] = {}

    def add(self, other: MatcherStatistics) -> None:
        for mine, theirs in (
            (self.events, other.events),
            (self.held, other.held),
            (self.held_by_exception, other.held_by_exception),
            (self.failures, other.failures),
        ):
            mine.update(theirs)  # type: ignore[arg-type]
        self.candidates += other.candidates
        for rule, example in other.failure_example.items():
            self.failure_example.setdefault(rule, example)


def covers(rule: Rule, namespace: str | None) -> bool:
    """Whether the policy's scope covers what happened in this namespace; what belongs to no namespace is covered by root policies only."""
    if namespace is None:
        return not rule.include
    if rule.include and not any(fnmatchcase(namespace, pattern) for pattern in rule.include):
        return False
    return not any(fnmatchcase(namespace, pattern) for pattern in rule.exclude)


Told: TypeAlias = tuple[int, str, str, Place, tuple[Scalar, ...]]


def told_by(event: Event) -> Told:
    """What all matches of one event have in common: time, ids, place and what it is about."""
    return event.observed_at, event.id, provider_id(event), Place(event.stream, event.number, -1), scalars(event.about)


class Capture:
    """Reads in one go what a match keeps of an event, and deals it out."""

    def __init__(self, rule: Rule, lists: Mapping[str, Any], step: int) -> None:
        by: tuple[Node, ...] = ()
        value: tuple[Node, ...] = ()
        kept: tuple[tuple[str, Node], ...] = ()
        words = tuple(word.value for word in rule.message if word.value is not None)
        if rule.threshold:
            by, value = rule.threshold.by, (rule.threshold.distinct,) if rule.threshold.distinct is not None else ()
        elif rule.first_seen:
            by, value = rule.first_seen.per, rule.first_seen.of
        elif rule.sequence:
            by, kept, words = rule.sequence.steps[step].by, rule.sequence.steps[step].keep, ()
        suppress = rule.suppress.by if rule.suppress else ()
        self.rule, self.step = rule.state_key, step
        self.ends = tuple(itertools.accumulate(map(len, (by, value, suppress, words))))
        self.kept = tuple(path for path, _ in kept)
        self.place_offset = not (rule.sequence or rule.threshold or rule.first_seen or rule.suppress)
        self.read = read_all((*by, *value, *suppress, *words, *(node for _, node in kept)), lists)

    def match(self, event: Event, told: Told) -> Match:
        values = scalars(self.read(event))
        by, value, suppress, words = self.ends
        observed_at, event_id, provided_id, place, about = told
        return Match(
            self.rule,
            self.step,
            observed_at,
            event_id,
            provided_id,
            event.source,
            event.kind,
            Place(event.stream, event.number, event.offset) if self.place_offset else place,
            about,
            values[:by],
            values[by:value],
            values[value:suppress],
            values[suppress:words],
            dict(zip(self.kept, values[words:], strict=True)) if self.kept else {},
        )


class RuleCode:
    """A rule's guards and captures, compiled when the rule first holds."""

    def __init__(self, rule: Rule, lists: Mapping[str, Any]) -> None:
        self.guards = [(guard, compile_condition(guard.when, lists)) for guard in (*rule.unless, *rule.exceptions)] if rule.sequence is None else []
        self.captures = [Capture(rule, lists, step) for step in range(len(rule.sequence.steps) if rule.sequence else 1)]
        self.reads = [(path, reader(path)) for path in rule.reads]
        self.is_stateless = not (rule.sequence or rule.threshold or rule.first_seen or rule.suppress)

    def absent(self, event: Event) -> tuple[str, ...]:
        return tuple([path for path, read in self.reads if is_absent(read(event))])


def read_all(nodes: tuple[Node, ...], lists: Mapping[str, Any]) -> Callable[[Event], Iterable[Any]]:
    """Reads the nodes' values: closed fields by one look-up for all, the rest as compiled."""
    if len(nodes) > 1 and all(isinstance(node, Field) and is_plain(node) for node in nodes):
        return reader(*(node.path for node in nodes if isinstance(node, Field)))
    readers = [reader(node.path) if isinstance(node, Field) and is_plain(node) else compile_value(node, lists) for node in nodes]
    return lambda event: [read(event) for read in readers]


def reader(*paths: str) -> Callable[[Event], Any]:
    """`getter` for matches: what an event is about is read where it is kept together, without making an object for each root."""
    return getter(*(ABOUT.get(path, path) for path in paths))


def is_plain(node: Field) -> bool:
    return not node.words and node.type in PLAIN


def message_of(rule: Rule, words: tuple[Scalar, ...]) -> str:
    """The rule's message with these values in their places."""
    left = iter(words)
    return "".join(word.text if word.value is None else shown(next(left), reveals=rule.reveals) for word in rule.message)


def shown(value: object, *, reveals: bool = False) -> str:
    """A value as a message shows it: redacted, bounded, `?` where absent. Escaping is the output's business."""
    text = scalar(value)
    if text is None:
        return "?"
    return (str(text) if reveals else redacted(str(text)))[:MESSAGE_VALUE]


@lru_cache(maxsize=4096)
def redacted(text: str) -> str:
    """Values repeat (who, where); a text is at most SCALAR_TEXT long."""
    return redact(text)


def is_absent(value: object) -> bool:
    """Whether a field as the record holds it, opened or not, is absent: a JSON null is."""
    return value is None or (isinstance(value, msgspec.Raw) and bytes(value) == b"null")


def _holding(event: Event, units: Sequence[Unit]) -> list[Unit]:
    return [unit.whole for unit in units if unit.holds(event)]


class Matcher:
    """Judges events one by one against all rules."""

    def __init__(self, program: Program, late: frozenset[str] = NONE) -> None:
        """`late`: fields that may not be known yet when an event comes (`match_now`)."""
        self.program = program
        self._late = late
        self.lists: dict[str, Any] = {name: frozenset(values) for name, values in program.lists.items()}
        self.statistics = MatcherStatistics()
        self._codes: dict[int, RuleCode] = {}
        self._by_kind: dict[str, list[Unit]] = {}
        self._indexes: dict[str, Index[Unit] | None] = {}  # made when a kind is first met: few logs hold many kinds
        self._placed: dict[str, list[Placed]] = {}
        self._samples: dict[str, Sample] = {}
        for rule in program.rules:
            for unit, kinds in self._units(rule):
                for kind in kinds:
                    self._by_kind.setdefault(kind, []).append(unit)

    def _units(self, rule: Rule) -> list[tuple[Unit, tuple[str, ...]]]:
        if rule.sequence is None:
            return [(self._unit(rule, 0, rule.when), rule.kinds)]
        return [(self._unit(rule, number, step.when), step.kinds) for number, step in enumerate(rule.sequence.steps)]

    def _unit(self, rule: Rule, step: int, when: Node | None) -> Unit:
        """What events are tested against at first: where late fields are read, the part of the condition that reads none."""
        late = reads_of(rule, step, self._late) if self._late else NONE
        if not late:
            return Unit(rule, step, when, self.lists)
        early = Unit(rule, step, early_part(when, self._late), self.lists)
        early.later = Unit(rule, step, when, self.lists, late=late)
        return early

    def match(self, event: Event) -> tuple[tuple[Detection, ...], tuple[Match, ...]]:
        """Detections of plain rules, and matches of rules that keep state."""
        held = self._held(event)
        if self._late:
            held = [unit for unit in (unit.later or unit for unit in held) if not unit.late or unit.holds(event)]
        return self._judged(event, held) if held else NOTHING

    def match_now(self, event: Event) -> tuple[tuple[Detection, ...], tuple[Match, ...], tuple[Unit, ...]]:
        """What `match` gives of the rules that read no late field, and of the others those that may yet hold, for `match_late`."""
        held = self._held(event)
        if not held:
            return NOTHING_NOW
        now = [unit for unit in held if unit.later is None]
        later = tuple([unit.later for unit in dict.fromkeys(held) if unit.later is not None and not self._is_held_back_now(unit.later, event)])
        return (*(self._judged(event, now) if now else NOTHING), later)

    def match_late(self, event: Event, units: Iterable[Unit], unresolved: frozenset[str] = NONE) -> tuple[tuple[Detection, ...], tuple[Match, ...]]:
        """What the units that `match_now` put off give, the event being as complete as it gets; `unresolved`: late fields that stayed unknown."""
        return self._judged(event, [unit for unit in units if unit.holds(event)], unresolved)

    def _held(self, event: Event) -> list[Unit]:
        """The units whose condition, as far as it is tested at first, holds."""
        kind, events = event.kind, self.statistics.events
        number = events[kind]
        events[kind] = number + 1
        try:
            index = self._indexes[kind]
        except KeyError:
            index = self.index_of(kind)
        if index is None:
            return []
        try:
            found = index.find(event)
        except TypeError:  # a value of a type that its field can't have, a list in place of a name: every rule decides for itself
            found = list(dict.fromkeys(index.root.every()))
        if number < SAMPLED.stop and number in SAMPLED:
            self._look_at(event)
        if not found:
            return []
        self.statistics.candidates += len(found)
        held = found.holding(event, _holding) if found.__class__ is Found else _holding(event, found)
        if number < FAILURE_SAMPLE or not number & 511:
            self._count_failures(event, [unit.whole for unit in found if unit.whole not in held])
        return held

    def index_of(self, kind: str) -> Index[Unit] | None:
        """The index of a kind's rules, made when it is first asked for; None where it has none."""
        if kind in self._indexes:
            return self._indexes[kind]
        units = self._by_kind.get(kind)
        if units is None:
            self._indexes[kind] = None
            return None
        placed = [Placed(unit, indexable(clauses(unit.when, self.lists)) if unit.when is not None else ()) for unit in units]
        self._placed[kind] = placed
        index = self._indexes[kind] = Index(build(placed))
        return index

    def _look_at(self, event: Event) -> None:
        """Take the event into the sample of its kind; with the last one, place the rules by what this log holds."""
        placed = self._placed[event.kind]
        sample = self._samples.get(event.kind)
        if sample is None:
            sample = self._samples[event.kind] = Sample(placed)
        sample.take(event)
        if len(sample.values) == len(SAMPLED):
            rates = Rates(sample.values)
            root = build(placed, rates)
            self._indexes[event.kind] = Index(root, rates.remembered(root, sample.readers))
            del self._samples[event.kind]

    def _count_failures(self, event: Event, others: list[Unit]) -> None:
        """Were there type errors among the conditions that did not hold? Asked of a sample of events, for it costs as much again."""
        for unit in others:
            failure = unit.failure(event)
            if failure is not None:
                self.statistics.failures[unit.rule.name] += 1
                self.statistics.failure_example.setdefault(unit.rule.name, f"{failure.message} ({event.stream}:{event.number})")

    def _judged(self, event: Event, held: list[Unit], unresolved: frozenset[str] = NONE) -> tuple[tuple[Detection, ...], tuple[Match, ...]]:
        detections: list[Detection] = []
        matches: list[Match] = []
        told: Told | None = None
        for unit in dict.fromkeys(held):
            rule = unit.rule
            code = self._code_of(rule)
            if self._is_held_back(rule, code, event):
                continue
            if told is None:
                told = told_by(event)
            match = code.captures[unit.step].match(event, told)
            if unresolved and unit.late & unresolved:
                match = msgspec.structs.replace(match, unresolved=tuple(sorted(unit.late & unresolved)))
            if code.is_stateless:
                detections.append(make_detection(rule, (match,), 1, absent=code.absent(event)))
            else:
                matches.append(match)
        return tuple(detections), tuple(matches)

    def _code_of(self, rule: Rule) -> RuleCode:
        code = self._codes.get(id(rule))
        if code is None:
            code = self._codes[id(rule)] = RuleCode(rule, self.lists)
        return code

    def _is_held_back_now(self, unit: Unit, event: Event) -> bool:
        """Whether a guard that reads no late field holds the rule back already."""
        for guard, holds in self._code_of(unit.rule).guards:
            if not late_reads((guard.when,), self._late) and (not guard.until_ns or event.observed_at < guard.until_ns) and holds(event):
                self.count_held(unit.rule, guard)
                return True
        return False

    def _is_held_back(self, rule: Rule, code: RuleCode, event: Event) -> bool:
        if (rule.include or rule.exclude) and not covers(rule, event.pod.namespace or event.target.namespace):
            return True
        for guard, holds in code.guards:
            if (not guard.until_ns or event.observed_at < guard.until_ns) and holds(event):
                self.count_held(rule, guard)
                return True
        return False

    def count_held(self, rule: Rule, guard: Guard) -> None:
        counter = self.statistics.held_by_exception if guard.exception else self.statistics.held
        counter[(rule.name, guard.name)] += 1

    @property
    def reads(self) -> dict[str, frozenset[str]]:
        """Root → paths that any rule reads: what readers must decode."""
        reads: dict[str, set[str]] = {}
        for rule in self.program.rules:
            for path in rule.reads:
                reads.setdefault(path.partition(".")[0], set()).add(path)
        return {root: frozenset(paths) for root, paths in reads.items()}


def entities_of(values: tuple[tuple[str, str, str | None], ...]) -> tuple[Entity, ...]:
    return tuple(Entity(role, kind, name) for role, kind, name in values if name)


def provider_id(event: Event) -> str:
    """The provider's own id of the record; not unique, and as hostile as the rest of it."""
    read = event.fills.get("provider_id")
    return str(scalar(read(event)) or "") if read else ""


def make_detection(rule: Rule, matches: tuple[Match, ...], count: int, *, message: str | None = None, absent: tuple[str, ...] = ()) -> Detection:
    """The detection that these matches of the rule make; the last one says who, what and when."""
    last = matches[-1]
    actor, identity, target, origin = (None if value is None else str(value) for value in last.about)
    ids = tuple(match.event_id for match in matches)
    return Detection(
        id=detection_id(f"{rule.namespace}/{rule.policy}", rule.rule, ids),
        kind=last.kind,
        observed_at=last.observed_at,
        policy=rule.policy,
        namespace=rule.namespace,
        rule=rule.rule,
        title=rule.title,
        severity=rule.severity,
        confidence=rule.confidence,
        attack=rule.attack,
        message=message_of(rule, last.words) if message is None else message,
        source=last.source,
        places=tuple(match.place for match in matches),
        event_ids=ids,
        provider_ids=tuple(match.provider_id for match in matches if match.provider_id),
        count=count,
        actor=actor,
        identity=identity,
        target=target,
        origin=origin,
        entities=entities_of((("actor", "actor", actor), ("identity", "identity", identity), ("target", "resource", target), ("origin", "address", origin))),
        runbook=rule.runbook,
        absent=absent,
        unresolved=tuple(sorted({path for match in matches for path in match.unresolved})),
        blind_spots=rule.blind_spots,
        revision=rule.revision,
    )
