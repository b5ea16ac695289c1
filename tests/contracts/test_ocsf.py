"""The OCSF output validates against the published class Detection Finding, and says there what the detection says."""

import json
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from watchkeeper_detection.attack import TECHNIQUES, with_v18
from watchkeeper_detection.detection import Detection, Entity, Place
from watchkeeper_detection.ocsf import CLASS_UID, SCHEMA_VERSION, detection_finding

PUBLISHED = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=SCHEMA_VERSION))
VALIDATOR = Draft202012Validator(PUBLISHED.get_class_schema(class_name=PUBLISHED.lookup_class_name_from_uid(CLASS_UID), profiles=[]))

FULL = Detection(
    id="5c1f0e",
    kind="audit.request",
    observed_at=1_763_892_000_123_456_789,
    policy="k8s-pod-exec",
    rule="exec-in-pod",
    title="Command run in a pod through the API",
    severity="P2",
    confidence="high",
    attack=("T1609", *with_v18("T1685.002")),
    message="jane ran sh in payments/api-0",
    source="k8s-audit",
    places=(Place("audit.log", 41, 9000), Place("audit.log", 44, 9900)),
    event_ids=("k8s-audit:audit.log:41", "k8s-audit:audit.log:44"),
    provider_ids=("7d3c", "7d3d"),
    count=2,
    actor="jane",
    identity="jane@example.com",
    target="namespaces/payments/pods/api-0",
    origin="203.0.113.9",
    entities=(Entity("actor", "user", "jane"), Entity("target", "pods", "namespaces/payments/pods/api-0"), Entity("origin", "address", "203.0.113.9")),
    runbook="Ask jane.",
    absent=("audit.objectRef.name",),
    blind_spots=("Audit level below Metadata",),
    revision="a1b2",
)
BARE = Detection(
    id="0",
    kind="log.rejected",
    observed_at=0,
    policy="p",
    rule="r",
    title="t",
    severity="P4",
    confidence="low",
    attack=(),
    message="",
    source="k8s-audit",
    places=(Place("-", 1, -1),),
    event_ids=("e",),
)


@pytest.mark.parametrize("detection", [FULL, BARE], ids=["full", "bare"])
def test_a_detection_validates_against_the_published_class(detection):
    VALIDATOR.validate(json.loads(json.dumps(detection_finding(detection, "0.1.0"))))


def test_the_check_would_notice_a_wrong_object():
    row = detection_finding(FULL, "0.1.0")
    assert not VALIDATOR.is_valid({**row, "severity_id": 7})
    assert not VALIDATOR.is_valid({**row, "policy_name": "k8s-pod-exec"})
    assert not VALIDATOR.is_valid({name: value for name, value in row.items() if name != "finding_info"})


@settings(deadline=None, max_examples=60)
@given(
    st.builds(
        Detection,
        id=st.text(min_size=1),
        kind=st.text(),
        observed_at=st.integers(min_value=-(2**62), max_value=2**62),
        policy=st.text(),
        rule=st.text(),
        title=st.text(),
        severity=st.sampled_from(("P1", "P2", "P3", "P4")),
        confidence=st.sampled_from(("low", "medium", "high")),
        attack=st.lists(st.one_of(st.sampled_from(sorted(TECHNIQUES)), st.text()), max_size=4).map(tuple),
        message=st.text(),
        source=st.text(),
        places=st.lists(st.builds(Place, st.text(), st.integers(1, 2**40), st.integers(-1, 2**50)), min_size=1, max_size=3).map(tuple),
        event_ids=st.lists(st.text(min_size=1), min_size=1, max_size=3).map(tuple),
        count=st.integers(1, 10**9),
        actor=st.none() | st.text(),
        identity=st.none() | st.text(),
        target=st.none() | st.text(),
        origin=st.none() | st.text() | st.ip_addresses().map(str),
        entities=st.lists(
            st.builds(Entity, st.sampled_from(("actor", "target", "origin")), st.sampled_from(("user", "address", "pods")), st.text(min_size=1)), max_size=4
        ).map(tuple),
        runbook=st.text(),
    )
)
def test_whatever_a_detection_holds_the_event_stays_valid(detection):
    VALIDATOR.validate(detection_finding(detection, "0.1.0"))


@pytest.mark.parametrize(("severity", "expected"), {"P1": "Critical", "P2": "High", "P3": "Medium", "P4": "Low"}.items())
def test_severity_keeps_its_rank(severity, expected):
    assert detection_finding(msgspec.structs.replace(FULL, severity=severity), "0.1.0")["severity"] == expected


def test_time_is_in_milliseconds():
    moment = detection_finding(FULL, "0.1.0")["time"]
    assert datetime.fromtimestamp(moment / 1000, tz=UTC).isoformat() == "2025-11-23T10:00:00.123000+00:00"


def test_techniques_are_given_for_both_versions_of_the_matrix():
    attacks = detection_finding(FULL, "0.1.0")["finding_info"]["attacks"]
    assert [(row["version"], row["technique"]["uid"], row.get("sub_technique", {}).get("uid"), row.get("tactic", {}).get("uid")) for row in attacks] == [
        ("19", "T1609", None, "TA0002"),
        ("19", "T1685", "T1685.002", "TA0112"),
        ("18", "T1562", "T1562.008", None),
    ]


def test_it_says_who_did_it_from_where_to_what():
    row = detection_finding(FULL, "0.1.0")
    assert row["evidences"] == [{"actor": {"user": {"name": "jane", "uid": "jane@example.com"}}, "src_endpoint": {"ip": "203.0.113.9"}}]
    assert row["resources"][0]["uid"] == "namespaces/payments/pods/api-0"
    assert {observable["value"] for observable in row["observables"]} == {"jane", "namespaces/payments/pods/api-0", "203.0.113.9"}


def test_an_origin_that_is_no_address_is_a_name():
    row = detection_finding(msgspec.structs.replace(FULL, origin="cloudformation.amazonaws.com"), "0.1.0")
    assert row["evidences"][0]["src_endpoint"] == {"name": "cloudformation.amazonaws.com"}


def test_what_was_missing_and_where_it_stands_is_kept():
    unmapped = detection_finding(FULL, "0.1.0")["unmapped"]
    assert unmapped["absent"] == ["audit.objectRef.name"]
    assert unmapped["blind_spots"] == ["Audit level below Metadata"]
    assert unmapped["places"][1] == {"stream": "audit.log", "number": 44, "offset": 9900}


def test_the_runbook_is_the_remedy():
    assert detection_finding(FULL, "0.1.0")["remediation"] == {"desc": "Ask jane."}
