"""How Argo CD judges our kinds: each script is run by a real interpreter of the version and with the libraries that Argo CD gives it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from lupa.lua51 import LuaRuntime
from tests.support.cluster_objects import FULL_STATUSES

from watchkeeper_operator.resources.conditions import TYPES, Reason, Type

HEALTH = Path(__file__).parents[2] / "manifests" / "argocd" / "health"
KINDS = tuple(TYPES)
STATUSES = {"Healthy", "Progressing", "Degraded", "Suspended"}  # that a script may give
WITHHELD = (
    "string",
    "math",
    "io",
    "debug",
    "dofile",
    "loadfile",
    "load",
    "loadstring",
    "coroutine",
    "require",
    "module",
    "package",
    "python",
)  # Argo CD opens table, and little of the base


def a_condition(type_, status="True", reason="", message="", generation=3):
    return {"type": type_, "status": status, "reason": reason, "message": message, "observedGeneration": generation}


def an_object(kind, *conditions, generation=3, **status):
    whole = {"conditions": list(conditions), **status} if conditions or status else {}
    return {"apiVersion": "watchkeeper.dev/v1alpha1", "kind": kind, "metadata": {"name": "one", "generation": generation}, "status": whole}


def health(kind, written):
    """(status, message) that the script gives."""
    lua = LuaRuntime(unpack_returned_tuples=True)
    for name in WITHHELD:
        lua.globals()[name] = None
    lua.globals()["obj"] = lua.table_from(written, recursive=True)
    found = lua.execute((HEALTH / f"{kind}.lua").read_text())
    return found["status"], found["message"]


ACCEPTED, REFUSED = a_condition("Accepted", reason="Compiled"), a_condition("Accepted", "False", "Invalid", "rules[0].when: no such field")
LAST_GOOD = a_condition("InForce", "False", "LastGood")
NOT_ALL = {"total": 3, "inForce": 2, "failing": [{"node": "node-1", "reason": "it has an older revision"}]}

JUDGED = {
    # policies
    "a policy on all nodes": (an_object("RuntimePolicy", ACCEPTED, a_condition("InForce", reason="OnAllNodes")), "Healthy", "OnAllNodes"),
    "a policy that the operator judges alone": (an_object("RuntimePolicy", ACCEPTED, a_condition("InForce", reason="InOperator")), "Healthy", "InOperator"),
    "a policy that was refused": (an_object("RuntimePolicy", REFUSED, LAST_GOOD), "Degraded", "no such field"),
    "a policy that was refused and never accepted": (
        an_object("RuntimePolicy", REFUSED, a_condition("InForce", "False", "NotAccepted")),
        "Degraded",
        "Invalid",
    ),
    "a policy over its namespace's quota": (an_object("RuntimePolicy", a_condition("Accepted", "False", "OverQuota")), "Degraded", "OverQuota"),
    "a policy that some nodes do not hold": (
        an_object("RuntimePolicy", ACCEPTED, a_condition("InForce", "False", "OnSomeNodes"), nodes=NOT_ALL),
        "Progressing",
        "it has an older revision",
    ),
    "a policy that no node holds yet": (an_object("RuntimePolicy", ACCEPTED, a_condition("InForce", "False", "OnNoNode")), "Progressing", "OnNoNode"),
    "a policy that Git switches off": (an_object("RuntimePolicy", ACCEPTED, a_condition("InForce", "False", "Disabled")), "Healthy", "Disabled"),
    "a policy of which only the former revision was judged": (
        an_object("RuntimePolicy", {**REFUSED, "observedGeneration": 2}, a_condition("InForce", reason="OnAllNodes", generation=2)),
        "Progressing",
        "not judged",
    ),
    "an exception in force": (an_object("PolicyException", ACCEPTED, a_condition("InForce", reason="OnAllNodes")), "Healthy", "OnAllNodes"),
    "an exception of the past": (an_object("PolicyException", a_condition("Accepted", "False", "Expired")), "Degraded", "Expired"),
    "an exception of no policy": (an_object("PolicyException", a_condition("Accepted", "False", "NoSuchPolicy")), "Degraded", "NoSuchPolicy"),
    "a list": (an_object("PolicyList", a_condition("Accepted", reason="Valid")), "Healthy", "Valid"),
    "a list that was refused": (an_object("PolicyList", a_condition("Accepted", "False", "Invalid")), "Degraded", "Invalid"),
    # sensors
    "a sensor whose nodes all report": (an_object("Sensor", a_condition("Accepted"), a_condition("Ready", reason="AllReporting")), "Healthy", "AllReporting"),
    "a sensor that is being rolled out": (
        an_object("Sensor", a_condition("Accepted"), a_condition("Ready", "False", "RollingOut")),
        "Progressing",
        "RollingOut",
    ),
    "a sensor of no node": (an_object("Sensor", a_condition("Accepted"), a_condition("Ready", "False", "NoNodes")), "Healthy", "NoNodes"),
    "a sensor whose pods start": (
        an_object(
            "Sensor",
            a_condition("Accepted"),
            a_condition("Ready", "False", "SomeNotReporting"),
            nodes={"failing": [{"node": "node-1", "reason": "no sensor was heard"}]},
        ),
        "Progressing",
        "SomeNotReporting",
    ),
    "a sensor with a silent node": (
        an_object(
            "Sensor",
            a_condition("Accepted"),
            a_condition("Ready", "False", "SomeNotReporting"),
            nodes={"failing": [{"node": "node-1", "reason": "no sensor was heard"}, {"node": "node-2", "reason": "silent since 2026-11-25T10:00:00Z"}]},
        ),
        "Degraded",
        "node-2: silent since",
    ),
    "a sensor with a blind node": (
        an_object(
            "Sensor", a_condition("Accepted"), a_condition("Ready", reason="AllReporting"), nodes={"failing": [{"node": "node-1", "reason": "blind: no BTF"}]}
        ),
        "Degraded",
        "no BTF",
    ),
    "a sensor that can't be": (an_object("Sensor", a_condition("Accepted", "False", "Invalid")), "Degraded", "Invalid"),
    "a node that sees all": (
        an_object("NodeSensor", a_condition("Connected", reason="Reporting"), a_condition("InForce"), a_condition("Seeing")),
        "Healthy",
        "Reporting",
    ),
    "a silent node": (
        an_object("NodeSensor", a_condition("Connected", "False", "Silent"), a_condition("InForce"), a_condition("Seeing")),
        "Degraded",
        "Silent",
    ),
    "a blind node": (an_object("NodeSensor", a_condition("Connected"), a_condition("InForce"), a_condition("Seeing", "False", "Blind")), "Degraded", "Blind"),
    "a node that is behind": (
        an_object("NodeSensor", a_condition("Connected"), a_condition("InForce", "False", "Behind"), a_condition("Seeing")),
        "Progressing",
        "Behind",
    ),
    "a node that refuses policies": (
        an_object("NodeSensor", a_condition("Connected"), a_condition("InForce", "False", "Refused"), a_condition("Seeing")),
        "Degraded",
        "Refused",
    ),
    # logs
    "a log that arrives": (
        an_object("LogSource", a_condition("Accepted"), a_condition("Receiving", reason="Arriving"), a_condition("Complete")),
        "Healthy",
        "Arriving",
    ),
    "a log that nobody connected": (
        an_object("LogSource", a_condition("Accepted"), a_condition("Receiving", "False", "NeverSeen"), a_condition("Complete", "Unknown")),
        "Progressing",
        "NeverSeen",
    ),
    "a log that went silent": (an_object("LogSource", a_condition("Accepted"), a_condition("Receiving", "False", "Silent")), "Degraded", "Silent"),
    "a log with gaps": (
        an_object("LogSource", a_condition("Accepted"), a_condition("Receiving", reason="Arriving"), a_condition("Complete", "False", "Gaps")),
        "Degraded",
        "Gaps",
    ),
    "a log under whose policy a rule is blind": (
        an_object(
            "LogSource", a_condition("Accepted"), a_condition("Receiving"), a_condition("Complete"), a_condition("Covered", "False", "BlindRules", "1 rule")
        ),
        "Healthy",
        "BlindRules: 1 rule",
    ),
    # what happened, and what is done about it
    "an incident of the highest severity": (
        an_object("Incident", a_condition("Acknowledged", "False", "NobodyYet"), severity="P1", title="Shell in a pod"),
        "Healthy",
        "P1: Shell in a pod",
    ),
    "an action that waits for a person": (
        an_object("ResponseAction", a_condition("DryRunPassed"), a_condition("Approved", "Unknown")),
        "Suspended",
        "Approved",
    ),
    "an action that was approved": (an_object("ResponseAction", a_condition("Approved")), "Progressing", "Approved"),
    "an action that was done": (an_object("ResponseAction", a_condition("Approved"), a_condition("Succeeded", reason="Verified")), "Healthy", "Verified"),
    "an action that failed": (
        an_object("ResponseAction", a_condition("Approved"), a_condition("Succeeded", "False", "NotObserved")),
        "Degraded",
        "NotObserved",
    ),
    "an action whose effect was not seen": (
        an_object("ResponseAction", a_condition("Approved"), a_condition("Executed"), a_condition("Verified", "False", "NotObserved")),
        "Degraded",
        "NotObserved",
    ),
    "an approval that counts": (an_object("ResponseApproval", a_condition("Counted")), "Healthy", "Counted"),
    "an approval of one's own request": (an_object("ResponseApproval", a_condition("Counted", "False", "OwnRequest")), "Degraded", "OwnRequest"),
}


@pytest.mark.parametrize("name", JUDGED)
def test_health_of(name):
    written, status, words = JUDGED[name]
    found, message = health(written["kind"], written)
    assert (found, words in message) == (status, True), message


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_that_nobody_has_looked_at_is_on_its_way(kind):
    expected = {"Incident": "Healthy", "ResponseAction": "Suspended"}.get(kind, "Progressing")
    for unseen in (an_object(kind), {key: value for key, value in an_object(kind).items() if key != "status"}):
        assert health(kind, unseen)[0] == expected
    said = [a_condition(type_, "Unknown", Reason.NOT_YET_SEEN) for type_ in TYPES[kind]]
    assert health(kind, an_object(kind, *said))[0] == expected


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_a_status_says_there_is_a_word_of_argocds_and_a_message(kind):
    conditions = [(type_, status) for type_ in (*TYPES[kind], Type.EXPIRED) for status in ("True", "False", "Unknown")]
    for type_, status in conditions:
        written = an_object(
            kind, a_condition(type_, status, Reason.NOT_YET_SEEN), **{key: value for key, value in FULL_STATUSES[kind].items() if key != "conditions"}
        )
        found, message = health(kind, written)
        assert found in STATUSES
        assert message


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "Accepted" in TYPES[kind]])
def test_what_is_refused_is_degraded_and_says_why(kind):
    found, message = health(kind, an_object(kind, REFUSED, *(a_condition(type_) for type_ in TYPES[kind] if type_ != Type.ACCEPTED)))
    assert (found, "no such field" in message) == ("Degraded", True)


def test_an_incident_is_never_unhealthy():
    for severity in ("P1", "P4", None):
        for conditions in ([], [a_condition(type_, "False") for type_ in TYPES["Incident"]]):
            assert health("Incident", an_object("Incident", *conditions, **({"severity": severity} if severity else {})))[0] == "Healthy"


def test_every_kind_has_a_script_and_argocd_is_given_each():
    listed = yaml.safe_load((HEALTH / "kustomization.yaml").read_text())["configMapGenerator"][0]["files"]
    assert sorted(listed) == [f"resource.customizations.health.watchkeeper.dev_{kind}={kind}.lua" for kind in sorted(KINDS)]
    assert {path.stem for path in HEALTH.glob("*.lua")} == set(KINDS)
