"""Objects → what is accepted, why not, and what is in force. No I/O; the time is passed in. What was checked once is not checked again.

An object that is not accepted leaves its last good revision in force. A PolicyList that is gone stays for the policies that read it and were good with it.
"""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from watchkeeper_detection.checking import check_policies
from watchkeeper_detection.policy import ROOT_NAMESPACE, PolicyException, PolicyList, RuntimePolicy
from watchkeeper_detection.program import Program, Rule
from watchkeeper_detection.scoping import Lists, dangling, list_name, not_for_namespaces
from watchkeeper_operator.policy_objects import EXCEPTION, LIST, POLICY, Key, Read, Written, key_of, lists_read, read, told
from watchkeeper_operator.policy_quotas import Taken, TenantLimits, characters_of, cost_of, fields_not_allowed, kinds_not_allowed
from watchkeeper_operator.policy_verdicts import Judged, Verdict
from watchkeeper_operator.resources.conditions import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from watchkeeper_detection.policy import PolicyError
    from watchkeeper_detection.policy_loading import Document

KEPT_CHECKS = 8192
ORDER = {POLICY: 0, EXCEPTION: 1, LIST: 2}


class Refusal(NamedTuple):
    reason: Reason
    message: str


@dataclass(slots=True)
class _Round:
    """One judgement on its way. `retained`: lists that are gone, for what was good with them."""

    now: datetime
    good: Mapping[Key, Written]
    verdicts: dict[Key, Verdict] = field(default_factory=dict)
    lists: dict[Key, Read] = field(default_factory=dict)
    retained: dict[Key, Read] = field(default_factory=dict)
    exceptions: dict[Key, Read] = field(default_factory=dict)
    rules: dict[Key, tuple[Rule, ...]] = field(default_factory=dict)
    taken: dict[str, Taken] = field(default_factory=dict)

    def of(self, namespace: str) -> Taken:
        return self.taken.setdefault(namespace, Taken())


class Judge:
    """Remembers what it read and checked; what it says depends on its arguments alone."""

    def __init__(self, limits: TenantLimits) -> None:
        self._limits = limits
        self._read: dict[tuple[Key, str, int], Read] = {}
        self._checked: dict[object, tuple[tuple[Rule, ...], tuple[PolicyError, ...]]] = {}
        self._number = 0

    def judge(self, objects: Iterable[Written], good: Mapping[Key, Written], now: datetime) -> Judged:
        """`good`: last good revisions; those of an object made anew under the same name (another uid) count for nothing."""
        written = sorted(objects, key=lambda one: (one.created, one.key))  # the oldest have first call on a quota
        current = {one.key: one for one in written}
        good = {key: one for key, one in good.items() if key not in current or current[key].uid == one.uid}
        turn = _Round(now, good)
        reads = [self._reading(one) for one in written]
        turn.retained = {key: self._reading(one) for key, one in good.items() if key.kind == LIST and key not in current}
        policies = [one for one in reads if one.written.key.kind == POLICY]
        for one in reads:
            if one.written.key.kind == LIST:
                self._judge_list(turn, one)
        known = _by_name(policies)
        for one in reads:
            if one.written.key.kind == EXCEPTION:
                self._judge_exception(turn, one, known)
        self._try_exceptions(turn, policies)
        for one in policies:
            self._judge_policy(turn, one)
        return self._made(turn)

    def _reading(self, written: Written) -> Read:
        key = (written.key, *written.revision)
        if key not in self._read:
            _leave_room(self._read)
            self._read[key] = read(written)
        return self._read[key]

    def _judge_list(self, turn: _Round, one: Read) -> None:
        refusal = _invalid(one) or self._over_quota(turn, one.written)
        verdict = Verdict(one.written, True, Reason.VALID, "", one.written) if refusal is None else self._fall_back(turn, one, refusal)
        turn.verdicts[one.written.key] = verdict
        if verdict.in_force is not None:
            turn.lists[one.written.key] = self._reading(verdict.in_force)

    def _judge_exception(self, turn: _Round, one: Read, known: Mapping[tuple[str, str], Any]) -> None:
        """On its own; how its condition fits the policy's rules is seen in `_try_exceptions`."""
        refusal = _invalid(one) or self._exception_refused(turn, one, known)
        if refusal is None or refusal.reason == Reason.NO_SUCH_POLICY:  # for the rules that there are it holds all the same
            over = self._over_quota(turn, one.written)
            verdict = Verdict(one.written, refusal is None, *(refusal or Refusal(Reason.COMPILED, "")), one.written)
            verdict = verdict if over is None else self._fall_back(turn, one, over)
        elif refusal.reason == Reason.EXPIRED:
            verdict = Verdict(one.written, False, *refusal, None)
        else:
            verdict = self._fall_back(turn, one, refusal)
        turn.verdicts[one.written.key] = verdict
        if verdict.in_force is not None:
            turn.exceptions[one.written.key] = self._reading(verdict.in_force)

    def _exception_refused(self, turn: _Round, one: Read, known: Mapping[tuple[str, str], Any]) -> Refusal | None:
        document = cast("Document", one.document)
        exception = cast("PolicyException", document.object)
        pair = [(exception, document.place)]
        if wrong := not_for_namespaces(pair):
            return Refusal(Reason.NOT_ALLOWED, told(wrong))
        if exception.spec.until is not None:
            end = datetime.fromtimestamp(exception.spec.until_ns / 1e9, UTC)
            if end <= turn.now:
                return Refusal(Reason.EXPIRED, f"spec.until: it ended at {exception.spec.until} (delete it, or give it another end)")
            if exception.namespace != ROOT_NAMESPACE and end - turn.now > timedelta(days=self._limits.exception_days):
                return Refusal(Reason.NOT_ALLOWED, f"spec.until: more than {self._limits.exception_days} days away")
        if wrong := dangling(known, pair):
            return Refusal(Reason.NO_SUCH_POLICY, told(wrong))
        return None

    def _try_exceptions(self, turn: _Round, policies: list[Read]) -> None:
        """Conditions that a policy's rules can't be checked with: the last good ones take their place; where these fail as well, none."""
        for _ in range(2):
            wrong: dict[Key, str] = {}
            for policy in policies:
                _, errors = self._check(turn, policy)
                for key in {key_of(error.file) for error in errors}:
                    if key.kind == EXCEPTION:
                        wrong[key] = told(error for error in errors if error.file == key.file)
            for key, message in wrong.items():
                tried, last = turn.exceptions.pop(key).written, turn.good.get(key)
                fallback = last if last is not None and last.revision != tried.revision else None
                if fallback is not None:
                    turn.exceptions[key] = self._reading(fallback)
                written = turn.verdicts[key].written
                said = message if turn.verdicts[key].accepted else turn.verdicts[key].message
                turn.verdicts[key] = Verdict(written, False, Reason.INVALID, _with_last_good(written, said, fallback), fallback)

    def _judge_policy(self, turn: _Round, one: Read) -> None:
        key, last = one.written.key, turn.good.get(one.written.key)
        refusal, rules = self._policy_refused(turn, one, turn.lists)
        if refusal is None:
            turn.verdicts[key] = Verdict(one.written, True, Reason.COMPILED, "", one.written)
        else:
            still, rules = self._policy_refused(turn, self._reading(last), turn.retained | turn.lists) if last else (refusal, ())
            fallback = last if still is None else None
            turn.verdicts[key] = Verdict(one.written, False, refusal.reason, _with_last_good(one.written, refusal.message, fallback), fallback)
        turn.rules[key] = rules

    def _policy_refused(self, turn: _Round, one: Read, lists: Mapping[Key, Read]) -> tuple[Refusal | None, tuple[Rule, ...]]:
        """Why not, or its rules."""
        if one.document is None:
            return _invalid(one), ()
        policy, namespace = cast("RuntimePolicy", one.document.object), one.written.key.namespace
        tenant = namespace != ROOT_NAMESPACE
        if tenant and (wrong := kinds_not_allowed(policy, one.document, self._limits)):
            return Refusal(Reason.NOT_ALLOWED, told(wrong)), ()
        size = {"policies": 1, "rules": len(policy.spec.rules), "characters": characters_of(one.written.spec)}
        if tenant and (over := dataclasses.replace(turn.of(namespace)).refuse(self._limits, **size)):  # before the cost of checking it
            return Refusal(Reason.OVER_QUOTA, over), ()
        rules, errors = self._check(turn, one, lists)
        if mine := [error for error in errors if error.file == one.written.key.file]:
            return Refusal(Reason.INVALID, told(mine)), ()
        if tenant and (wrong := fields_not_allowed(policy, one.document, rules)):
            return Refusal(Reason.NOT_ALLOWED, told(wrong)), ()
        if tenant and (over := turn.of(namespace).refuse(self._limits, **size, cost=cost_of(rules))):
            return Refusal(Reason.OVER_QUOTA, over), ()
        return None, rules

    def _check(self, turn: _Round, one: Read, lists: Mapping[Key, Read] | None = None) -> tuple[tuple[Rule, ...], list[PolicyError]]:
        """Rules of one policy with the exceptions that are for it, and what is wrong with either; a rule is not held up by an exception."""
        if one.document is None:
            return (), []
        exceptions = [each for each in turn.exceptions.values() if _is_for(each, one.written.key)]
        namespaces = {ROOT_NAMESPACE, one.written.key.namespace, *(each.written.key.namespace for each in exceptions)}
        seen = [each for key, each in (turn.lists if lists is None else lists).items() if key.namespace in namespaces]
        rules, errors = self._checked_once(one, exceptions, seen)
        found = [error for error in errors if error.file == one.written.key.file]
        of_exceptions = [error for error in errors if key_of(error.file).kind == EXCEPTION and error.path.startswith("spec.when")]
        if of_exceptions:
            wrong = {error.file for error in of_exceptions}
            rules, _ = self._checked_once(one, [each for each in exceptions if each.written.key.file not in wrong], seen)
        return rules, found + of_exceptions

    def _checked_once(self, one: Read, exceptions: list[Read], lists: list[Read]) -> tuple[tuple[Rule, ...], tuple[PolicyError, ...]]:
        """Values of lists are not read: an edit of one checks nothing anew."""
        names = frozenset(each.written.key for each in lists)
        remembered = one.written.key, one.written.revision, tuple((each.written.key, each.written.revision) for each in exceptions), names
        if remembered not in self._checked:
            _leave_room(self._checked)
            made = check_policies([cast("Document", each.document) for each in (one, *exceptions, *lists)])
            self._checked[remembered] = made.program.rules, made.errors
        return self._checked[remembered]

    def _fall_back(self, turn: _Round, one: Read, refusal: Refusal) -> Verdict:
        """Not accepted: the last good revision, where that is within the quota."""
        last = turn.good.get(one.written.key)
        if last is not None and self._over_quota(turn, last) is not None:
            last = None
        return Verdict(one.written, False, refusal.reason, _with_last_good(one.written, refusal.message, last), last)

    def _over_quota(self, turn: _Round, written: Written) -> Refusal | None:
        """A list or an exception; what is within is taken."""
        if written.key.namespace == ROOT_NAMESPACE:
            return None
        size = characters_of(written.spec)
        more = {"lists": 1, "list_characters": size} if written.key.kind == LIST else {"exceptions": 1, "characters": size}
        over = turn.of(written.key.namespace).refuse(self._limits, **more)
        return Refusal(Reason.OVER_QUOTA, over) if over else None

    def _made(self, turn: _Round) -> Judged:
        self._number += 1
        read_by = lists_read(rule for rules in turn.rules.values() for rule in rules)
        kept = {key: one for key, one in turn.retained.items() if (key.namespace, list_name(key.name)) in read_by}
        lists = Lists()
        for one in (kept | turn.lists).values():
            lists.add(cast("PolicyList", cast("Document", one.document).object))
        for key, verdict in turn.verdicts.items():
            if key.kind == LIST and verdict.accepted:
                count = read_by.get((key.namespace, list_name(key.name)), 0)
                turn.verdicts[key] = dataclasses.replace(verdict, message=f"read by {count} rules" if count else "no rule reads it")
        in_force = [one.in_force for one in turn.verdicts.values() if one.in_force is not None] + [one.written for one in kept.values()]
        in_force.sort(key=lambda one: (ORDER[one.key.kind], one.key))
        digest = hashlib.blake2b(repr([(one.key, one.revision) for one in in_force]).encode(), digest_size=12).hexdigest()
        rules = tuple(rule for key in sorted(turn.rules) for rule in turn.rules[key])
        good = {key: one for key, one in turn.good.items() if key in turn.verdicts} | {one.key: one for one in in_force}
        return Judged(self._number, digest, turn.verdicts, tuple(in_force), Program(rules=rules, lists=lists.values), good)


def _by_name(policies: list[Read]) -> dict[tuple[str, str], tuple[RuntimePolicy, Any]]:
    documents = [one.document for one in policies if one.document is not None]
    return {(each.object.namespace, each.object.name): (each.object, each.place) for each in documents if isinstance(each.object, RuntimePolicy)}


def _is_for(exception: Read, policy: Key) -> bool:
    spec, namespace = cast("PolicyException", cast("Document", exception.document).object).spec, exception.written.key.namespace
    return spec.policy == policy.name and (namespace == policy.namespace or ROOT_NAMESPACE in (namespace, policy.namespace))


def _invalid(one: Read) -> Refusal | None:
    return Refusal(Reason.INVALID, told(one.errors)) if one.document is None else None


def _with_last_good(written: Written, message: str, fallback: Written | None) -> str:
    if fallback is None:
        return message
    what = "lists that are gone stay" if fallback.revision == written.revision else f"generation {fallback.generation} stays"
    return f"{message}\n{what} in force"


def _leave_room(remembered: dict[Any, Any]) -> None:
    while len(remembered) >= KEPT_CHECKS:
        del remembered[next(iter(remembered))]
