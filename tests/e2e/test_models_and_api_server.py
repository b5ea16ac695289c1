"""What the models accept the API server accepts under strict field validation, and nothing else: by thousands of objects of every kind, most of them wrong."""

from __future__ import annotations

import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.support import cluster_objects, policy_objects
from tests.support.admission import OPERATOR
from tests.support.changed_objects import as_stored, changed, made_by
from tests.support.cluster_objects import FULL_STATUSES

from watchkeeper_operator.resources.crd import definition
from watchkeeper_operator.resources.kinds import KINDS

EXAMPLES = int(os.environ.get("WATCHKEEPER_EXAMPLES", "250"))  # of each kind and part
KIND = {kind.name: kind for kind in KINDS}
SMALL = 20_000  # characters: larger ones are tables' own
TABLE = {
    name: [
        written
        for written in (policy_objects.ACCEPTED | cluster_objects.ACCEPTED).values()
        if written["kind"] == name and "status" not in written and len(str(written)) < SMALL
    ]
    for name in KIND
}
SCHEMA = {name: definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"] for name, kind in KIND.items()}
seen: Counter[tuple[str, bool]] = Counter()
thorough = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


def accepted_by_model(written):
    try:
        KIND[written["kind"]].model.model_validate(as_stored(written, {"properties": SCHEMA[written["kind"]]}))
    except ValidationError:
        return False
    return True


def agree(by_model, answer, written):
    """An admission policy is asked only when the schema has accepted."""
    by_server = answer.taken or answer.refused_by_policy
    seen[written["kind"], by_server] += 1
    assert by_model == by_server, f"model {by_model}, API server {answer.code} {answer.message}"


def originals(kind):
    return st.sampled_from(TABLE[kind]) | made_by(SCHEMA[kind]["spec"]).map(lambda spec: TABLE[kind][0] | {"spec": spec})


@pytest.mark.parametrize("kind", KIND)
def test_of_a_whole_object(guarded, kind):
    @thorough
    @given(changed(originals(kind), "spec"))
    def of(written):
        agree(accepted_by_model(written), guarded.create(written), written)

    of()


@pytest.mark.parametrize("kind", KIND)
def test_of_a_status(guarded, kind):
    """It is looked at when it is written by itself; beside a new object it is dropped unseen."""
    written = policy_objects.renamed(TABLE[kind][0], "status-of")
    made = guarded.create(cluster_objects.fenced(written), user=OPERATOR if kind in ("Incident", "NodeSensor") else "", dry_run=False)
    assert made.taken, made.message
    statuses = st.just(FULL_STATUSES[kind]) | made_by(SCHEMA[kind]["status"])

    @thorough
    @given(changed(statuses.map(lambda status: made.object | {"status": status}), "status"))
    def of(whole):
        agree(accepted_by_model(whole), guarded.replace(whole, subresource="status", user=OPERATOR), whole)

    of()


def test_both_accepted_and_refused_ones_were_many():
    """So that agreement is no accident of what was made."""
    print({f"{kind} {'accepted' if accepted else 'refused'}": count for (kind, accepted), count in sorted(seen.items())})
    assert not seen or all(seen[kind, accepted] > EXAMPLES / 10 for kind in {kind for kind, _ in seen} for accepted in (True, False))
