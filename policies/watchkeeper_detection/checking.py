"""RuntimePolicies, exceptions and lists → a Program, with every error of every policy at once."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from watchkeeper_detection import program as made
from watchkeeper_detection.attack import with_v18
from watchkeeper_detection.cel.check import Checked, Scope, check
from watchkeeper_detection.cel.errors import CelErrors
from watchkeeper_detection.cel.kernel_filter import exact
from watchkeeper_detection.cel.requirements import conjuncts
from watchkeeper_detection.cel.tree import TREE_VERSION, And, Field, walk
from watchkeeper_detection.fields import fields, kinds, roots_of
from watchkeeper_detection.match import ABOUT
from watchkeeper_detection.policy import ROOT_NAMESPACE, PolicyException, PolicyList, RuntimePolicy
from watchkeeper_detection.scoping import Lists, Named, counts, dangling, meant, not_for_namespaces
from watchkeeper_detection.selecting import selecting

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from watchkeeper_detection.cel.tree import Node
    from watchkeeper_detection.policy import PolicyError
    from watchkeeper_detection.policy import Rule as RuleWritten
    from watchkeeper_detection.policy_loading import Document, Place

LOG_ROOTS = frozenset(
    {"audit", "kubernetes", "rbac", "cloudtrail", "vpcflow", "azure", "gcp", "windows", "log"}
)  # only the root namespace's policies read these
PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")

RESPOND_SCOPE = Scope(kinds=(), variables=dict.fromkeys(("severity", "confidence", "policy", "rule"), "string"))  # of the detection

FROM_PODS = 'has(pod.namespace) ? pod.namespace == "{0}" : target.namespace == "{0}"'
FROM_ELSEWHERE = 'target.namespace == "{0}"'

Steps = tuple[str | int, ...]


class CheckedPolicies(NamedTuple):
    """What is right, and everything that is wrong. `conditions`: for lint, each condition as checked, by policy/rule."""

    program: made.Program
    errors: tuple[PolicyError, ...]
    conditions: dict[str, tuple[Checked, ...]]


@dataclass
class _Pen:
    """Checks one rule's expressions; collects what they read and what is wrong with them."""

    place: Place
    steps: Steps
    lists: frozenset[str]
    errors: list[PolicyError]
    checked: list[Checked] = field(default_factory=list)
    final: list[Checked] = field(default_factory=list)  # judged when a rule is about to speak: guards, message, suppress

    def error(self, below: Steps, reason: str, hint: str | None = None, *, line: int = 1) -> None:
        self.errors.append(self.place.error((*self.steps, *below), reason, hint, line_of_text=line))

    def check(self, text: str, below: Steps, scope: Scope, *, want: str | None = None) -> Checked | None:
        try:
            checked = check(text, scope, want=want)
        except CelErrors as wrong:
            for one in wrong.errors:
                self.error(below, f"{one.message} (line {one.line}, column {one.column})", one.hint, line=one.line)
            return None
        self.checked.append(checked)
        if below[0] != "sequence":
            self.final.append(checked)
        return checked

    def nodes(self, texts: Iterable[str], below: Steps, scope: Scope) -> tuple[Node, ...]:
        found = [self.check(text, (*below, number), scope) for number, text in enumerate(texts)]
        return tuple(one.tree for one in found if one is not None)


def check_policies(documents: Iterable[Document]) -> CheckedPolicies:
    """The program of all enabled rules that are right. A rule with an error is left out; the others are not held up by it.

    What was salvaged of a policy with errors is checked like the rest and left out too.
    """
    not_whole: set[Named] = set()
    policies: dict[Named, tuple[RuntimePolicy, Place]] = {}
    exceptions: list[tuple[PolicyException, Place]] = []
    lists = Lists()
    errors: list[PolicyError] = []
    for document in documents:
        match document.object:
            case RuntimePolicy() as policy:
                key = (policy.namespace, policy.name)
                if key in policies:
                    errors.append(
                        document.place.error(("metadata", "name"), f"policy {policy.name} is also in {policies[key][1].file}", "give one of them another name")
                    )
                policies[key] = (policy, document.place)
                if not document.whole:
                    not_whole.add(key)
            case PolicyException() as exception if document.whole:
                exceptions.append((exception, document.place))
            case PolicyList() as listed:
                lists.add(listed)
    errors += dangling(policies, exceptions)
    errors += not_for_namespaces(exceptions)
    rules: list[made.Rule] = []
    conditions: dict[str, tuple[Checked, ...]] = {}
    for policy, place in policies.values():
        revision = _hash(policy.model_dump_json())
        errors += _check_respond(policy, place, lists.seen_from(policy.namespace))
        for number, rule in enumerate(policy.spec.rules):
            mine = [(one, where) for one, where in exceptions if counts(one, policy, rule)]
            pen = _Pen(place, ("spec", "rules", _position(place, rule.name, number)), lists.seen_from(policy.namespace), [])
            checked = _check_rule(policy, rule, mine, pen, lists)
            conditions[f"{policy.name}/{rule.name}"] = tuple(pen.checked)
            errors += pen.errors
            if checked is not None and not pen.errors and (policy.namespace, policy.name) not in not_whole:
                rules.append(msgspec.structs.replace(checked, revision=revision))
    return CheckedPolicies(made.Program(rules=tuple(rules), lists=lists.values), tuple(errors), conditions)


def _position(place: Place, name: str, number: int) -> int:
    """Where the rule stands in the text; in a salvaged policy rules before it may be gone."""
    rules = place.written["spec"]["rules"]
    named = [position for position, written in enumerate(rules) if isinstance(written, dict) and written.get("name") == name]
    return named[0] if named else number


def _check_respond(policy: RuntimePolicy, place: Place, lists: frozenset[str]) -> list[PolicyError]:
    """What `respond` asks of a detection, and the step that it names as target."""
    pen = _Pen(place, ("spec", "respond"), lists, [])
    steps = {step.name for rule in policy.spec.rules if rule.sequence for step in rule.sequence.steps}
    for number, entry in enumerate(policy.spec.respond):
        pen.check(entry.when, (number, "when"), RESPOND_SCOPE, want="bool")
        if "." not in entry.target and entry.target not in steps:
            pen.error((number, "target"), f"no sequence of this policy has a step {entry.target}", meant(entry.target, {*steps, "process.pod", "actor.pod"}))
    return pen.errors


def _check_rule(policy: RuntimePolicy, rule: RuleWritten, exceptions: Sequence[tuple[PolicyException, Place]], pen: _Pen, lists: Lists) -> made.Rule | None:
    if not _kinds_are_allowed(policy, rule, pen):
        return None
    spec = policy.spec
    enabled, severity, mode, count, within_ns = spec.enabled, rule.severity, spec.mode, None, None
    for override in (exception.spec.override for exception, _ in exceptions if exception.spec.override):
        enabled = enabled if override.enabled is None else override.enabled
        severity = override.severity or severity
        mode = override.mode or mode
        if override.threshold:
            count, within_ns = override.threshold.count or count, override.threshold.within_ns or within_ns
    sequence = _check_sequence(rule, pen, policy)
    rule_kinds = tuple(rule.sequence.steps[-1].on if rule.sequence else rule.on)
    scope = Scope(kinds=rule_kinds, lists=pen.lists, steps={step.name: tuple(step.on) for step in rule.sequence.steps} if rule.sequence else {})
    when = pen.check(rule.when, ("when",), scope, want="bool") if rule.when else None
    unless = [(guard, pen.check(guard.when, ("unless", number, "when"), scope, want="bool")) for number, guard in enumerate(rule.unless)]
    held_back = [_check_exception(exception, place, scope, pen, lists) for exception, place in exceptions if exception.spec.when is not None]
    if rule.sequence:
        _refuse_lists([(("unless", number, "when"), one) for number, (_, one) in enumerate(unless)], pen)
    message = _check_message(rule.message or rule.title or spec.title or policy.name, scope, pen)
    threshold = _check_threshold(rule, scope, pen, count, within_ns)
    first_seen = None
    if rule.first_seen:
        of, per = pen.nodes(rule.first_seen.of, ("firstSeen", "of"), scope), pen.nodes(rule.first_seen.per, ("firstSeen", "per"), scope)
        first_seen = made.FirstSeen(of, per, rule.first_seen.learn_ns)
    suppress = made.Suppress(pen.nodes(rule.suppress.by, ("suppress", "by"), scope), rule.suppress.for_ns) if rule.suppress else None
    covered = () if rule.sequence else _selected(policy, rule.on, ("on",), scope, pen)
    condition_tree = _all_of([*covered, when.tree]) if when else None
    if rule.kill and condition_tree is not None:
        _check_kill(condition_tree, [one.tree for _, one in unless if one], pen)
    if pen.errors or not enabled:
        return None
    selectors = [one.condition for one in selecting(policy)]
    condition = repr(
        (*selectors, rule.on, rule.when, [guard.when for guard in rule.unless], rule.threshold, rule.sequence, rule.first_seen, rule.suppress, count, within_ns)
    )
    include, exclude = _covered(policy)
    checked = made.Rule(
        policy=policy.name,
        namespace=policy.namespace,
        rule=rule.name,
        rule_id=rule.id or "",
        title=rule.title or spec.title or policy.name,
        severity=severity,
        confidence=rule.confidence,
        attack=tuple(dict.fromkeys(spelling for technique in rule.attack for spelling in with_v18(technique))),
        message=message,
        kinds=rule_kinds,
        include=include,
        exclude=exclude,
        when=condition_tree,
        unless=tuple(made.Guard(guard.name, one.tree) for guard, one in unless if one),
        threshold=threshold,
        first_seen=first_seen,
        suppress=suppress,
        sequence=_with_kept(sequence, pen) if sequence else None,
        kill=rule.kill,
        enforces=rule.kill and mode == "Enforce",
        status=spec.status,
        runbook=rule.runbook or spec.runbook or "",
        blind_spots=tuple(rule.blind_spots or spec.blind_spots or ()),
        requires=tuple(rule.requires or spec.requires or ()),
        reads=tuple(sorted({path for checked in pen.checked for path in checked.reads}.union(ABOUT))),
        open_paths=tuple(sorted({path for checked in pen.checked for path in checked.open_paths})),
        state_key=_hash(policy.namespace, policy.name, rule.name, condition),
    )
    return msgspec.structs.replace(lists.resolved(checked, policy.namespace), exceptions=tuple(guard for guard in held_back if guard))


def _hash(*texts: str) -> str:
    return hashlib.blake2b("\x1f".join((str(TREE_VERSION), *texts)).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def _covered(policy: RuntimePolicy) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Namespaces that the policy covers and those it leaves out, as globs; a policy outside root covers its own only."""
    if policy.namespace != ROOT_NAMESPACE:
        return (policy.namespace,), ()
    namespaces = policy.spec.scope.namespaces if policy.spec.scope else None
    return (tuple(namespaces.include), tuple(namespaces.exclude)) if namespaces else ((), ())


def _kinds_are_allowed(policy: RuntimePolicy, rule: RuleWritten, pen: _Pen) -> bool:
    named: list[tuple[Steps, Sequence[str]]] = [(("on",), rule.on)]
    if rule.sequence:
        named = [(("sequence", "steps", number, "on"), step.on) for number, step in enumerate(rule.sequence.steps)]
    for below, names in named:
        for number, name in enumerate(names):
            if name not in kinds():
                pen.error((*below, number), f"there is no kind of event {name}", meant(name, kinds()))
            elif policy.namespace != ROOT_NAMESPACE and not LOG_ROOTS.isdisjoint(kinds()[name].roots):
                pen.error(
                    (*below, number),
                    f"a policy in namespace {policy.namespace} may not read {name}",
                    f"audit and cloud logs and grants are for policies in namespace {ROOT_NAMESPACE}",
                )
    return not pen.errors


def _check_exception(exception: PolicyException, place: Place, scope: Scope, pen: _Pen, lists: Lists) -> made.Guard | None:
    namespace = exception.namespace
    outside = _Pen(place, (), lists.seen_from(namespace), pen.errors, pen.checked, pen.final)
    scope = dataclasses.replace(scope, lists=outside.lists)
    checked = outside.check(exception.spec.when or "", ("spec", "when"), scope, want="bool")
    if checked is None:
        return None
    tree = lists.resolved(checked.tree, namespace)
    if namespace != ROOT_NAMESPACE:  # it covers its own workloads only
        own_workloads = FROM_PODS if any("pod" in roots_of(kind) for kind in scope.kinds) else FROM_ELSEWHERE
        covered = outside.check(own_workloads.format(namespace), ("spec", "when"), scope, want="bool")
        tree = And(operands=(covered.tree, tree), type="bool") if covered else tree
    name = exception.name if namespace == ROOT_NAMESPACE else f"{namespace}/{exception.name}"
    return made.Guard(name, tree, exception=True, until_ns=exception.spec.until_ns)


def _refuse_lists(guards: Iterable[tuple[Steps, Checked | None]], pen: _Pen) -> None:
    """A sequence keeps single values of its events, so its guards can't ask for a whole list: they would never hold back."""
    for below, checked in guards:
        for node in walk(checked.tree) if checked else ():
            if isinstance(node, Field) and node.type.startswith(("list", "map")):
                path = ".".join((node.path, *map(str, node.words)))
                pen.error(below, f"{path} is a list or a map, and a sequence keeps single values only", "ask for it in the step's condition")


def _check_threshold(rule: RuleWritten, scope: Scope, pen: _Pen, count: int | None, within_ns: int | None) -> made.Threshold | None:
    if rule.threshold is None:
        return None
    distinct = pen.check(rule.threshold.distinct, ("threshold", "distinct"), scope) if rule.threshold.distinct else None
    by = pen.nodes(rule.threshold.by, ("threshold", "by"), scope)
    return made.Threshold(count or rule.threshold.count, within_ns or rule.threshold.within_ns, by, distinct.tree if distinct else None)


def _check_kill(when: Node, unless: list[Node], pen: _Pen) -> None:
    inexact = [path for tree in (when, *unless) for path in exact(tree)]
    if inexact:
        pen.error(
            ("kill",),
            f"the kernel can't decide {', '.join(dict.fromkeys(inexact))} without error, and what kills must not err",
            "use respond with action KillProcess",
        )


def _check_message(message: str, scope: Scope, pen: _Pen) -> tuple[made.Word, ...]:
    words: list[made.Word] = []
    text, end = "", 0
    for found in PLACEHOLDER.finditer(message):
        text += message[end : found.start()]
        end = found.end()
        if found[1] is None:
            text += found[0][0]
            continue
        checked = pen.check(found[1].strip(), ("message",), scope)
        if checked:
            words += [made.Word(text=text), made.Word(path=found[1].strip(), value=checked.tree)]
            text = ""
    return (*words, made.Word(text=text + message[end:]))


def _selected(policy: RuntimePolicy, names: Sequence[str], below: Steps, scope: Scope, pen: _Pen) -> list[Node]:
    """What the selectors of the policy's scope ask of an event of these kinds."""
    found = []
    for one in selecting(policy):
        lacking = [name for name in names if name in kinds() and one.root not in roots_of(name)]
        if lacking:
            pen.error(below, f"scope.{one.selector} can't be asked of {lacking[0]}: it belongs to no {one.root}", "give such rules a policy of their own")
            continue
        checked = pen.check(one.condition, below, scope, want="bool")
        found += [checked.tree] if checked else []
    return found


def _check_sequence(rule: RuleWritten, pen: _Pen, policy: RuntimePolicy) -> made.Sequence | None:
    if rule.sequence is None:
        return None
    roots = {path.partition(".")[0] for path in fields()}
    earlier: dict[str, tuple[str, ...]] = {}
    steps = []
    for number, step in enumerate(rule.sequence.steps):
        below: Steps = ("sequence", "steps", number)
        if step.name in roots or step.name == "lists":
            pen.error((*below, "name"), f"a step can't be called {step.name}: fields begin with that word", "choose another name")
        scope = Scope(kinds=tuple(step.on), lists=pen.lists, steps=dict(earlier))
        checked = pen.check(step.when, (*below, "when"), scope, want="bool")
        by = pen.nodes(step.by, (*below, "by"), scope)
        alone: list[Node] = _selected(policy, step.on, (*below, "on"), dataclasses.replace(scope, steps={}), pen)
        joined: list[Node] = []
        for part in conjuncts(checked.tree) if checked else ():
            (joined if any(other for other, _ in _reads(part)) else alone).append(part)
        steps.append(made.Step(step.name, tuple(step.on), _all_of(alone), tuple(joined), by, ()))
        earlier[step.name] = tuple(step.on)
    return made.Sequence(rule.sequence.within_ns, rule.sequence.ordered, tuple(steps))


def _all_of(parts: list[Node]) -> Node | None:
    if len(parts) <= 1:
        return parts[0] if parts else None
    return And(operands=tuple(parts), type="bool")


def _reads(tree: Node) -> dict[tuple[str, str], Node]:
    """(step, dotted path) → field that the tree reads; step is empty for the event judged."""
    found = [node for node in walk(tree) if isinstance(node, Field)]
    return {(one.step, ".".join((one.path, *map(str, one.words)))): msgspec.structs.replace(one, step="") for one in found}


def _with_kept(sequence: made.Sequence, pen: _Pen) -> made.Sequence:
    """Each step keeps just the fields that somebody reads of it later."""
    wanted: dict[str, dict[str, Node]] = {step.name: {} for step in sequence.steps}
    last = sequence.steps[-1].name
    trees = [(step.name, part) for step in sequence.steps for part in step.joined] + [(last, checked.tree) for checked in pen.final]
    for reader, tree in trees:
        for (step, path), node in _reads(tree).items():
            wanted[step or reader][path] = node
    return msgspec.structs.replace(
        sequence, steps=tuple(msgspec.structs.replace(step, keep=tuple(sorted(wanted[step.name].items()))) for step in sequence.steps)
    )
