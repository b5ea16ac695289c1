"""Recorded grants become events as live ones do."""

from __future__ import annotations

import msgspec
import pytest

from watchkeeper_detection.logs.provider import RecordPlace, RecordRejected
from watchkeeper_detection.logs.rbac import event_of, place_of
from watchkeeper_detection.logs.stream import StreamReader

GRANT = {
    "kind": "rbac.grant",
    "observed_at": "2026-03-12T02:30:00.5Z",
    "id": "rbac:1",
    "rbac": {
        "change": "added",
        "subject_kind": "ServiceAccount",
        "subject_id": "system:serviceaccount:shop:cart",
        "namespace": "shop",
        "binding_kind": "RoleBinding",
        "binding_name": "cart",
        "risks": ["read_secrets"],
    },
}


def changed(kind="rbac.grant", **told):
    return {**GRANT, "kind": kind, "rbac": {**GRANT["rbac"], **told}}


def only_event(record):
    return event_of(record, RecordPlace("watch", 1, 0))


def test_a_line_is_recognised_and_read():
    reader = StreamReader("watch.jsonl", source=None, reads=None)
    (event,) = [*reader.feed(msgspec.json.encode(GRANT) + b"\n"), *reader.close()]
    assert (event.kind, event.source, event.id, event.observed_at) == ("rbac.grant", "rbac", "rbac:1", 1_773_282_600_500_000_000)
    assert event.rbac.risks == ["read_secrets"]


def test_the_identity_is_the_holder_and_the_target_is_the_binding():
    event = only_event(GRANT)
    assert (event.identity.id, event.identity.type) == ("system:serviceaccount:shop:cart", "service_account")
    assert (event.target.id, event.target.namespace) == ("namespaces/shop/rolebindings/cart", "shop")
    assert event.actor.id is None


IDENTITIES = {
    "a group": ({"subject_kind": "Group", "subject_id": "group:system:authenticated"}, "group"),
    "a user": ({"subject_kind": "User", "subject_id": "maria"}, "user"),
    "nobody in particular": ({"subject_kind": "User", "subject_id": "system:anonymous"}, "anonymous"),
    "a user that is called like a group's id": ({"subject_kind": "User", "subject_id": "group:staff"}, "user"),
}


@pytest.mark.parametrize("sentence", IDENTITIES)
def test_what_kind_of_identity_holds_it(sentence):
    told, expected = IDENTITIES[sentence]
    assert only_event(changed(**told)).identity.type == expected


def test_an_object_is_its_own_target():
    event = only_event(changed("rbac.object", namespace=None, object_kind="ValidatingWebhookConfiguration", object_name="engine"))
    assert event.target.id == "validatingwebhookconfigurations/engine"
    assert place_of("ClusterRoleBinding", "one") == "clusterrolebindings/one"


REJECTED = {
    "a kind that is none": {**GRANT, "kind": "rbac.grants"},
    "no object": {**GRANT, "rbac": "text"},
    "nothing": {"kind": "rbac.grant", "observed_at": None},
}


@pytest.mark.parametrize("sentence", REJECTED)
def test_is_rejected(sentence):
    with pytest.raises(RecordRejected):
        only_event(REJECTED[sentence])


def test_what_is_of_another_type_is_absent():
    event = only_event(changed(risks={"read_secrets": True}, subject_pods="many", change=["added"]))
    assert (event.rbac.risks, event.rbac.subject_pods, event.rbac.change) == (None, None, None)
