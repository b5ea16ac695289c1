"""Builders of raw provider records, whole as the provider writes them."""

from __future__ import annotations

from typing import Any

NUMBER = "00000000-0000-4000-8000-"


def an_audit_event(
    number: int = 1, *, user: str = "alice", verb: str = "get", resource: str = "secrets", name: str = "db", code: int = 200, minute: int = 30, **fields: Any
) -> dict[str, Any]:
    """A native Kubernetes audit event at `minute` past two on 12 March 2026."""
    return {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": f"{NUMBER}{number:012}",
        "stage": "ResponseComplete",
        "requestURI": f"/api/v1/namespaces/shop/{resource}/{name}",
        "verb": verb,
        "user": {"username": user, "groups": ["system:authenticated"]},
        "sourceIPs": ["10.20.1.9"],
        "userAgent": "kubectl/v1.33.1 (linux/amd64) kubernetes/8adc0f0",
        "objectRef": {"resource": resource, "namespace": "shop", "name": name, "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": code},
        "requestReceivedTimestamp": f"2026-03-12T02:{minute:02}:00.{number:06}Z",
        "stageTimestamp": f"2026-03-12T02:{minute:02}:00.{number:06}Z",
        "annotations": {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""},
        **fields,
    }


def a_cloudtrail_event(
    number: int = 1, *, name: str = "StopLogging", source: str = "cloudtrail.amazonaws.com", user: str = "bob", **fields: Any
) -> dict[str, Any]:
    """A CloudTrail management event by an IAM user."""
    return {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": "AIDAQ3EGRZ5DEXAMPLE77",
            "arn": f"arn:aws:iam::492817365042:user/{user}",
            "accountId": "492817365042",
            "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
            "userName": user,
        },
        "eventTime": "2026-03-12T02:46:00Z",
        "eventSource": source,
        "eventName": name,
        "awsRegion": "eu-central-1",
        "sourceIPAddress": "192.88.99.77",
        "userAgent": "aws-cli/2.15.30 Python/3.11.8 Linux/6.6.9-amd64 exe/x86_64.debian.12 prompt/off command/cloudtrail.stop-logging",
        "requestParameters": {"name": "arn:aws:cloudtrail:eu-central-1:492817365042:trail/shop-org"},
        "responseElements": None,
        "requestID": f"{NUMBER}{number + 1000:012}",
        "eventID": f"{NUMBER}{number:012}",
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": "492817365042",
        "eventCategory": "Management",
        "tlsDetails": {"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256", "clientProvidedHostHeader": "cloudtrail.eu-central-1.amazonaws.com"},
        **fields,
    }
