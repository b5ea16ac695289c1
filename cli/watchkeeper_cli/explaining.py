"""Rules and verdicts in words: what a rule asks for, what it costs, and what each part of it said of one event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchkeeper_cli.output.text import plural, shown
from watchkeeper_detection.attack import TECHNIQUES
from watchkeeper_detection.cel import tree
from watchkeeper_detection.cel.compile import compile_condition, compile_value, parts
from watchkeeper_detection.cel.requirements import clauses, conjuncts
from watchkeeper_detection.cel.spelling import spell
from watchkeeper_detection.cel.values import ABSENT, Failure
from watchkeeper_detection.joining import is_of_kernel, spans_nodes
from watchkeeper_detection.match import scalar
from watchkeeper_detection.redact import MARK, is_secret_name, redact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from watchkeeper_detection.event import Event
    from watchkeeper_detection.program import Program, Rule

VALUE_SHOWN = 200  # characters of one value
ATOMS_SHOWN = 6
CLAUSES_SHOWN = 4
OPERATORS = {
    "eq": "is",
    "ieq": "is, in any case,",
    "prefix": "begins with",
    "suffix": "ends with",
    "contains": "contains",
    "regex": "matches",
    "present": "is there",
}
HOURS = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))


def rule_lines(rule: Rule, program: Program) -> Iterator[str]:
    """What the rule matches, how it is found, where its state lives, what it costs, where it can be blind."""
    yield f"{rule.name}  {rule.severity}, confidence {rule.confidence}{'' if rule.status == 'stable' else ', ' + rule.status}"
    yield f"  {rule.title}"
    for technique in rule.attack:
        if technique in TECHNIQUES:
            yield f"  ATT&CK     {technique} {TECHNIQUES[technique].full_name}"
    for name, kinds, condition in conditions(rule):
        yield f"  {'on' if not name else 'step ' + name:10} {', '.join(kinds)}"
        yield from _condition("when", condition)
        yield from _found_by(condition, program)
    for guard in (*rule.unless, *rule.exceptions):
        yield from _condition(f"{'exception' if guard.exception else 'unless'} {guard.name}:", guard.when)
    yield from _state(rule)
    yield f"  cost       {_cost(rule)}"
    yield f"  reads      {', '.join(rule.reads)}"


def advice_lines(rule: Rule) -> Iterator[str]:
    """What the rule needs, where it is blind, and what to do when it fires: most often the same for all rules of a policy."""
    yield from (f"needs     {requirement}" for requirement in rule.requires)
    yield from (f"blind to  {spot}" for spot in rule.blind_spots)
    if rule.runbook:
        yield ""
        yield rule.runbook.rstrip()


def conditions(rule: Rule) -> list[tuple[str, tuple[str, ...], tree.Node | None]]:
    """(step, kinds, condition) of each condition; the step is empty where the rule has none."""
    if rule.sequence is None:
        return [("", rule.kinds, rule.when)]
    found = []
    for step in rule.sequence.steps:
        whole = tuple(part for part in (*(conjuncts(step.when) if step.when is not None else ()), *step.joined))
        found.append((step.name, step.kinds, tree.And(operands=whole) if len(whole) > 1 else (whole[0] if whole else None)))
    return found


def _condition(title: str, condition: tree.Node | None) -> Iterator[str]:
    if condition is None:
        return
    first, *rest = [f"({spell(part)})" if isinstance(part, tree.Or) and part is not condition else spell(part) for part in conjuncts(condition)]
    if title == "when":
        yield f"  when       {first}"
    else:
        yield f"  {title}"
        yield f"             {first}"
    yield from (f"             && {part}" for part in rest)


def _found_by(condition: tree.Node | None, program: Program) -> Iterator[str]:
    """What the index asks before the condition is run."""
    found = clauses(condition, program.lists) if condition is not None else ()
    if not found:
        yield "  index      none: the condition is run on every event of the kind"
    for clause in sorted(found, key=len)[:CLAUSES_SHOWN]:
        tests: dict[str, list[str]] = {}
        for atom in sorted(clause, key=str):
            values = tests.setdefault(f"{atom.path} {OPERATORS[atom.op]}", [])
            if atom.op != "present":
                values.append(str(atom.value))
        yield f"  index      {' or '.join(f'{test} {_some(values)}'.rstrip() for test, values in tests.items())}"


def _some(values: list[str]) -> str:
    more = f" or {len(values) - ATOMS_SHOWN} more" if len(values) > ATOMS_SHOWN else ""
    return " | ".join(values[:ATOMS_SHOWN]) + more


def _state(rule: Rule) -> Iterator[str]:
    what = ""
    keys: tuple[tree.Node, ...] = ()
    if rule.threshold:
        distinct = f" different {spell(rule.threshold.distinct)}" if rule.threshold.distinct is not None else ""
        what, keys = f"{rule.threshold.count}{distinct} within {_duration(rule.threshold.within_ns)}", rule.threshold.by
    elif rule.sequence:
        order = "in this order" if rule.sequence.ordered else "in any order"
        what, keys = f"{len(rule.sequence.steps)} steps {order} within {_duration(rule.sequence.within_ns)}", rule.sequence.steps[0].by
    elif rule.first_seen:
        what = f"first time that {', '.join(map(spell, rule.first_seen.of))} is seen, after learning for {_duration(rule.first_seen.learn_ns)}"
        keys = rule.first_seen.per
    if rule.suppress:
        repeat = f"repeats of {', '.join(map(spell, rule.suppress.by))} suppressed for {_duration(rule.suppress.for_ns)}"
        what, keys = f"{what}; {repeat}" if what else repeat, keys or rule.suppress.by
    if not what:
        yield "  state      none: each event is judged alone"
        return
    where = "on the node" if is_of_kernel(rule) and not spans_nodes(rule) else "in the operator (here: this command)"
    yield f"  state      {what}; per {', '.join(map(spell, keys)) or 'rule'}; kept {where}"


def _cost(rule: Rule) -> str:
    nodes = [node for _, _, condition in conditions(rule) if condition is not None for node in tree.walk(condition)]
    loops = sum(isinstance(node, tree.Loop) for node in nodes)
    patterns = sum(isinstance(node, tree.Call) and node.function.endswith("matches") for node in nodes)
    extra = [plural(loops, "loop")] * bool(loops) + [plural(patterns, "regular expression")] * bool(patterns)
    return f"{plural(len(nodes), 'operation')} at most{', ' + ', '.join(extra) if extra else ''}"


def _duration(nanoseconds: int) -> str:
    seconds = nanoseconds // 10**9
    for unit, size in HOURS:
        if seconds >= size and not seconds % size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def verdict_lines(rule: Rule, program: Program, event: Event) -> Iterator[str]:
    """What each part of the rule said of the event, and so why it did or did not hold."""
    lists = program.lists
    asked = [(name, condition) for name, kinds, condition in conditions(rule) if event.kind in kinds]
    if not asked:
        yield f"{rule.name}: asks about {', '.join(rule.kinds)}, the event is {event.kind}"
        return
    for name, condition in asked:
        holds = condition is None or compile_condition(condition, lists)(event)
        title = rule.name if not name else f"{rule.name}, step {name}"
        yield f"{title}: the condition {'holds' if holds else 'does not hold'}"
        if condition is not None:
            yield from _part_lines(condition, lists, event)
        if holds:
            yield f"  so it {_consequence(rule)}, unless something below holds it back"
    for guard in (*rule.unless, *rule.exceptions):
        held = compile_condition(guard.when, lists)(event)
        yield f"{'exception' if guard.exception else 'unless'} {guard.name}: {'holds it back' if held else 'does not hold it back'}"
        if held:
            yield from _part_lines(guard.when, lists, event)


def _consequence(rule: Rule) -> str:
    if rule.sequence:
        return "is a step of the sequence"
    if rule.threshold:
        return f"counts towards the {rule.threshold.count} of the threshold"
    return "fires where the value is new" if rule.first_seen else "fires"


def _part_lines(condition: tree.Node, lists: Mapping[str, tuple[str, ...]], event: Event) -> Iterator[str]:
    for text, value_of in parts(condition, lists):
        yield f"  {verdict(value_of(event)):8} {text}"
    for name, node in {spell(node): node for node in tree.walk(condition) if isinstance(node, tree.Field) and not node.step}.items():
        value = compile_value(node, lists)(event)
        hidden = is_secret_name(name.rpartition(".")[2]) and isinstance(value, str)
        yield f"           {name} = {MARK if hidden else value_text(value)}"


def verdict(value: object) -> str:
    if value is True:
        return "true"
    if value is False:
        return "false"
    return "absent" if value is ABSENT else "error"


def value_text(value: object) -> str:
    """A value as a person may see it: redacted, on one line, cut."""
    if value is ABSENT or value is None:
        return "absent"
    if isinstance(value, Failure):
        return f"error: {shown(value.message)}"
    text = redact(str(scalar(value)))
    return shown(f'"{text}"' if isinstance(value, str) else text, VALUE_SHOWN)
