"""Google Cloud audit logs."""

import pytest

from watchkeeper_detection.logs.gcp import PROVIDER
from watchkeeper_detection.logs.provider import RecordPlace

KEY = {
    "insertId": "1f3x9we2a1",
    "logName": "projects/ledger-prod/logs/cloudaudit.googleapis.com%2Factivity",
    "protoPayload": {
        "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
        "authenticationInfo": {"principalEmail": "dana@contoso.example", "principalSubject": "user:dana@contoso.example"},
        "authorizationInfo": [
            {"granted": True, "permission": "iam.serviceAccountKeys.create", "resource": "projects/-/serviceAccounts/1172"},
            {"granted": False, "permission": "iam.serviceAccounts.list"},
        ],
        "methodName": "google.iam.admin.v1.CreateServiceAccountKey",
        "request": {"name": "projects/-/serviceAccounts/batch@ledger-prod.iam.gserviceaccount.com"},
        "requestMetadata": {"callerIp": "198.51.100.23", "callerSuppliedUserAgent": "google-cloud-sdk gcloud/500.0.0"},
        "resourceName": "projects/-/serviceAccounts/1172",
        "serviceName": "iam.googleapis.com",
        "status": {},
    },
    "receiveTimestamp": "2025-11-25T09:14:04.5Z",
    "resource": {"type": "service_account", "labels": {"project_id": "ledger-prod", "unique_id": 1172}},
    "severity": "NOTICE",
    "timestamp": "2025-11-25T09:14:03.123456789Z",
}


def one(record, reads=None):
    (event,) = PROVIDER.events(record, RecordPlace("gcp.json", 3, 0), reads)
    return event


def with_payload(**changes):
    return KEY | {"protoPayload": KEY["protoPayload"] | changes}


def test_an_entry_says_who_did_what_to_what_from_where():
    assert PROVIDER.recognise(KEY)
    event = one(KEY)
    assert (event.kind, event.source) == ("gcp.audit", "gcp-audit")
    assert (event.identity.id, event.identity.type, event.actor.account) == ("dana@contoso.example", "user", "ledger-prod")
    assert (event.action.name, event.target.id, event.target.type) == (
        "google.iam.admin.v1.CreateServiceAccountKey",
        "projects/-/serviceAccounts/1172",
        "service_account",
    )
    assert (event.origin.ip, event.origin.user_agent) == ("198.51.100.23", "google-cloud-sdk gcloud/500.0.0")
    assert event.outcome.status == "success"
    assert event.observed_at == 1764062043_123_456_789
    assert event.gcp.permissions == ["iam.serviceAccountKeys.create"]
    assert event.gcp.resource.labels == {"project_id": "ledger-prod", "unique_id": "1172"}


@pytest.mark.parametrize(
    ("status", "outcome"), [(None, "success"), ({"code": 0}, "success"), ({"code": 7}, "denied"), ({"code": "16"}, "denied"), ({"code": 5}, "failure")]
)
def test_the_code_says_whether_it_was_denied_or_failed(status, outcome):
    assert one(with_payload(status=status)).outcome.status == outcome


def test_kubernetes_entries_are_left_to_the_kubernetes_reader():
    assert not PROVIDER.recognise(with_payload(serviceName="k8s.io", methodName="io.k8s.core.v1.secrets.list"))


@pytest.mark.parametrize(
    "record", [{}, {"protoPayload": "x"}, {"protoPayload": {"@type": "type.googleapis.com/google.appengine.logging.v1.RequestLog"}}, {"textPayload": "hello"}]
)
def test_other_entries_are_not_recognised(record):
    assert not PROVIDER.recognise(record)


def test_an_iam_delta_is_read_wherever_the_service_keeps_it():
    delta = [{"action": "ADD", "role": "roles/owner", "member": "user:dana@contoso.example"}]
    assert one(with_payload(serviceData={"policyDelta": {"bindingDeltas": delta}})).gcp.policy_changes == delta
    assert one(with_payload(metadata={"policyDelta": {"bindingDeltas": delta}})).gcp.policy_changes == delta


def test_without_a_delta_each_binding_of_the_new_policy_counts():
    request = {"policy": {"bindings": [{"role": "roles/run.invoker", "members": ["allUsers", "user:dana@contoso.example"]}, {"role": "roles/viewer"}]}}
    assert one(with_payload(request=request)).gcp.policy_changes == [
        {"action": "SET", "role": "roles/run.invoker", "member": "allUsers"},
        {"action": "SET", "role": "roles/run.invoker", "member": "user:dana@contoso.example"},
    ]


@pytest.mark.parametrize(
    ("who", "id", "kind"),
    [
        ({"principalEmail": "batch@ledger-prod.iam.gserviceaccount.com"}, "batch@ledger-prod.iam.gserviceaccount.com", "service"),
        ({"principalSubject": "serviceAccount:batch@ledger-prod.iam.gserviceaccount.com"}, "batch@ledger-prod.iam.gserviceaccount.com", "service"),
        ({"principalSubject": "principal://iam.googleapis.com/pools/p/subject/s"}, "principal://iam.googleapis.com/pools/p/subject/s", "federated"),
        ({}, None, "unknown"),
    ],
)
def test_callers_are_named_alike(who, id, kind):  # noqa: A002
    event = one(with_payload(authenticationInfo=who))
    assert (event.identity.id, event.identity.type) == (id, kind)


@pytest.mark.parametrize("address", ["private", "gce-internal-ip", "", None])
def test_a_caller_inside_google_cloud_has_no_address(address):
    assert one(with_payload(requestMetadata={"callerIp": address})).origin.ip is None


def test_values_of_another_type_are_absent():
    event = one({"protoPayload": {"methodName": 5, "authorizationInfo": "x", "status": "bad", "requestMetadata": None}, "resource": [], "timestamp": 7})
    assert (event.gcp.protoPayload.methodName, event.gcp.permissions, event.gcp.protoPayload.status.code) == (None, [], None)
    assert (event.observed_at, event.outcome.status, event.identity.id) == (0, "success", None)


def test_only_what_is_read_is_decoded():
    event = one(KEY, {"gcp": frozenset({"gcp.severity"})})
    assert event.gcp.severity == "NOTICE"
    assert "permissions" not in event.gcp.__struct_fields__
