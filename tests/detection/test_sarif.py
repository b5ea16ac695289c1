import json
import re

import msgspec
import pytest

from watchkeeper_detection.detection import Detection, Place
from watchkeeper_detection.sarif import sarif_log, uri_of

EXEC = Detection(
    id="5c1f0e",
    kind="audit.request",
    observed_at=1_763_892_000_000_000_000,
    policy="k8s-pod-exec",
    rule="exec-in-pod",
    title="Command run in a pod through the API",
    severity="P2",
    confidence="high",
    attack=("T1609",),
    message="jane ran sh in payments/api-0",
    source="k8s-audit",
    places=(Place("logs/audit.log", 41, 9000),),
    event_ids=("k8s-audit:logs/audit.log:41",),
    actor="jane",
    runbook="Ask jane.",
)
LATER_EXEC = msgspec.structs.replace(EXEC, id="5c1f0f", places=(Place("logs/audit.log", 57, 12000),))
STOPPED = msgspec.structs.replace(
    EXEC, id="77aa", policy="trail-stopped", rule="stop", title="Trail stopped", severity="P4", runbook="", attack=("T1685.002", "T1562.008"), message=""
)


def run_of(*detections):
    log = json.loads(json.dumps(sarif_log(detections, "0.1.0")))
    (run,) = log["runs"]
    return run


def test_the_log_names_its_version_and_schema():
    log = sarif_log((), "0.1.0")
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-schema-2.1.0.json")
    assert set(log) == {"$schema", "version", "runs"}


def test_no_detection_gives_a_run_without_results():
    run = run_of()
    assert run["results"] == []
    assert run["tool"]["driver"] == {"name": "Watchkeeper", "version": "0.1.0", "rules": []}


def test_each_rule_is_listed_once_and_results_point_at_it():
    run = run_of(EXEC, STOPPED, LATER_EXEC)
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["k8s-pod-exec/exec-in-pod", "trail-stopped/stop"]
    assert [result["ruleIndex"] for result in run["results"]] == [0, 1, 0]
    assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in run["results"])


def test_a_rule_has_title_help_and_techniques():
    (rule,) = run_of(EXEC)["tool"]["driver"]["rules"]
    assert rule["shortDescription"] == {"text": "Command run in a pod through the API"}
    assert rule["help"] == {"text": "Ask jane."}
    assert rule["helpUri"] == "https://attack.mitre.org/techniques/T1609/"
    assert rule["properties"]["tags"] == ["security", "external/attack/T1609"]


def test_a_rule_without_a_runbook_has_its_title_as_help():
    (rule,) = run_of(STOPPED)["tool"]["driver"]["rules"]
    assert rule["help"] == {"text": "Trail stopped"}
    assert rule["properties"]["tags"] == ["security", "external/attack/T1685.002"]


def test_a_result_says_what_where_and_how_serious():
    (result,) = run_of(EXEC)["results"]
    assert result["message"] == {"text": "jane ran sh in payments/api-0"}
    assert result["level"] == "error"
    assert result["locations"] == [{"physicalLocation": {"artifactLocation": {"uri": "logs/audit.log"}, "region": {"startLine": 41}}}]
    assert result["partialFingerprints"] == {"detectionId/v1": "5c1f0e"}


def test_a_result_is_never_without_words():
    (result,) = run_of(STOPPED)["results"]
    assert result["message"] == {"text": "Trail stopped"}


@pytest.mark.parametrize(("severity", "level"), {"P1": "error", "P2": "error", "P3": "warning", "P4": "note"}.items())
def test_the_level_follows_the_severity(severity, level):
    (result,) = run_of(msgspec.structs.replace(EXEC, severity=severity))["results"]
    assert result["level"] == level


def test_the_last_event_is_the_place_and_earlier_ones_are_related():
    places = tuple(Place("logs/audit.log", number, -1) for number in (3, 5, 8))
    (result,) = run_of(msgspec.structs.replace(EXEC, places=places, count=3))["results"]
    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": 8}
    assert [(place["id"], place["physicalLocation"]["region"]["startLine"]) for place in result["relatedLocations"]] == [(1, 3), (2, 5)]
    assert result["occurrenceCount"] == 3


@pytest.mark.parametrize(
    ("stream", "uri"),
    {
        "a relative path stays": ("logs/audit.log", "logs/audit.log"),
        "an absolute path becomes a file URI": ("/var/log/audit.log", "file:///var/log/audit.log"),
        "blanks and letters beyond ASCII are encoded": ("my logs/ä.log", "my%20logs/%C3%A4.log"),
        "what would begin a query, fragment or scheme is encoded": ("a?b#c:d", "a%3Fb%23c%3Ad"),
        "bytes that are no UTF-8 are encoded as they are": ("a\udcff", "a%FF"),
        "a URI stays one": ("s3://bucket/AWSLogs/1.json.gz", "s3://bucket/AWSLogs/1.json.gz"),
    }.values(),
)
def test_a_stream_becomes_a_uri_reference(stream, uri):
    assert uri_of(stream) == uri
    assert re.fullmatch(r"[A-Za-z0-9._~:/%-]*", uri)


def test_ids_are_the_same_in_every_run():
    assert sarif_log((EXEC,), "0.1.0") == sarif_log((EXEC,), "0.1.0")
