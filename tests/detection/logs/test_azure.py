"""Azure Activity Log: three shapes, names in any case."""

import json

import pytest

from watchkeeper_detection.logs.azure import PROVIDER
from watchkeeper_detection.logs.provider import RecordPlace

DISK = "/subscriptions/6f1c2d3e-0a4b-4c5d-8e9f-7a6b5c4d3e2f/resourceGroups/payments-prod/providers/Microsoft.Compute/disks/ledger-data"
EXPORT = {
    "time": "2025-11-25T09:14:03.1234567Z",
    "resourceId": DISK.upper(),
    "operationName": "MICROSOFT.COMPUTE/DISKS/BEGINGETACCESS/ACTION",
    "category": "Administrative",
    "resultType": "Success",
    "resultSignature": "Succeeded.OK",
    "durationMs": "812",
    "callerIpAddress": "198.51.100.23",
    "correlationId": "0c1d2e3f-4a5b-6c7d-8e9f-0a1b2c3d4e5f",
    "identity": {
        "authorization": {"scope": DISK, "action": "Microsoft.Compute/disks/beginGetAccess/action"},
        "claims": {"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn": "dana@contoso.example", "appid": "04b07795-8ddb-461a-bbee-02f9e1bf7b46"},
    },
    "Level": "Information",
    "properties": {"requestbody": json.dumps({"Access": "Read", "durationInSeconds": 3600})},
    "tenantId": "aaaabbbb-0000-1111-2222-ccccdddd3333",
}
SDK = {
    "caller": "dana@contoso.example",
    "claims": EXPORT["identity"]["claims"],
    "authorization": EXPORT["identity"]["authorization"],
    "category": {"value": "Administrative", "localizedValue": "Administrative"},
    "eventTimestamp": "2025-11-25T09:14:03.1234567Z",
    "operationName": {"value": "Microsoft.Compute/disks/beginGetAccess/action", "localizedValue": "Get Disk SAS URI"},
    "resourceId": DISK,
    "resourceGroupName": "payments-prod",
    "status": {"value": "Succeeded", "localizedValue": "Succeeded"},
    "subStatus": {"value": "OK", "localizedValue": "OK (HTTP Status Code: 200)"},
    "httpRequest": {"clientRequestId": "b1", "clientIpAddress": "198.51.100.23", "method": "POST"},
    "eventDataId": "e7d1",
    "tenantId": "aaaabbbb-0000-1111-2222-ccccdddd3333",
}
SNAKE = {
    "caller": "dana@contoso.example",
    "category": {"value": "Administrative", "localized_value": "Administrative"},
    "event_timestamp": "2025-11-25T09:14:03.1234567Z",
    "operation_name": {"value": "Microsoft.Compute/disks/beginGetAccess/action", "localized_value": "Get Disk SAS URI"},
    "resource_id": DISK,
    "status": {"value": "Succeeded", "localized_value": "Succeeded"},
    "http_request": {"client_ip_address": "198.51.100.23"},
    "tenant_id": "aaaabbbb-0000-1111-2222-ccccdddd3333",
}
LOG_ANALYTICS = {
    "TimeGenerated": "2025-11-25T09:14:03.1234567Z",
    "OperationName": "Get Disk SAS URI",
    "OperationNameValue": "MICROSOFT.COMPUTE/DISKS/BEGINGETACCESS/ACTION",
    "CategoryValue": "Administrative",
    "ActivityStatusValue": "Success",
    "Caller": "dana@contoso.example",
    "CallerIpAddress": "198.51.100.23",
    "Claims": json.dumps(EXPORT["identity"]["claims"]),
    "_ResourceId": DISK.lower(),
    "Properties": json.dumps({"requestbody": json.dumps({"access": "Read"})}),
    "TenantId": "aaaabbbb-0000-1111-2222-ccccdddd3333",
    "Type": "AzureActivity",
}


def one(record, reads=None):
    (event,) = PROVIDER.events(record, RecordPlace("activity.json", 3, 0), reads)
    return event


@pytest.mark.parametrize("record", [EXPORT, SDK, SNAKE, LOG_ANALYTICS], ids=["export", "SDK", "Python SDK", "Log Analytics"])
def test_every_shape_says_who_did_what_to_what_from_where(record):
    assert PROVIDER.recognise(record)
    event = one(record)
    assert event.kind == "azure.activity"
    assert event.azure.operationName.lower() == "microsoft.compute/disks/begingetaccess/action"
    assert (event.identity.id, event.identity.type, event.origin.ip) == ("dana@contoso.example", "user", "198.51.100.23")
    assert event.outcome.status == "success"
    assert event.observed_at == 1764062043_123_456_700
    assert event.target.type.lower() == "microsoft.compute/disks"
    assert event.target.name.lower() == "ledger-data"
    assert event.azure.resourceGroup.lower() == "payments-prod"
    assert event.azure.subscriptionId.lower() == "6f1c2d3e-0a4b-4c5d-8e9f-7a6b5c4d3e2f"
    assert event.actor.account == "aaaabbbb-0000-1111-2222-ccccdddd3333"


def test_the_request_body_is_decoded_and_its_keys_are_in_lower_case():
    assert one(EXPORT).azure.requestBody == {"access": "Read", "durationinseconds": 3600}
    assert one(LOG_ANALYTICS).azure.requestBody == {"access": "Read"}
    assert one(EXPORT | {"properties": {"requestBody": {"Access": {"Deep": 1}}}}).azure.requestBody == {"access": {"deep": 1}}


@pytest.mark.parametrize("text", ["{not json", "[1]", '{"a":' * 5000, ""])
def test_a_request_body_that_is_no_object_is_absent(text):
    assert one(EXPORT | {"properties": {"requestbody": text}}).azure.requestBody is None


@pytest.mark.parametrize(
    ("result", "status"),
    [
        ({"resultType": "Start"}, "unknown"),
        ({"resultType": "Accept"}, "unknown"),
        ({"resultType": "Failure", "resultSignature": "Failed.Forbidden"}, "denied"),
        ({"resultType": "Failed", "resultSignature": "Failed.Conflict"}, "failure"),
        ({"resultType": "Failure", "properties": {"statusCode": "Forbidden"}, "resultSignature": None}, "denied"),
        ({"resultType": None}, "unknown"),
    ],
)
def test_the_outcome_is_the_same_word_in_all_shapes(result, status):
    assert one(EXPORT | result).outcome.status == status


def test_an_application_is_a_service():
    claims = {"appid": "04b07795-8ddb-461a-bbee-02f9e1bf7b46", "idtyp": "app"}
    event = one(EXPORT | {"identity": {"claims": claims}})
    assert (event.identity.id, event.identity.type) == ("04b07795-8ddb-461a-bbee-02f9e1bf7b46", "service")


def test_of_two_spellings_of_a_name_the_one_with_a_value_counts():
    assert one({"level": None, **EXPORT}).azure.level == "Information"


@pytest.mark.parametrize(
    "record",
    [
        {"operationName": "Microsoft.ContainerService/managedClusters/diagnosticLogs/Read", "category": "kube-audit", "properties": {"log": "{}"}},
        {"operationName": "Sign-in activity", "category": "SignInLogs"},
        {"operationName": "GetBlob", "category": "StorageRead"},
        {"eventName": "GetObject"},
        {},
    ],
)
def test_resource_logs_and_sign_ins_are_not_recognised(record):
    assert not PROVIDER.recognise(record)


def test_values_of_another_type_are_absent():
    event = one({"operationName": ["x"], "category": 7, "identity": "nobody", "properties": [1], "durationMs": "soon", "httpRequest": 5})
    assert (event.azure.operationName, event.azure.category, event.azure.claims, event.azure.durationMs) == (None, "7", None, None)
    assert (event.identity.id, event.target.id, event.origin.ip, event.observed_at) == (None, None, None, 0)


def test_only_what_is_read_is_decoded():
    event = one(EXPORT, {"azure": frozenset({"azure.level"})})
    assert "level" in event.azure.__struct_fields__
    assert "requestBody" not in event.azure.__struct_fields__
