"""Cost per event with 10, 100 and 1,000 rules, on the corpus's mix of events.

The rules are the library's with other constants (so an event meets them as it meets the library's and almost none holds).
At least a tenth have no equality; 50 of the thousand share the hottest key of the log. Timed is what a user waits for,
from the log's bytes to detections, every set reading the fields that the largest reads; judging alone, of events that
were read before, stands beside it.
"""

from __future__ import annotations

from collections import Counter
from itertools import cycle, islice
from typing import TYPE_CHECKING

import msgspec
from tests.bench.corpus_files import corpus_events
from tests.bench.measure import best_of

from watchkeeper_cli.policy_set import library_program
from watchkeeper_detection.cel.check import Scope, check
from watchkeeper_detection.cel.requirements import clauses
from watchkeeper_detection.cel.tree import Call, Constant, ListName, Node
from watchkeeper_detection.logs.stream import StreamReader
from watchkeeper_detection.matcher import Matcher
from watchkeeper_detection.placing import indexable
from watchkeeper_detection.program import Program, Rule

if TYPE_CHECKING:
    from watchkeeper_detection.event import Event

LOGS = {
    "k8s-audit": ("audit.request", "audit.objectRef.resource", "audit.verb"),
    "cloudtrail": ("cloudtrail.event", "cloudtrail.eventSource", "cloudtrail.eventName"),
}
HOT = 50
SIZES = (10, 100, 1000)
ROUNDS = 5
TESTS = frozenset({"_==_", "_in_", "startsWith", "endsWith", "contains", "matches", "ieq", "iin", "glob"})
PATTERNS = {
    "audit.request": (
        "audit.userAgent.contains('tool-{n}')",
        "audit.requestURI.startsWith('/apis/group-{n}.example')",
        "audit.user.username.matches('^robot-{n}-[a-z]+$')",
    ),
    "cloudtrail.event": (
        "cloudtrail.userAgent.contains('tool-{n}')",
        "cloudtrail.userIdentity.arn.endsWith('/robot-{n}')",
        "cloudtrail.userIdentity.principalId.matches('^AROA[A-Z]*{n}:')",
    ),
}


def another(value: object, number: int) -> object:
    """Another constant of the type: a text or whole number that no event of the log has."""
    if isinstance(value, str):
        return f"{value}-{number}"
    return value + 100_000 * (number + 1) if isinstance(value, int) and not isinstance(value, bool) else value


def varied(node: Node, number: int) -> Node:
    """The tree with each text and number that it compares to made another one."""
    if isinstance(node, Constant):
        return node

    def below(value: object, *, tested: bool) -> object:
        if isinstance(value, ListName):
            return msgspec.structs.replace(value, name=f"{value.name}_{number}")
        if isinstance(value, Constant):
            return msgspec.structs.replace(value, value=another(value.value, number)) if tested else value
        if isinstance(value, msgspec.Struct):
            return rebuilt(value, tested=tested or (isinstance(value, Call) and value.function in TESTS))
        if isinstance(value, tuple):
            return tuple(below(one, tested=tested) for one in value)
        return value

    def rebuilt(struct: msgspec.Struct, *, tested: bool) -> msgspec.Struct:
        return msgspec.structs.replace(struct, **{name: below(getattr(struct, name), tested=tested) for name in struct.__struct_fields__})

    return rebuilt(node, tested=isinstance(node, Call) and node.function in TESTS)  # type: ignore[return-value]


def varied_lists(lists: dict[str, tuple[str, ...]], copies: int) -> dict[str, tuple[str, ...]]:
    """The lists that varied trees name."""
    return lists | {f"{name}_{number}": tuple(f"{value}-{number}" for value in values) for name, values in lists.items() for number in range(copies)}


def has_equality(rule: Rule, lists: dict[str, tuple[str, ...]]) -> bool:
    return any(all(atom.op == "eq" for atom in clause) for clause in indexable(clauses(rule.when, lists)))


def rules_like(library: list[Rule], lists: dict[str, tuple[str, ...]], kind: str, hot: tuple[str, str], size: int) -> list[Rule]:
    """`size` rules: a tenth without any equality, one in twenty on the hottest key, the rest the library's with other constants."""
    plain = [rule for rule in library if has_equality(rule, lists)]
    first, second = LOGS["k8s-audit" if kind == "audit.request" else "cloudtrail"][1:]
    scope = Scope(kinds=(kind,))
    made: list[Rule] = []

    def add(tree: Node, like: Rule) -> None:
        number = len(made)
        made.append(msgspec.structs.replace(like, policy=f"bench-{number}", when=tree, unless=(), state_key=str(number)))

    for n in range(size * HOT // SIZES[-1]):
        extra = PATTERNS[kind][n % 2].format(n=n) if n % 2 else PATTERNS[kind][0].format(n=n)
        add(check(f"{first} == '{hot[0]}' && {second} == '{hot[1]}' && {extra}", scope, want="bool").tree, plain[n % len(plain)])
    for n in range(max(size // 10, 1)):
        add(check(PATTERNS[kind][n % 3].format(n=1000 + n), scope, want="bool").tree, plain[n % len(plain)])
    for n, rule in enumerate(islice(cycle(plain), size - len(made))):
        add(varied(rule.when, n // len(plain)), rule)
    return made


def main() -> None:
    library = library_program()
    for log, (kind, first, second) in LOGS.items():
        raw = corpus_events(log)
        reader = StreamReader(log, source=log, reads=None)
        read = [*reader.feed(b"\n".join(raw) + b"\n"), *reader.close()]
        events = [event for event in read if event.kind == kind]

        def value(event: Event, path: str) -> object:
            found: object = event
            for word in path.split("."):
                found = getattr(found, word)
            return found

        hot, times = Counter((value(event, first), value(event, second)) for event in events).most_common(1)[0]
        mine = [rule for rule in library.rules if rule.kinds == (kind,) and rule.when is not None and not (rule.threshold or rule.first_seen or rule.suppress)]
        print(f"{log}: {len(events)} events, hottest key {hot} in {times}; {len(mine)} library rules to make others from")
        lists = varied_lists(library.lists, SIZES[-1] // max(len(mine), 1) + 2)
        matchers = {size: Matcher(Program(rules=tuple(rules_like(mine, library.lists, kind, hot, size)), lists=lists)) for size in SIZES}

        lines = b"".join(line + b"\n" for line in raw)

        def judge(matcher: Matcher, events: list[Event] = events) -> None:
            for _ in range(ROUNDS):
                for event in events:
                    matcher.match(event)

        reads = matchers[SIZES[-1]].reads

        def read_and_judge(matcher: Matcher, log: str = log, lines: bytes = lines, reads: dict[str, frozenset[str]] = reads) -> None:
            for _ in range(ROUNDS):
                reader = StreamReader(log, source=log, reads=reads)
                for event in (*reader.feed(lines), *reader.close()):
                    matcher.match(event)

        for matcher in matchers.values():  # long enough for the rules to be placed by what this log holds
            judge(matcher)
            judge(matcher)
        before = {size: (matcher.statistics.candidates, sum(matcher.statistics.events.values())) for size, matcher in matchers.items()}
        alone = best_of(*(lambda matcher=matcher: judge(matcher) for matcher in matchers.values()))
        whole = best_of(*(lambda matcher=matcher: read_and_judge(matcher) for matcher in matchers.values()))
        for size, seconds, judging in zip(SIZES, whole, alone, strict=True):
            statistics = matchers[size].statistics
            candidates = (statistics.candidates - before[size][0]) / (sum(statistics.events.values()) - before[size][1])
            per_event = 1e6 / len(events) / ROUNDS
            print(
                f"  {size:5} rules: {seconds * per_event:6.2f} µs/event, {seconds / whole[0]:.2f} of {SIZES[0]} rules; judging alone {judging * per_event:5.2f} µs;"
                f" {candidates:.3f} candidates/event"
            )


if __name__ == "__main__":
    main()
