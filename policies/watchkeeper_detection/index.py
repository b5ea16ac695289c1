"""Which rules can an event meet at all? A tree of probes, asked for each event; `placing.py` makes it.

A probe reads one closed field and looks its value up; what it finds is the next branch. Equalities are a dict; prefix,
suffix, contains, regex and case-insensitive tests on one field share one RE2 set. Cost per event: a few look-ups,
whatever the number of rules that the event's values do not concern.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

import re2

from watchkeeper_detection.cel import code
from watchkeeper_detection.fields import attribute_name
from watchkeeper_detection.found import Found

if TYPE_CHECKING:
    import ast
    from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence

    from watchkeeper_detection.event import Event


class Candidate(Protocol):
    """A rule as the index knows it."""

    @property
    def reads(self) -> Collection[str]:
        """Fields that decide whether it holds; `path?` where only being there counts."""

    def left_for(self, event: Event, known: Collection[str], /) -> Self | None:
        """What is left to test on events that have the same values of the `known` fields; None when it can't hold for them."""


R = TypeVar("R", bound=Candidate)

COMBINATIONS = 8192  # of probed fields' values remembered
ALIKE = 512  # likenesses of events remembered, for each kind; a few hundred bytes each
SETS = 128  # sets of rules found, for each kind, whose outcomes are remembered
PATTERN_MEMO = 2048  # values remembered per field; user agents and addresses repeat, an attacker's do not
SET_MEMORY_BYTES = 256 << 20  # of the set's automaton; a set that runs out answers "no", so it gets plenty
PATTERN_VALUE_BYTES = 4096  # a longer value is matched, but not remembered


class Branch(Generic[R]):
    """Rules found here, and probes that find more: the field to read, and what its value leads to."""

    __slots__ = ("probes", "rules")

    def __init__(self, rules: tuple[R, ...] = (), probes: tuple[Probe[R], ...] = ()) -> None:
        self.rules = rules
        self.probes = probes

    def every(self) -> list[R]:
        """All rules below; one placed under several alternatives comes several times."""
        return [*self.rules, *(rule for probe in self.probes for branch in probe.table.branches() for rule in branch.every())]


class Probe(Generic[R]):
    """Reads one field; `table.get(value)` is the branch that its value leads to, or None."""

    __slots__ = ("get", "path", "read", "table")

    def __init__(self, path: str, table: Equalities[R] | Patterns[R]) -> None:
        self.path = path
        self.read = getter(path)
        self.table = table
        self.get: Callable[[Any], Branch[R] | None] = table.get


class Index(Generic[R]):
    """The tree, and a memo: records repeat, so what the values of some fields lead to is worked out once for each combination.

    When combinations become too many, the field with the most values leaves the memo and is looked at for each event.
    """

    def __init__(self, root: Branch[R], remembered: Iterable[str] | None = None) -> None:
        """`remembered`: fields with few enough values; without it those that the root probes."""
        self.root = root
        self._met: type[Event] | None = None  # class of the events that came last
        self._likeness: Callable[[Any], Hashable | None] | None = None  # theirs
        self._decisive: frozenset[str] = frozenset()  # fields that it goes by
        self._alike: dict[Hashable, Found[R]] = {}
        self._sets: dict[Sequence[R], Found[R]] = {}
        self._memo: dict[Any, tuple[tuple[R, ...], tuple[Probe[R], ...]]] = {}
        self._remember(sorted({probe.path for probe in root.probes} if remembered is None else remembered))

    def _remember(self, paths: list[str]) -> None:
        self._paths = paths
        self._known = frozenset(paths)
        self._read = getter(*paths) if len(paths) > 1 else None
        self._memo.clear()

    def find(self, event: Event) -> Sequence[R]:
        """Every rule that the event may meet; one placed under several alternatives may come twice."""
        if event.__class__ is not self._met:
            self._meet(event.__class__)
        if self._likeness is None:
            return self._looked_up(event)
        if (key := self._likeness(event)) is None:
            return self._probed((self.root.rules, self.root.probes), event)
        found = self._alike.get(key)
        if found is None:
            rules = self._probed((self.root.rules, self.root.probes), event)
            left = [rule.left_for(event, self._decisive) for rule in dict.fromkeys(rules)]
            found = self._set_of(tuple([rule for rule in left if rule is not None]), event)
            if len(self._alike) >= ALIKE:
                self._alike.clear()
            self._alike[key] = found
        return found

    def _set_of(self, rules: tuple[R, ...], event: Event) -> Found[R]:
        found = self._sets.get(rules)
        if found is None:
            found = Found(rules)
            found.outcomes, found.known = {}, 0
            found.likeness = event.likeness({path for rule in rules for path in rule.reads}) if rules else None
            if len(self._sets) >= SETS:
                self._sets.clear()
            self._sets[rules] = found
        return found

    def _meet(self, events: type[Event]) -> None:
        """Events of another class than before: they may be told apart without decoding them."""
        self._met = events
        self._alike.clear()
        self._sets.clear()
        read, present, branches = set[str](), set[str](), [self.root]
        for branch in branches:
            for probe in branch.probes:
                (present if probe.table.asks_presence_alone else read).add(probe.path)
                branches += probe.table.branches()
        read.update(path for path in self._paths if path not in present and events.repeats(path))
        self._decisive = frozenset(read)
        self._likeness = events.likeness(read | {f"{path}?" for path in present - read})

    def _looked_up(self, event: Event) -> Sequence[R]:
        if self._read is None:
            return self._probed((self.root.rules, self.root.probes), event)
        key = self._read(event)
        found = self._memo.get(key)
        if found is None:
            found = self._resolved(key, event)
        return self._probed(found, event) if found[1] else found[0]

    def _resolved(self, key: tuple[Any, ...], event: Event) -> tuple[tuple[R, ...], tuple[Probe[R], ...]]:
        """What is found for these values of the remembered fields, so much of it as they don't decide, and the probes of other fields that are left."""
        values = dict(zip(self._paths, key, strict=True))
        rules: list[R] = []
        left: list[Probe[R]] = []
        branches = [self.root]
        for branch in branches:
            rules += branch.rules
            for probe in branch.probes:
                if probe.path not in values:
                    left.append(probe)
                elif (below := probe.table.get(values[probe.path])) is not None:
                    branches.append(below)
        undecided = (rule.left_for(event, self._known) for rule in dict.fromkeys(rules))
        found = (tuple([rule for rule in undecided if rule is not None]), tuple(left))
        if len(self._memo) >= COMBINATIONS:
            counts = [(len({one[number] for one in self._memo}), path) for number, path in enumerate(self._paths)]
            most = max(counts)[1]
            self._remember([path for path in self._paths if path != most])
        elif sum(len(value) for value in key if value.__class__ is str) <= PATTERN_VALUE_BYTES:
            self._memo[key] = found
        return found

    @staticmethod
    def _probed(found: tuple[tuple[R, ...], tuple[Probe[R], ...]], event: Event) -> Sequence[R]:
        rules, probes = found
        for probe in probes:
            if probe.get(probe.read(event)) is not None:
                break
        else:  # as nearly always: nothing to add, so nothing to copy
            return rules
        more, walked = list(rules), list(probes)
        for probe in walked:  # grows while it is walked
            branch = probe.get(probe.read(event))
            if branch is not None:
                more += branch.rules
                walked += branch.probes
        return more


class Equalities(dict[Any, "Branch[R]"], Generic[R]):
    """Value → branch."""

    asks_presence_alone = False

    def branches(self) -> Iterable[Branch[R]]:
        return self.values()


class Patterns(Generic[R]):
    """Tests on one text field, told apart by one RE2 set and two dicts; the outcome is remembered per value."""

    def __init__(self, tests: Mapping[Any, Branch[R]]) -> None:
        """`tests`: (op, value) of an atom → branch."""
        self._equal = {value: branch for (op, value), branch in tests.items() if op == "eq"}
        self._present = tests.get(("present", True))
        folded: dict[str, list[Branch[R] | None]] = {}
        for (op, value), branch in tests.items():
            if op == "ieq":
                folded.setdefault(value.casefold(), []).append(branch)
        self._folded = {value: united for value, branches in folded.items() if (united := _united(branches)) is not None}
        texts = [(pattern_of(op, value), branch) for (op, value), branch in tests.items() if op not in ("eq", "ieq", "present")]
        self._by_number = [branch for _, branch in texts]
        self._set: Any = None
        if texts:
            self._set = re2.Set.SearchSet(_options())
            for pattern, _ in texts:
                self._set.Add(pattern)
            self._set.Compile()
        self._memo: dict[str, Branch[R] | None] = {}
        self.asks_presence_alone = not (self._equal or self._folded or texts)

    def branches(self) -> Iterable[Branch[R]]:
        return [*self._equal.values(), *self._folded.values(), *self._by_number, *([self._present] if self._present else [])]

    def get(self, value: Any) -> Branch[R] | None:
        if self.asks_presence_alone:
            return None if value is None else self._present
        if value.__class__ is not str:
            return None if value is None else _united([self._equal.get(value), self._present])
        try:
            return self._memo[value]
        except KeyError:
            found = self._match(value)
            if len(value) <= PATTERN_VALUE_BYTES:
                if len(self._memo) >= PATTERN_MEMO:
                    self._memo.clear()
                self._memo[value] = found
            return found

    def _match(self, value: str) -> Branch[R] | None:
        hits = [self._present, self._equal.get(value), self._folded.get(value.casefold())]
        if self._set is not None:
            try:
                numbers = self._set.Match(value) or ()
            except UnicodeEncodeError:  # a lone surrogate is no text to RE2: let every condition decide for itself
                numbers = range(len(self._by_number))
            hits += [self._by_number[number] for number in numbers]
        return _united(hits)


def _united(branches: list[Branch[R] | None]) -> Branch[R] | None:
    found = [branch for branch in branches if branch is not None]
    if len(found) <= 1:
        return found[0] if found else None
    return Branch(tuple(rule for branch in found for rule in branch.rules), tuple(probe for branch in found for probe in branch.probes))


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = SET_MEMORY_BYTES
    return options


def pattern_of(op: str, value: str) -> str:
    """RE2 pattern that an atom's test is."""
    if op == "regex":
        return value
    quoted = re2.escape(value)
    return str({"prefix": r"\A" + quoted, "suffix": quoted + r"\z", "contains": quoted}[op])


def getter(*paths: str) -> Callable[[Event], Any]:
    """Reads closed fields from an event, absent as None: one value, or a tuple where several are asked for.

    Several are read by a function of their own that goes down each branch once: a third of what `attrgetter` takes.
    """
    words = [tuple(map(attribute_name, path.split("."))) for path in paths]
    if len(paths) == 1:
        return attrgetter(".".join(words[0]))
    branches: dict[tuple[str, ...], str] = {(): "event"}

    def branch(steps: tuple[str, ...]) -> ast.expr:
        if steps in branches:
            return code.name(branches[steps])
        value = code.attribute(branch(steps[:-1]), steps[-1])
        branches[steps] = f"b{len(branches)}"
        return code.kept(branches[steps], value)

    return code.built("event", [], code.tuple_of(*(code.attribute(branch(steps[:-1]), steps[-1]) for steps in words)), {"__builtins__": {}})
