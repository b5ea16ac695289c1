"""Objects that must be accepted and refused, by sentence: one table for the models and for the CRDs."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

NAMES = [f"rule-{number}" for number in range(200)]


def a_rule(**fields: Any) -> dict[str, Any]:
    """A rule that is right, with these fields changed; None leaves one out."""
    rule = {"name": "exec-in-pod", "on": ["audit.request"], "when": 'audit.verb == "create"', "severity": "P2"} | fields
    return {name: value for name, value in rule.items() if value is not None}


def a_policy(*rules: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "watchkeeper.dev/v1alpha1",
        "kind": "RuntimePolicy",
        "metadata": {"name": "k8s-pod-exec", "namespace": "watchkeeper"},
        "spec": {"title": "Command run in a pod", "rules": list(rules) or [a_rule()]} | spec,
    }


def an_exception(**spec: Any) -> dict[str, Any]:
    fields = {"policy": "k8s-pod-exec", "when": "true", "reason": "the backup runs commands in pods", "owner": "storage team"} | spec
    return {
        "apiVersion": "watchkeeper.dev/v1alpha1",
        "kind": "PolicyException",
        "metadata": {"name": "backup"},
        "spec": {name: value for name, value in fields.items() if value is not None},
    }


def a_list(*values: Any, name: str = "mining-pools") -> dict[str, Any]:
    return {"apiVersion": "watchkeeper.dev/v1alpha1", "kind": "PolicyList", "metadata": {"name": name}, "spec": {"values": list(values)}}


def a_step(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "on": ["audit.request"], "when": "true", "by": ["identity.id"]} | fields


def a_sequence(*steps: dict[str, Any], **fields: Any) -> dict[str, Any]:
    sequence = {"within": "10m", "steps": list(steps) or [a_step("read"), a_step("call")]} | fields
    return a_rule(on=None, when=None, sequence=sequence)


def renamed(thing: dict[str, Any], name: str) -> dict[str, Any]:
    thing = deepcopy(thing)
    thing["metadata"]["name"] = name
    return thing


FULL_RULE = a_rule(
    id="5f0c1a2e-7d2b-4f9e-9a1c-0d1e2f3a4b5c",
    title="Command in a pod",
    unless=[{"name": "node-agents", "when": "identity.id in lists.agents"}],
    threshold={"count": 20, "within": "5m", "by": ["identity.id"], "distinct": "audit.objectRef.resource"},
    suppress={"by": ["identity.id"], "for": "1h"},
    confidence="high",
    attack=["T1609", "T1550.001"],
    message="{identity.id} ran {{it}} in {audit.objectRef.namespace}/{audit.objectRef.name}",
    requires=["audit level Metadata"],
    blindSpots=["kubelet API"],
    runbook="Look.\n",
)
FULL_SPEC = {
    "description": "What and why.",
    "status": "experimental",
    "enabled": False,
    "mode": "Enforce",
    "scope": {
        "namespaces": {"include": ["team-*"], "exclude": ["kube-system"]},
        "podSelector": {"matchLabels": {"app": "web", "empty": ""}, "matchExpressions": [{"key": "tier", "operator": "In", "values": ["a", "b"]}]},
        "nodeSelector": {"matchExpressions": [{"key": "gpu", "operator": "Exists"}]},
    },
    "tags": ["kubernetes"],
    "authors": ["Watchkeeper"],
    "license": "Apache-2.0",
    "references": ["https://attack.mitre.org/techniques/T1609/"],
    "runbook": "What it means.",
    "blindSpots": ["Audit level below Metadata for pods/exec"],
    "requires": ["audit level Metadata for pods/exec"],
    "exceptions": "Namespaces",
    "respond": [
        {"when": 'severity == "P1"', "action": "IsolatePod", "target": "process.pod", "approval": "Auto", "ttl": "1h", "onExpiry": "Undo", "cooldown": "10m"}
    ],
}

ACCEPTED: dict[str, dict[str, Any]] = {
    "a policy with one rule and what it needs": a_policy(),
    "a policy that says everything": a_policy(FULL_RULE, **FULL_SPEC),
    "a rule that fires on what is new": a_policy(a_rule(firstSeen={"of": ["origin.ip"], "per": ["identity.id"], "learn": "14d"})),
    "a sequence with its conditions in its steps": a_policy(a_sequence()),
    "a sequence in any order": a_policy(a_sequence(ordered=False)),
    "a rule that kills": a_policy(a_rule(kill=True)),
    "a sequence that says it does not kill": a_policy(a_sequence() | {"kill": False}),
    "as many rules as a policy may have": a_policy(*(a_rule(name=name) for name in NAMES[:128])),
    "two rules with other names": a_policy(a_rule(), a_rule(name="attach-to-pod")),
    "a name of 63 characters": renamed(a_policy(), "a" * 63),
    "a condition of 4,096 characters": a_policy(a_rule(when="a" * 4096)),
    "a condition of two lines": a_policy(a_rule(when="a ||\nb\n")),
    "a respond entry that names a step": a_policy(respond=[{"when": "true", "action": "IsolatePod", "target": "read"}]),
    "a message that is only text": a_policy(a_rule(message="it happened")),
    "a message of doubled braces": a_policy(a_rule(message="{{{audit.verb}}}")),
    "an object with a status": a_policy()
    | {
        "status": {
            "observedGeneration": 3,
            "conditions": [
                {
                    "type": "Accepted",
                    "status": "True",
                    "reason": "Compiled",
                    "message": "",
                    "lastTransitionTime": "2026-11-25T00:00:00Z",
                    "observedGeneration": 3,
                }
            ],
        }
    },
    "an exception that holds back what matches": an_exception(rules=["exec-in-pod"], until="2026-12-31T00:00:00Z"),
    "an exception that changes settings": an_exception(when=None, override={"enabled": True, "severity": "P3", "mode": "Detect", "threshold": {"count": 50}}),
    "an exception that switches off": an_exception(when=None, override={"enabled": False}),
    "a list of values": a_list("pool.example", "other.example"),
    "a list without values": a_list(),
    "a value of one vertical tab, which is no space to the API server": a_list("\v"),
    "a list whose name has dashes and digits": a_list("x", name="node-agents-v2"),
    "a list whose name has a dash after one letter": a_list("x", name="x-y"),
}

# What is refused, and words of the reason that the model gives.
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown field, near a known one": (a_policy(a_rule(sverity="P1")), "sverity: unknown field (did you mean 'severity'?)"),
    "an unknown field of the spec": (a_policy(blindspots=["x"]), "did you mean 'blindSpots'?"),
    "a field by its Python name": (a_policy(a_rule(first_seen={"of": ["x"]})), "did you mean 'firstSeen'?"),
    "a severity that is none": (a_policy(a_rule(severity="P0")), "'P0' is not one of P1, P2, P3, P4"),
    "a mode in another case": (a_policy(mode="detect"), "did you mean 'Detect'?"),
    "a rule without severity": (a_policy(a_rule(severity=None)), "severity: is required"),
    "a policy without rules": (a_policy(rules=[]), "has 0 entries, fewer than the 1 needed"),
    "a policy with more rules than it may have": (a_policy(*(a_rule(name=name) for name in NAMES[:129])), "has 129 entries, more than the 128 allowed"),
    "two rules of one name": (a_policy(a_rule(), a_rule()), "name must be unique"),
    "two cases of one name": (a_policy(a_rule(unless=[{"name": "a", "when": "x"}, {"name": "a", "when": "y"}])), "name must be unique"),
    "the same kind twice": (a_policy(a_rule(on=["audit.request", "audit.request"])), "value must be unique"),
    "the same technique twice": (a_policy(a_rule(attack=["T1609", "T1609"])), "value must be unique"),
    "a rule without a condition": (a_policy(a_rule(when=None)), "needs on (event kinds) and when"),
    "a rule without event kinds": (a_policy(a_rule(on=None)), "needs on (event kinds) and when"),
    "a rule with an empty list of kinds": (a_policy(a_rule(on=[])), "fewer than the 1 needed"),
    "a sequence with a condition beside it": (a_policy(a_sequence() | {"when": "true"}), "in each of its steps"),
    "a threshold and a sequence in one rule": (
        a_policy(a_sequence() | {"threshold": {"count": 2, "within": "5m"}}),
        "at most one of threshold, sequence and firstSeen",
    ),
    "a threshold and a first-seen in one rule": (
        a_policy(a_rule(threshold={"count": 2, "within": "5m"}, firstSeen={"of": ["x"]})),
        "at most one of threshold, sequence and firstSeen",
    ),
    "kill with a threshold": (a_policy(a_rule(kill=True, threshold={"count": 2, "within": "5m"})), "kill is decided in the kernel"),
    "kill with a sequence": (a_policy(a_sequence() | {"kill": True}), "kill is decided in the kernel"),
    "kill as a word": (a_policy(a_rule(kill="yes")), "is neither true nor false"),
    "a sequence of one step": (a_policy(a_sequence(a_step("read"))), "has 1 entries, fewer than the 2 needed"),
    "a sequence of nine steps": (a_policy(a_sequence(*(a_step(f"s{number}") for number in range(9)))), "more than the 8 allowed"),
    "two steps of one name": (a_policy(a_sequence(a_step("read"), a_step("read"))), "name must be unique"),
    "a step that joins by another number of values": (a_policy(a_sequence(a_step("a"), a_step("b", by=["x", "y"]))), "joined by as many values"),
    "a step that joins by nothing": (a_policy(a_sequence(a_step("a", by=[]), a_step("b", by=[]))), "fewer than the 1 needed"),
    "a step whose name can't be read in CEL": (a_policy(a_sequence(a_step("read-token"), a_step("call"))), "is not a step's name"),
    "a threshold of nothing": (a_policy(a_rule(threshold={"count": 0, "within": "5m"})), "0 is less than 1"),
    "a threshold without a window": (a_policy(a_rule(threshold={"count": 5})), "within: is required"),
    "a count that is text": (a_policy(a_rule(threshold={"count": "5", "within": "5m"})), "'5' is not a whole number"),
    "a count that is true": (a_policy(a_rule(threshold={"count": True, "within": "5m"})), "is not a whole number"),
    "a duration in words": (a_policy(a_rule(threshold={"count": 5, "within": "5 minutes"})), "is not a duration such as 30s"),
    "a duration of nothing": (a_policy(a_rule(suppress={"for": "0s"})), "is not a duration"),
    "a duration of two units": (a_policy(a_rule(suppress={"for": "1h30m"})), "is not a duration"),
    "a duration that is a number": (a_policy(a_rule(suppress={"for": 60})), "60 is not text (put it in quotes)"),
    "a first-seen of nothing": (a_policy(a_rule(firstSeen={"of": []})), "fewer than the 1 needed"),
    "an event kind that is a list": (a_policy(a_rule(on=[["audit.request"]])), "is not text"),
    "an event kind that is no kind's name": (a_policy(a_rule(on=["Audit"])), "is not an event kind such as audit.request"),
    "event kinds that are no list": (a_policy(a_rule(on="audit.request")), "is not a list"),
    "a technique of another matrix": (a_policy(a_rule(attack=["TA0002"])), "is not an ATT&CK technique id"),
    "a condition of 4,097 characters": (a_policy(a_rule(when="a" * 4097)), "has 4097 characters, more than the 4096 allowed"),
    "an empty condition": (a_policy(a_rule(when="")), "is empty"),
    "a condition of spaces": (a_policy(a_rule(when=" \n")), "is empty"),
    "a message with a brace that stays open": (a_policy(a_rule(message="{identity.id")), "is not a message"),
    "a message with a brace that was never open": (a_policy(a_rule(message="identity.id}")), "is not a message"),
    "a message with an expression": (a_policy(a_rule(message="{size(audit.verb)}")), "is not a message"),
    "a message with empty braces": (a_policy(a_rule(message="a {} b")), "is not a message"),
    "a name in capitals": (renamed(a_policy(), "K8sPodExec"), "is not a name of lower-case letters"),
    "a name of 64 characters": (renamed(a_policy(), "a" * 64), "has 64 characters, more than the 63 allowed"),
    "a name with a dot": (renamed(a_policy(), "a.b"), "is not a name of lower-case letters"),
    "a reference that is no address": (a_policy(references=["see the wiki"]), "is not a web address"),
    "a respond entry without a target": (a_policy(respond=[{"when": "true", "action": "IsolatePod"}]), "target: is required"),
    "a respond entry with another root": (a_policy(respond=[{"when": "true", "action": "IsolatePod", "target": "process.node"}]), "is not a target"),
    "a selector that gives values with Exists": (
        a_policy(scope={"podSelector": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}}),
        "values are given with operator In and NotIn",
    ),
    "a selector that gives no values with In": (
        a_policy(scope={"podSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}),
        "values are given with operator In and NotIn",
    ),
    "a label that can't be": (a_policy(scope={"podSelector": {"matchLabels": {"a": "b c"}}}), "'b c' is not a label's value"),
    "a label's key that can't be": (a_policy(scope={"podSelector": {"matchExpressions": [{"key": "/a", "operator": "Exists"}]}}), "'/a' is not a label's key"),
    "a label that is a number": (a_policy(scope={"podSelector": {"matchLabels": {"a": 1}}}), "1 is not text"),
    "a scope that is a list": (a_policy(scope=["a"]), "a list is not a mapping"),
    "a field without a value": (a_policy(runbook=None), "runbook: has no value"),
    "a list entry without a value": (a_policy(tags=["a", None]), "tags[1]: has no value"),
    "an exception with both a condition and settings": (an_exception(override={"enabled": False}), "exactly one of when"),
    "an exception with neither": (an_exception(when=None), "exactly one of when"),
    "an exception without a reason": (an_exception(reason=None), "reason: is required"),
    "an exception without an owner": (an_exception(owner=None), "owner: is required"),
    "an exception that changes nothing": (an_exception(when=None, override={}), "override needs at least one"),
    "an exception with an empty threshold": (an_exception(when=None, override={"threshold": {}}), "threshold needs count, within or both"),
    "an exception until a day": (an_exception(until="2026-12-31"), "is not a time in UTC such as"),
    "an exception until a time elsewhere": (an_exception(until="2026-12-31T00:00:00+01:00"), "is not a time in UTC such as"),
    "an exception until long ago": (an_exception(until="1999-12-31T23:59:59Z"), "until lies before the year 2000"),
    "an exception until a list": (an_exception(until=["2026-12-31T00:00:00Z"]), "a list is not text"),
    "a value twice in a list": (a_list("a", "b", "a"), "'a' was there before"),
    "a list value that is a number": (a_list("a", 1), "1 is not text"),
    "a list of more values than it may have": (a_list(*(str(number) for number in range(4097))), "has 4097 entries"),
    "a list whose name begins with a digit": (a_list("x", name="9lives"), "is not a list's name"),
}
