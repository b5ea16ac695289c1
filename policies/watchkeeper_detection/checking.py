"""RuntimePolicies, exceptions and lists → a Program, with every error of every policy at once."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from watchkeeper_detection import program as made
from watchkeeper_detection.attack import with_v18
from watchkeeper_detection.cel.check import Checked, Scope, check
from watchkeeper_detection.cel.errors import CelErrors
from watchkeeper_detection.cel.kernel_filter import exact
from watchkeeper_detection.cel.requirements import all_of, conjuncts, field_reads, step_reads
from watchkeeper_detection.cel.tree import TREE_VERSION
from watchkeeper_detection.fields import fields, kinds, nearest
from watchkeeper_detection.policy import ROOT_NAMESPACE, PolicyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from watchkeeper_detection.cel.tree import Node
    from watchkeeper_detection.policy import PolicyException, PolicyList, RuntimePolicy
    from watchkeeper_detection.policy import Rule as PolicyRule

LOG_ROOTS = frozenset({"audit", "kubernetes", "cloudtrail", "vpcflow", "azure", "gcp", "windows", "log"})  # only the root namespace's policies may read these
ALWAYS_READ = ("actor.id", "identity.id", "target.id", "origin.ip")  # what each detection names
PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")


def list_name(name: str) -> str:
    """CEL name of a PolicyList: dashes are minus signs in CEL."""
    return name.replace("-", "_")


@dataclass
class _Pen:
    """Collects what one rule reads and what is wrong with it."""

    policy: str
    rule: str
    file: str | None
    lists: frozenset[str]
    errors: list[PolicyError] = field(default_factory=list)
    reads: set[str] = field(default_factory=set)
    open_paths: set[str] = field(default_factory=set)
    final: list[Checked] = field(default_factory=list)  # judged when a rule is about to speak: guards, message, suppress

    def error(self, path: str, reason: str, hint: str | None = None) -> None:
        where = f"spec.rules[{self.rule}].{path}" if self.rule else path
        self.errors.append(PolicyError(policy=self.policy, rule=self.rule or None, path=where, reason=reason, hint=hint, file=self.file, line=None))

    def check(self, text: str, path: str, scope: Scope, *, want: str | None = None) -> Checked | None:
        try:
            checked = check(text, scope, want=want)
        except CelErrors as wrong:
            for one in wrong.errors:
                self.error(path, f"{one.message} (line {one.line}, column {one.column})", one.hint)
            return None
        self.reads.update(checked.reads)
        self.open_paths.update(checked.open_paths)
        if not path.startswith("sequence."):
            self.final.append(checked)
        return checked

    def nodes(self, texts: Iterable[str], path: str, scope: Scope) -> tuple[Node, ...]:
        found = [self.check(text, f"{path}[{number}]", scope) for number, text in enumerate(texts)]
        return tuple(one.tree for one in found if one is not None)


def check_policies(
    policies: Sequence[RuntimePolicy], exceptions: Sequence[PolicyException] = (), lists: Sequence[PolicyList] = ()
) -> tuple[made.Program, tuple[PolicyError, ...]]:
    """The program of all enabled policies that are right, and all errors of those that are not."""
    errors: list[PolicyError] = []
    rules: list[made.Rule] = []
    values = {list_name(one.metadata.name): tuple(one.spec.values) for one in lists}
    names = {policy.metadata.name for policy in policies}
    for exception in exceptions:
        if exception.spec.policy not in names:
            errors.append(
                PolicyError(
                    policy=exception.metadata.name,
                    rule=None,
                    path="spec.policy",
                    reason=f"there is no policy {exception.spec.policy!r}",
                    hint=nearest(exception.spec.policy, names),
                    file=exception.file,
                    line=None,
                )
            )
    for policy in policies:
        mine = [exception for exception in exceptions if exception.spec.policy == policy.metadata.name]
        errors += _unknown_rules(policy, mine)
        for rule in policy.spec.rules:
            pen = _Pen(policy.metadata.name, rule.name, policy.file, frozenset(values))
            checked = _check_rule(policy, rule, _applying(mine, rule.name), pen)
            errors += pen.errors
            if checked is not None and not pen.errors:
                rules.append(checked)
    return made.Program(rules=tuple(rules), lists=values), tuple(errors)


def _applying(exceptions: Iterable[PolicyException], rule: str) -> list[PolicyException]:
    return [exception for exception in exceptions if not exception.spec.rules or rule in exception.spec.rules]


def _unknown_rules(policy: RuntimePolicy, exceptions: Iterable[PolicyException]) -> list[PolicyError]:
    names = {rule.name for rule in policy.spec.rules}
    return [
        PolicyError(
            policy=exception.metadata.name,
            rule=None,
            path="spec.rules",
            reason=f"policy {policy.metadata.name} has no rule {name!r}",
            hint=nearest(name, names),
            file=exception.file,
            line=None,
        )
        for exception in exceptions
        for name in exception.spec.rules
        if name not in names
    ]


def _check_rule(policy: RuntimePolicy, rule: PolicyRule, exceptions: list[PolicyException], pen: _Pen) -> made.Rule | None:
    spec = policy.spec
    overrides = [exception.spec.override for exception in exceptions if exception.spec.override is not None]
    enabled, severity, threshold = spec.enabled, rule.severity, rule.threshold
    for override in overrides:
        enabled = enabled if override.enabled is None else override.enabled
        severity = override.severity or severity
        threshold = override.threshold or threshold
    if not _kinds_are_known(policy, rule, pen):
        return None
    sequence = _check_sequence(rule, pen) if rule.sequence else None
    steps = {step.name: tuple(step.on) for step in rule.sequence.steps} if rule.sequence else {}
    rule_kinds = tuple(rule.sequence.steps[-1].on) if rule.sequence else tuple(rule.on)
    scope = Scope(kinds=rule_kinds, lists=pen.lists, steps=steps)
    when = pen.check(rule.when, "when", scope, want="bool") if rule.when else None
    unless = [(guard, pen.check(guard.when, f"unless[{guard.name}].when", scope, want="bool")) for guard in rule.unless]
    held_back = [_check_exception(exception, scope, pen) for exception in exceptions if exception.spec.when is not None]
    message = _check_message(rule.message, scope, pen)
    limit = None
    if threshold:
        distinct = pen.check(threshold.distinct, "threshold.distinct", scope) if threshold.distinct else None
        limit = made.Threshold(threshold.count, threshold.within_ns, pen.nodes(threshold.by, "threshold.by", scope), distinct.tree if distinct else None)
    first_seen = None
    if rule.first_seen:
        of, per = pen.nodes(rule.first_seen.of, "firstSeen.of", scope), pen.nodes(rule.first_seen.per, "firstSeen.per", scope)
        first_seen = made.FirstSeen(of, per, rule.first_seen.learn_ns)
    suppress = made.Suppress(pen.nodes(rule.suppress.by, "suppress.by", scope), rule.suppress.for_ns) if rule.suppress else None
    if rule.kill and when is not None:
        _check_kill(when.tree, [one.tree for _, one in unless if one], pen)
    if pen.errors or not enabled:
        return None
    condition = (rule.when, [guard.when for guard in rule.unless], msgspec.json.encode((limit, first_seen, suppress, sequence)).decode())
    return made.Rule(
        policy=policy.metadata.name,
        namespace=policy.metadata.namespace or ROOT_NAMESPACE,
        rule=rule.name,
        rule_id=rule.id or "",
        title=rule.title or spec.title or policy.metadata.name,
        severity=severity,
        confidence=rule.confidence,
        attack=tuple(dict.fromkeys(id for technique in rule.attack for id in with_v18(technique))),
        message=message,
        kinds=rule_kinds,
        when=when.tree if when else None,
        unless=tuple(made.Guard(guard.name, one.tree) for guard, one in unless if one),
        exceptions=tuple(guard for guard in held_back if guard),
        threshold=limit,
        first_seen=first_seen,
        suppress=suppress,
        sequence=_with_kept(sequence, pen) if sequence else None,
        kill=rule.kill,
        status=spec.status,
        runbook=rule.runbook or spec.runbook or "",
        blind_spots=tuple(rule.blind_spots or spec.blind_spots),
        requires=tuple(rule.requires or spec.requires),
        reads=tuple(sorted(pen.reads.union(ALWAYS_READ))),
        open_paths=tuple(sorted(pen.open_paths)),
        state_key=_hash(policy.metadata.namespace or ROOT_NAMESPACE, policy.metadata.name, rule.name, repr(condition)),
        revision=_hash(policy.model_dump_json()),
    )


def _hash(*texts: str) -> str:
    return hashlib.blake2b("\x1f".join((str(TREE_VERSION), *texts)).encode(), digest_size=12).hexdigest()


def _kinds_are_known(policy: RuntimePolicy, rule: PolicyRule, pen: _Pen) -> bool:
    named = [("on", tuple(rule.on))] if not rule.sequence else [(f"sequence.steps[{step.name}].on", tuple(step.on)) for step in rule.sequence.steps]
    for path, names in named:
        for name in names:
            if name not in kinds():
                pen.error(path, f"there is no kind of event {name!r}", nearest(name, kinds()))
            elif (policy.metadata.namespace or ROOT_NAMESPACE) != ROOT_NAMESPACE and not LOG_ROOTS.isdisjoint(kinds()[name].roots):
                pen.error(path, f"a policy in namespace {policy.metadata.namespace} may not read {name}: audit and cloud logs are for policies in namespace {ROOT_NAMESPACE}")
    return not pen.errors


def _check_exception(exception: PolicyException, scope: Scope, pen: _Pen) -> made.Guard | None:
    outside = _Pen(exception.metadata.name, "", exception.file, pen.lists, errors=pen.errors, reads=pen.reads, open_paths=pen.open_paths)
    checked = outside.check(exception.spec.when or "", "spec.when", scope, want="bool")
    return made.Guard(exception.metadata.name, checked.tree, exception=True, until_ns=exception.spec.until_ns) if checked else None


def _check_kill(when: Node, unless: list[Node], pen: _Pen) -> None:
    inexact = [path for tree in (when, *unless) for path in exact(tree)]
    if inexact:
        pen.error("kill", f"the kernel can't decide {', '.join(dict.fromkeys(inexact))} without error, and what kills must not err", "use respond with action KillProcess")


def _check_message(message: str, scope: Scope, pen: _Pen) -> tuple[made.Word, ...]:
    words: list[made.Word] = []
    text, end = "", 0
    for found in PLACEHOLDER.finditer(message):
        text += message[end : found.start()]
        end = found.end()
        if found[0] in ("{{", "}}"):
            text += found[0][0]
            continue
        checked = pen.check(found[1].strip(), "message", scope)
        if checked:
            words += [made.Word(text=text), made.Word(path=found[1].strip(), value=checked.tree)]
            text = ""
    return (*words, made.Word(text=text + message[end:]))


def _check_sequence(rule: PolicyRule, pen: _Pen) -> made.Sequence | None:
    if rule.sequence is None:
        return None
    earlier: dict[str, tuple[str, ...]] = {}
    steps = []
    for step in rule.sequence.steps:
        if step.name in {path.partition(".")[0] for path in fields()}:
            pen.error(f"sequence.steps[{step.name}]", f"a step can't be called {step.name}: fields begin with that word")
        scope = Scope(kinds=tuple(step.on), lists=pen.lists, steps=dict(earlier))
        checked = pen.check(step.when, f"sequence.steps[{step.name}].when", scope, want="bool")
        by = pen.nodes(step.by, f"sequence.steps[{step.name}].by", scope)
        alone, joined = [], []
        for part in conjuncts(checked.tree) if checked else ():
            (joined if step_reads(part) else alone).append(part)
        steps.append(made.Step(step.name, tuple(step.on), _all_of(alone), tuple(joined), by, ()))
        earlier[step.name] = tuple(step.on)
    return made.Sequence(rule.sequence.within_ns, rule.sequence.ordered, tuple(steps))


def _all_of(parts: list[Node]) -> Node | None:
    return all_of(parts) if parts else None


def _with_kept(sequence: made.Sequence, pen: _Pen) -> made.Sequence:
    """Each step keeps just the fields that somebody reads of it later."""
    wanted: dict[str, dict[str, Node]] = {step.name: {} for step in sequence.steps}
    last = sequence.steps[-1].name
    for step in sequence.steps:
        for part in step.joined:
            wanted[step.name].update(field_reads(part))
            for name, path, node in step_reads(part):
                wanted[name][path] = node
    for checked in pen.final:
        wanted[last].update(field_reads(checked.tree))
        for name, path, node in step_reads(checked.tree):
            wanted[name][path] = node
    return msgspec.structs.replace(
        sequence, steps=tuple(msgspec.structs.replace(step, keep=tuple(sorted(wanted[step.name].items()))) for step in sequence.steps)
    )
