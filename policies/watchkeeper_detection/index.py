"""Which rules can an event meet at all? A tree of probes over the rules' necessary conditions.

A probe reads one closed field and looks its value up; what it finds is the next branch. Equalities are a dict; prefix,
suffix, contains, regex and case-insensitive tests on one field share one RE2 set. A rule is placed under one of its
clauses (a disjunction of atoms of which one must hold), so it is found whenever it could hold and its condition is run
only then. Cost per event: a few look-ups, whatever the number of rules that the event's values do not concern.
"""

from __future__ import annotations

from collections import defaultdict
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import re2

from watchkeeper_detection.fields import attribute_name
from watchkeeper_detection.vocabulary import COMMON_ROOTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from watchkeeper_detection.cel.requirements import Atom
    from watchkeeper_detection.event import Event

R = TypeVar("R")
Clause = "frozenset[Atom]"

SMALL_BRANCH = 2  # running two conditions costs less than one more probe
DEPTH = 8
COMBINATIONS = 8192  # of probed fields' values remembered
PATTERN_MEMO = 8192  # values remembered per field; user agents and addresses repeat, an attacker's do not
SET_MEMORY_BYTES = 256 << 20  # of the set's automaton; a set that runs out answers "no", so it gets plenty
PATTERN_VALUE_BYTES = 4096  # a longer value is matched, but not remembered


LAZY_ROOTS = frozenset({*COMMON_ROOTS, "kubernetes"})  # computed when first read: too dear to read for every event


def indexable(clauses: Iterable[frozenset[Atom]]) -> tuple[frozenset[Atom], ...]:
    """The clauses whose fields are there to be read at no cost."""
    return tuple(clause for clause in clauses if all(atom.path.partition(".")[0] not in LAZY_ROOTS for atom in clause))


class Placed(NamedTuple):
    """A rule and the clauses not yet used on its way down the tree."""

    rule: Any
    clauses: tuple[frozenset[Atom], ...]


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

    __slots__ = ("path", "read", "table")

    def __init__(self, path: str, table: Equalities[R] | Patterns[R]) -> None:
        self.path = path
        self.read = getter(path)
        self.table = table


class Index(Generic[R]):
    """The tree, and a memo: records repeat, so what the values of some fields lead to is worked out once for each combination.

    When combinations become too many, the field with the most values leaves the memo and is looked at for each event.
    """

    def __init__(self, root: Branch[R]) -> None:
        self.root = root
        self._memo: dict[Any, tuple[tuple[R, ...], tuple[Probe[R], ...]]] = {}
        self._remember(sorted({probe.path for probe in root.probes}))

    def _remember(self, paths: list[str]) -> None:
        self._paths = paths
        self._read = getter(*paths) if len(paths) > 1 else None
        self._memo.clear()

    def find(self, event: Event) -> Sequence[R]:
        """Every rule that the event may meet; one placed under several alternatives may come twice."""
        if self._read is None:
            return self._probed((self.root.rules, self.root.probes), event)
        key = self._read(event)
        found = self._memo.get(key)
        if found is None:
            found = self._resolved(key)
        return self._probed(found, event) if found[1] else found[0]

    def _resolved(self, key: tuple[Any, ...]) -> tuple[tuple[R, ...], tuple[Probe[R], ...]]:
        """What is found for these values of the remembered fields, and the probes of other fields that are left."""
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
        found = (tuple(rules), tuple(left))
        if len(self._memo) >= COMBINATIONS:
            counts = [(len({one[number] for one in self._memo}), path) for number, path in enumerate(self._paths)]
            most = max(counts)[1]
            self._remember([path for path in self._paths if path != most])
        elif sum(len(value) for value in key if value.__class__ is str) <= PATTERN_VALUE_BYTES:
            self._memo[key] = found
        return found

    @staticmethod
    def _probed(found: tuple[tuple[R, ...], tuple[Probe[R], ...]], event: Event) -> list[R]:
        rules = list(found[0])
        probes = list(found[1])
        for probe in probes:
            branch = probe.table.get(probe.read(event))
            if branch is not None:
                rules += branch.rules
                probes += branch.probes
        return rules


class Equalities(dict[Any, "Branch[R]"], Generic[R]):
    """Value → branch."""

    def branches(self) -> Iterable[Branch[R]]:
        return self.values()


class Patterns(Generic[R]):
    """Tests on one text field, told apart by one RE2 set and two dicts; the outcome is remembered per value."""

    def __init__(self, tests: dict[tuple[str, Any], Branch[R]]) -> None:
        self._equal = {value: branch for (op, value), branch in tests.items() if op == "eq"}
        self._folded = {value.casefold(): branch for (op, value), branch in tests.items() if op == "ieq"}
        texts = [(pattern_of(op, value), branch) for (op, value), branch in tests.items() if op not in ("eq", "ieq")]
        self._by_number = [branch for _, branch in texts]
        self._set: Any = None
        if texts:
            self._set = re2.Set.SearchSet(_options())
            for pattern, _ in texts:
                self._set.Add(pattern)
            self._set.Compile()
        self._memo: dict[str, Branch[R] | None] = {}

    def branches(self) -> Iterable[Branch[R]]:
        return [*self._equal.values(), *self._folded.values(), *self._by_number]

    def get(self, value: Any) -> Branch[R] | None:
        if type(value) is not str:
            return self._equal.get(value) if value is not None else None
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
        hits = [branch for branch in (self._equal.get(value), self._folded.get(value.casefold())) if branch is not None]
        if self._set is not None:
            try:
                numbers = self._set.Match(value) or ()
            except UnicodeEncodeError:  # a lone surrogate is no text to RE2: let every condition decide for itself
                numbers = range(len(self._by_number))
            hits += [self._by_number[number] for number in numbers]
        if len(hits) <= 1:
            return hits[0] if hits else None
        return Branch(tuple(rule for branch in hits for rule in branch.rules), tuple(probe for branch in hits for probe in branch.probes))


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
    return {"prefix": r"\A" + quoted, "suffix": quoted + r"\z", "contains": quoted}[op]


def getter(*paths: str) -> Callable[[Event], Any]:
    """Reads closed fields from an event, absent as None: one value, or a tuple where several are asked for."""
    return attrgetter(*(".".join(attribute_name(word) for word in path.split(".")) for path in paths))


def build(placed: Sequence[Placed], depth: int = 0) -> Branch[Any]:
    """Tree for these rules."""
    if depth >= DEPTH or (depth and len(placed) <= SMALL_BRANCH):
        return Branch(tuple(one.rule for one in placed))
    here: list[Any] = []
    groups: dict[tuple[str, bool], dict[tuple[str, Any], list[Placed]]] = defaultdict(lambda: defaultdict(list))
    remaining = list(placed)
    while remaining:
        chosen = _best_path(remaining)
        if chosen is None:
            here += _place_the_rest(remaining, groups)
            break
        path, patterned = chosen
        left: list[Placed] = []
        for one in remaining:
            clause = _clause_on(one, path, patterned=patterned)
            if clause is None:
                left.append(one)
                continue
            rest = Placed(one.rule, tuple(other for other in one.clauses if other is not clause))
            for atom in clause:
                groups[chosen][(atom.op, atom.value)].append(rest)
        remaining = left
    probes: list[Probe[Any]] = []
    for (path, patterned), tests in groups.items():
        branches = {test: build(rules, depth + 1) for test, rules in tests.items()}
        table: Any = Patterns(branches) if patterned else Equalities({value: branch for (_, value), branch in branches.items()})
        probes.append(Probe(path, table))
    return Branch(tuple(here), tuple(probes))


def _clause_on(one: Placed, path: str, *, patterned: bool) -> frozenset[Atom] | None:
    fitting = [
        clause
        for clause in one.clauses
        if all(atom.path == path for atom in clause) and any(atom.op != "eq" for atom in clause) == patterned and _is_text_where_patterned(clause, patterned=patterned)
    ]
    return min(fitting, key=len) if fitting else None


def _is_text_where_patterned(clause: frozenset[Atom], *, patterned: bool) -> bool:
    return not patterned or all(atom.op == "eq" or isinstance(atom.value, str) for atom in clause)


def _best_path(placed: Sequence[Placed]) -> tuple[str, bool] | None:
    """The field that leaves the fewest rules to run: many rules ask for it, each for few of many values.

    Plain equalities first; patterns where no equality is left.
    """
    counts: dict[tuple[str, bool], list[int]] = defaultdict(list)
    values: dict[tuple[str, bool], set[tuple[str, Any]]] = defaultdict(set)
    for one in placed:
        sizes: dict[tuple[str, bool], frozenset[Atom]] = {}
        for clause in one.clauses:
            paths = {atom.path for atom in clause}
            if len(paths) == 1:
                key = (next(iter(paths)), any(atom.op != "eq" for atom in clause))
                if key not in sizes or len(clause) < len(sizes[key]):
                    sizes[key] = clause
        for key, clause in sizes.items():
            counts[key].append(len(clause))
            values[key] |= {(atom.op, atom.value) for atom in clause}
    if not counts:
        return None

    def score(key: tuple[str, bool]) -> tuple[bool, float, str]:
        expected = sum(counts[key]) / (len(values[key]) + 1)  # + 1: the values that no rule names
        return (not key[1], len(counts[key]) - expected, key[0])

    return max(counts, key=score)


def _place_the_rest(placed: Sequence[Placed], groups: dict[tuple[str, bool], dict[tuple[str, Any], list[Placed]]]) -> list[Any]:
    """Rules whose clauses span several fields go under each alternative; those without any clause stay here."""
    here = []
    for one in placed:
        spanning = [clause for clause in one.clauses if clause and all(atom.op == "eq" or isinstance(atom.value, str) for atom in clause)]
        if not spanning:
            here.append(one.rule)
            continue
        clause = min(spanning, key=len)
        rest = Placed(one.rule, tuple(other for other in one.clauses if other is not clause))
        by_path: dict[str, list[Atom]] = defaultdict(list)
        for atom in clause:
            by_path[atom.path].append(atom)
        for path, atoms in by_path.items():
            patterned = any(atom.op != "eq" for atom in atoms)
            for atom in atoms:
                groups[(path, patterned)][(atom.op, atom.value)].append(rest)
    return here


