"""Where each rule goes in the index: under one of its necessary clauses, then under another, while that spares work.

A clause is a disjunction of atoms (tests of closed fields) of which one must hold for the rule to hold; a rule stands
under every atom of the clause, so it is found whenever it could hold. Which clause is best depends on the log: `Rates`
counts in a sample of events how often atoms hold, and without a sample a field with many named values is taken for
telling.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import re2

from watchkeeper_detection.index import Branch, Equalities, Patterns, Probe, getter, pattern_of
from watchkeeper_detection.vocabulary import COMMON_ROOTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from watchkeeper_detection.cel.requirements import Atom, Op
    from watchkeeper_detection.event import Event

LAZY_ROOTS = frozenset({*COMMON_ROOTS, "kubernetes"})  # computed when first read: too dear to read for every event
SMALL_BRANCH = 2  # running two conditions costs less than one more probe, where events come by seldom
OFTEN = 0.004  # share of events from which on a branch is divided further, however small
DEPTH = 8
PROBE_COST = 0.15  # of one condition
READERS = 0.05  # share of the rules that must read a field for its value to be remembered, and share of events that must ask for it where fewer do
REPEATING = 0.6  # of the events of the sample: more combinations of values than that don't repeat enough to be remembered

Key = tuple[str, bool]  # a field, and whether it is asked for more than equality
Test = tuple["Op", Any]  # what an atom asks of its field
Tests = dict[Test, list["Placed"]]


class Placed(NamedTuple):
    """A rule and the clauses not yet used on its way down the tree."""

    rule: Any
    clauses: tuple[frozenset[Atom], ...]


def indexable(clauses: Iterable[frozenset[Atom]]) -> tuple[frozenset[Atom], ...]:
    """The clauses whose fields are there to be read at no cost."""
    return tuple(clause for clause in clauses if all(atom.path.partition(".")[0] not in LAZY_ROOTS for atom in clause))


class Rates:
    """How often atoms hold, counted over the distinct values of a sample of events."""

    def __init__(self, sample: Sequence[Mapping[str, Any]]) -> None:
        self._sample = sample
        self._size = len(sample)
        self._values: dict[str, Counter[Any]] = defaultdict(Counter)
        self._known: dict[Atom, float] = {}
        for values in sample:
            for path, value in values.items():
                self._values[path][value] += 1

    def of(self, atom: Atom) -> float:
        """Share of events that the atom holds for; half a count more, for what the sample has not seen."""
        if atom not in self._known:
            values = self._values[atom.path]
            self._known[atom] = (_count(atom, values) + 0.5) / (self._size + 1)
        return self._known[atom]

    def remembered(self, root: Branch[Any], readers: Mapping[str, float]) -> list[str]:
        """Fields to look up in one go: ones that many events or rules (shares in `readers`) ask for, and whose values, all together, repeat."""
        asked: Counter[str] = Counter()
        for values in self._sample:
            branches = [root]
            for branch in branches:
                for probe in branch.probes:
                    asked[probe.path] += 1
                    below = probe.table.get(values.get(probe.path))
                    if below is not None:
                        branches.append(below)
        use = {path: asked[path] / self._size + readers.get(path, 0.0) for path in asked.keys() | readers.keys()}
        kept = [path for path in use if max(asked[path] / self._size, readers.get(path, 0.0)) >= READERS]
        kept.sort(key=lambda path: (len(self._values[path]) / use[path], path))
        while kept and len({tuple(values.get(path) for path in kept) for values in self._sample}) > self._size * REPEATING:
            kept.pop()  # names and addresses hardly repeat
        return kept


def _count(atom: Atom, values: Counter[Any]) -> int:
    if atom.op == "eq":
        return values[atom.value]
    if atom.op == "present":
        return values.total() - values[None]
    if atom.op == "ieq":
        return sum(count for value, count in values.items() if isinstance(value, str) and value.casefold() == str(atom.value).casefold())
    pattern = re2.compile(pattern_of(atom.op, str(atom.value)))
    return sum(count for value, count in values.items() if isinstance(value, str) and pattern.search(value.encode("utf-8", "replace").decode()))


class Sample:
    """Values of the indexable fields in some events."""

    def __init__(self, placed: Iterable[Placed]) -> None:
        placed = tuple(placed)
        counts = Counter(path for one in placed for path in one.rule.fields)
        self.readers = {path: count / len(placed) for path, count in counts.items()}
        paths = {path for path, share in self.readers.items() if share >= READERS}.union(
            atom.path for one in placed for clause in one.clauses for atom in clause
        )
        self._readers = [(path, getter(path)) for path in sorted(paths)]
        self.values: list[dict[str, Any]] = []

    def take(self, event: Event) -> None:
        """Lists and other values that can't be looked up are left out."""
        self.values.append({path: value for path, read in self._readers if (value := read(event)).__class__ in (str, int, bool, type(None))})


def build(placed: Sequence[Placed], rates: Rates | None = None, *, depth: int = 0, reach: float = 1.0) -> Branch[Any]:
    """Tree for these rules, which events come to with frequency `reach`."""
    seldom = rates is None or reach < OFTEN
    if depth >= DEPTH or (depth and seldom and len(placed) <= SMALL_BRANCH):
        return Branch(tuple(one.rule for one in placed))
    here: list[Any] = []
    groups: dict[Key, Tests] = defaultdict(lambda: defaultdict(list))
    remaining = list(placed)
    while remaining:
        chosen = _best(remaining, rates)
        if chosen is None:
            here += _place_the_rest(remaining, groups, rates)
            break
        left: list[Placed] = []
        for one in remaining:
            clause = _clause_on(one, chosen, rates)
            if clause is None:
                left.append(one)
            else:
                _place(one, clause, groups)
        remaining = left
    probes: list[Probe[Any]] = []
    for (path, patterned), tests in groups.items():
        branches = {test: build(rules, rates, depth=depth + 1, reach=reach * _rate(path, test, rates)) for test, rules in tests.items()}
        table: Any = Patterns(branches) if patterned else Equalities({value: branch for (_, value), branch in branches.items()})
        probes.append(Probe(path, table))
    return Branch(tuple(here), tuple(probes))


def _rate(path: str, test: Test, rates: Rates | None) -> float:
    if rates is None:
        return 0.0
    from watchkeeper_detection.cel.requirements import Atom  # noqa: PLC0415 (nodes that only compile need no requirements)

    return rates.of(Atom(path, *test))


def _key(clause: frozenset[Atom]) -> Key | None:
    """Field that all atoms of the clause are about, if they are about one."""
    paths = {atom.path for atom in clause}
    patterned = any(atom.op != "eq" for atom in clause)
    if len(paths) != 1 or (patterned and not all(_is_text(atom) for atom in clause)):
        return None
    return next(iter(paths)), patterned


def _is_text(atom: Atom) -> bool:
    return atom.op in ("eq", "present") or isinstance(atom.value, str)


def _share(clause: frozenset[Atom], rates: Rates | None, values: int) -> float:
    """Expected share of events for which one of the atoms holds; `values`: how many values rules name on this field."""
    if rates is None:
        return len(clause) / (values + 1)  # + 1: all the values that no rule names
    return min(sum(map(rates.of, clause)), 1.0)


def _clause_on(one: Placed, key: Key, rates: Rates | None) -> frozenset[Atom] | None:
    fitting = [clause for clause in one.clauses if _key(clause) == key]
    return min(fitting, key=lambda clause: (_share(clause, rates, 0), len(clause))) if fitting else None


def _best(placed: Sequence[Placed], rates: Rates | None) -> Key | None:
    """The field whose probe spares most conditions: many rules ask for it, each for what seldom holds.

    Without rates, plain equalities go before everything else.
    """
    clauses: dict[Key, list[frozenset[Atom]]] = defaultdict(list)
    values: dict[Key, set[Atom]] = defaultdict(set)
    for one in placed:
        for key in {key for clause in one.clauses if (key := _key(clause))}:
            clause = _clause_on(one, key, rates)
            if clause is not None:
                clauses[key].append(clause)
                values[key] |= clause
    gains = {
        key: (rates is None and not key[1], sum(1 - _share(clause, rates, len(values[key])) for clause in asked), key[0]) for key, asked in clauses.items()
    }
    best = max(gains, key=lambda key: gains[key], default=None)
    return None if best is None or (rates is not None and gains[best][1] < PROBE_COST) else best


def _place(one: Placed, clause: frozenset[Atom], groups: dict[Key, Tests]) -> None:
    rest = Placed(one.rule, tuple(other for other in one.clauses if other is not clause))
    by_path: dict[str, list[Atom]] = defaultdict(list)
    for atom in clause:
        by_path[atom.path].append(atom)
    for path, atoms in by_path.items():
        key = path, any(atom.op != "eq" for atom in atoms)
        for atom in atoms:
            groups[key][(atom.op, atom.value)].append(rest)


def _place_the_rest(placed: Sequence[Placed], groups: dict[Key, Tests], rates: Rates | None) -> list[Any]:
    """Rules whose clauses span several fields go under each alternative; those that no probe is worth stay here."""
    here = []
    for one in placed:
        spanning = [clause for clause in one.clauses if all(_is_text(atom) for atom in clause) and _key(clause) is None]
        clause = min(spanning, key=lambda clause: (_share(clause, rates, len(clause)), len(clause)), default=None)
        if clause is None or (rates is not None and _share(clause, rates, 0) > 1 - PROBE_COST):
            here.append(one.rule)
        else:
            _place(one, clause, groups)
    return here
