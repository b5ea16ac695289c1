"""Our kinds on a real API server: what it accepts and refuses is what the models do, and what a user sees of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError
from tests.support import cluster_objects, policy_objects
from tests.support.admission import OPERATOR
from tests.support.api_client import ApiClient
from tests.support.cluster_objects import FULL_STATUSES, a_log_source, a_node_sensor, a_sensor, an_action, an_approval, an_incident, fenced
from tests.support.policy_objects import a_list, a_policy, an_exception

from watchkeeper_operator.resources.kinds import KINDS

MODELS = {kind.name: kind.model for kind in KINDS}
ACCEPTED = policy_objects.ACCEPTED | cluster_objects.ACCEPTED
NULL = "a field without a value"  # the API server takes it for one that was left out
REFUSED = {sentence: (written, "") for sentence, (written, _) in policy_objects.REFUSED.items() if sentence != NULL} | cluster_objects.REFUSED


def refused_by_model(written):
    try:
        MODELS[written["kind"]].model_validate(written)
    except ValidationError:
        return True
    return False


def author(written):
    """Who may make it."""
    return OPERATOR if written["kind"] in ("Incident", "NodeSensor") else ""


def made_by_its_author(client, written, **options):
    return client.create(fenced(written) if author(written) else written, user=author(written), **options)


def test_every_kind_is_established(guarded_server):
    words = "{range .items[*]}{.spec.names.kind} {.status.conditions[?(@.type=='Established')].status}{'\\n'}{end}"
    listed = guarded_server.kubectl("get", "crd", "-o", f"jsonpath={words}")
    assert set(listed.splitlines()) == {f"{name} True" for name in MODELS}


@pytest.mark.parametrize("sentence", ACCEPTED)
def test_accepts(guarded, sentence):
    assert not refused_by_model(ACCEPTED[sentence])
    answer = made_by_its_author(guarded, ACCEPTED[sentence])
    assert answer.taken, answer.message


@pytest.mark.parametrize("sentence", REFUSED)
def test_refuses(guarded, sentence):
    written, words = REFUSED[sentence]
    answer = made_by_its_author(guarded, written)
    assert not answer.taken
    assert not answer.refused_by_policy
    assert words in answer.message
    assert refused_by_model(written)


def test_a_field_without_a_value_is_stored_as_one_that_was_left_out(guarded):
    answer = guarded.create(policy_objects.REFUSED[NULL][0])
    assert answer.taken
    assert "runbook" not in answer.object["spec"]


LIBRARY = Path(__file__).parents[2] / "policies/library"


def test_every_object_of_the_shipped_library_is_taken(guarded):
    objects = [written for path in LIBRARY.rglob("*.yaml") for written in yaml.safe_load_all(path.read_text(encoding="utf-8"))]
    refused = {written["metadata"]["name"]: answer.message for written in objects if not (answer := guarded.create(written)).taken}
    assert refused == {}
    assert len(objects) > 150


ONE_OF_EACH = {
    written["kind"]: written
    for written in (a_policy(), an_exception(), a_list("a"), a_sensor(), a_node_sensor(), a_log_source(), an_incident(), an_action(), an_approval())
}


@pytest.fixture(scope="module")
def stored(guarded_server):
    """One object of each kind, by kind, with the fullest status."""
    found = {}
    with ApiClient(guarded_server) as client:
        for kind, written in ONE_OF_EACH.items():
            made = made_by_its_author(client, policy_objects.renamed(written, "stored"), dry_run=False)
            assert made.taken, made.message
            answer = client.merge(made.object, {"status": FULL_STATUSES[kind]}, subresource="status", user=OPERATOR, dry_run=False)
            assert answer.taken, answer.message
            found[kind] = answer.object
    return found


@pytest.mark.parametrize("kind", MODELS)
def test_a_status_that_says_everything_is_kept_whole(stored, kind):
    model = MODELS[kind].model_validate(stored[kind])
    assert stored[kind]["status"] == FULL_STATUSES[kind]
    assert model.status.model_dump(by_alias=True, exclude_unset=True, mode="json") == FULL_STATUSES[kind]


@pytest.mark.parametrize("kind", ["ResponseAction", "ResponseApproval"])
def test_a_spec_can_not_be_changed(guarded, stored, kind):
    answer = guarded.merge(stored[kind], {"spec": {"reason": "another"}})
    assert not answer.taken
    assert "spec can't be changed: make another object" in answer.message
    assert guarded.merge(stored[kind], {"metadata": {"labels": {"team": "a"}}}).taken


def test_a_source_stays_of_its_type(guarded, stored):
    answer = guarded.merge(stored["LogSource"], {"spec": {"type": "AuditFile", "auditFile": {"paths": ["/audit.log"]}}})
    assert "type can't be changed: make another LogSource" in answer.message


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_objects_are_found_by_their_selectable_fields(guarded_server, stored, kind):
    where = ["-n", "watchkeeper"] if kind.namespaced else []
    for path in kind.selectable:
        value = stored[kind.name]
        for word in path.split(".")[1:]:
            value = value.get(word) if isinstance(value, dict) else None
        shown = "" if value is None else str(value).lower() if isinstance(value, bool) else value
        found = guarded_server.kubectl("get", kind.plural, *where, "--field-selector", f"{path[1:]}={shown}", "-o", "name")
        assert f"{kind.name.lower()}.watchkeeper.dev/stored" in found.split()
        assert "/stored" not in guarded_server.kubectl("get", kind.plural, *where, "--field-selector", f"{path[1:]}=other-{shown}", "-o", "name")


def shown_as_table(server, kind, *words):
    where = ["-n", "watchkeeper"] if kind.namespaced else []
    headings, *lines = server.kubectl("get", kind.short, *where, "stored", *words).splitlines()
    starts = [headings.index(column) for column in split_columns(headings)]
    cells = [lines[0][start:end].strip() for start, end in zip(starts, [*starts[1:], None], strict=True)]
    return dict(zip(split_columns(headings), cells, strict=True))


def split_columns(headings):
    return [part.strip() for part in headings.split("  ") if part.strip()]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.usefixtures("stored")
def test_kubectl_get_shows_the_columns(guarded_server, kind):
    table = shown_as_table(guarded_server, kind, "-o", "wide")
    assert list(table)[1:] == [column.name.upper() for column in kind.columns]
    assert table["AGE"].endswith("s")
    assert [column.upper() for column in list(shown_as_table(guarded_server, kind))[1:]] == [c.name.upper() for c in kind.columns if not c.wide]


@pytest.mark.usefixtures("stored")
def test_kubectl_get_shows_an_incident_as_a_person_reads_it(guarded_server):
    table = shown_as_table(guarded_server, next(kind for kind in KINDS if kind.name == "Incident"))
    assert {name: table[name] for name in ("SEVERITY", "TITLE", "DETECTIONS")} == {"SEVERITY": "P1", "TITLE": "Shell in a pod", "DETECTIONS": "3"}


@pytest.mark.usefixtures("stored")
def test_one_category_is_all_kinds(guarded_server):
    found = guarded_server.kubectl("get", "watchkeeper", "-A", "-o", "name").split()
    assert {name.split(".")[0] for name in found} >= {kind.lower() for kind in MODELS}


def test_defaults_are_the_schema_s(stored):
    assert stored["ResponseAction"]["spec"] == an_action()["spec"] | {
        "approval": "Required",
        "attempt": 1,
        "dryRunOnly": False,
        "onExpiry": "Renew",
        "ttl": "1h",
        "ttlSecondsAfterFinished": 604_800,
    }
