"""Kubernetes audit events as each provider delivers them: what goes in is a native event, what comes out is a raw record."""

from __future__ import annotations

import json
from typing import Any

CLUSTER = "shop-prod"
RPC_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 422: 3, 429: 8, 500: 13, 503: 14, 504: 4}  # google.rpc.Code of an HTTP status


def event_list(*events: dict[str, Any]) -> dict[str, Any]:
    """What the audit webhook posts."""
    return {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": list(events)}


def v1beta1(event: dict[str, Any]) -> dict[str, Any]:
    """As clusters before 1.24 could write it."""
    return {**event, "apiVersion": "audit.k8s.io/v1beta1"}


def eks_subscription(*events: dict[str, Any]) -> dict[str, Any]:
    """A CloudWatch Logs subscription's message, as Kinesis or Lambda receive it."""
    return {
        "messageType": "DATA_MESSAGE",
        "owner": "492817365042",
        "logGroup": f"/aws/eks/{CLUSTER}/cluster",
        "logStream": "kube-apiserver-audit-4c1d5a0f7f4b2a6d",
        "subscriptionFilters": ["watchkeeper"],
        "logEvents": [
            {"id": f"3848472{number:049}", "timestamp": 1_773_282_600_000 + number, "message": json.dumps(event)} for number, event in enumerate(events)
        ],
    }


def eks_export(event: dict[str, Any]) -> str:
    """A line of a CloudWatch Logs export to S3."""
    return f"{event['requestReceivedTimestamp'][:23]}Z {json.dumps(event)}"


def aks_diagnostics(event: dict[str, Any]) -> dict[str, Any]:
    """An AKS diagnostic record of category kube-audit."""
    return {
        "time": event["stageTimestamp"],
        "resourceId": f"/SUBSCRIPTIONS/7A3C2D1E-95B4-4F0E-8F7A-1C9A6B2E4D10/RESOURCEGROUPS/SHOP/PROVIDERS/MICROSOFT.CONTAINERSERVICE/MANAGEDCLUSTERS/{CLUSTER.upper()}",
        "operationName": "Microsoft.ContainerService/managedClusters/diagnosticLogs/Read",
        "category": "kube-audit",
        "properties": {
            "log": json.dumps(event) + "\n",
            "stream": "stdout",
            "pod": "kube-apiserver-6c9f8d5b77-x2v4q",
            "containerID": "b1946ac92492d2347c6235b4d2611184",
        },
    }


def aks_as_objects(event: dict[str, Any]) -> dict[str, Any]:
    """An AKS diagnostic record whose shipper decoded the event."""
    record = aks_diagnostics(event)
    return {**record, "properties": {**record["properties"], "log": event}}


def aks_as_text(event: dict[str, Any]) -> dict[str, Any]:
    """An AKS diagnostic record whose properties are text."""
    record = aks_diagnostics(event)
    return {**record, "properties": json.dumps(record["properties"])}


def azure_diagnostics_row(event: dict[str, Any]) -> dict[str, Any]:
    """A row of Log Analytics' table AzureDiagnostics."""
    return {
        "TenantId": "0c8a4f1e-6b57-4f6e-9d43-2f9c1b7a5e60",
        "TimeGenerated": event["stageTimestamp"],
        "ResourceId": f"/SUBSCRIPTIONS/7A3C2D1E-95B4-4F0E-8F7A-1C9A6B2E4D10/RESOURCEGROUPS/SHOP/PROVIDERS/MICROSOFT.CONTAINERSERVICE/MANAGEDCLUSTERS/{CLUSTER.upper()}",
        "Category": "kube-audit-admin",
        "ResourceGroup": "SHOP",
        "ResourceProvider": "MICROSOFT.CONTAINERSERVICE",
        "Resource": CLUSTER.upper(),
        "ResourceType": "MANAGEDCLUSTERS",
        "OperationName": "Microsoft.ContainerService/managedClusters/diagnosticLogs/Read",
        "SourceSystem": "Azure",
        "pod_s": "kube-apiserver-6c9f8d5b77-x2v4q",
        "stream_s": "stdout",
        "log_s": json.dumps(event),
        "Type": "AzureDiagnostics",
    }


def aks_row(event: dict[str, Any], *, text: bool = False) -> dict[str, Any]:
    """A row of Log Analytics' table AKSAudit; `text`: its objects as JSON text, as query tools print them."""

    def dynamic(name: str) -> Any:
        value = event.get(name)
        return json.dumps(value) if text and value is not None else value

    return {
        "TenantId": "0c8a4f1e-6b57-4f6e-9d43-2f9c1b7a5e60",
        "TimeGenerated": event["stageTimestamp"],
        "Level": event.get("level"),
        "AuditId": event["auditID"],
        "Stage": event.get("stage"),
        "RequestUri": event.get("requestURI"),
        "Verb": event["verb"],
        "User": dynamic("user"),
        "ImpersonatedUser": dynamic("impersonatedUser"),
        "SourceIps": dynamic("sourceIPs"),
        "UserAgent": event.get("userAgent"),
        "ObjectRef": dynamic("objectRef"),
        "ResponseStatus": dynamic("responseStatus"),
        "RequestObject": dynamic("requestObject"),
        "ResponseObject": dynamic("responseObject"),
        "RequestReceivedTime": event["requestReceivedTimestamp"],
        "StageReceivedTime": event["stageTimestamp"],
        "Annotations": dynamic("annotations"),
        "PodName": "kube-apiserver-6c9f8d5b77-x2v4q",
        "SourceSystem": "Azure",
        "Type": "AKSAudit",
    }


def insights_row(record: dict[str, Any], *, decoded: bool = False) -> dict[str, Any]:
    """A row of a CloudWatch Logs Insights query."""
    return {
        "@timestamp": "2026-03-12 02:30:00.000",
        "@message": record if decoded else json.dumps(record),
        "@logStream": "kube-apiserver-audit-4c1d5a0f7f4b2a6d",
        "@log": f"492817365042:/aws/eks/{CLUSTER}/cluster",
        "@ptr": "CmEKJgoiNDkyODE3MzY1MDQy",
    }


def docker_line(record: dict[str, Any]) -> dict[str, Any]:
    """A line of Docker's json-file driver."""
    return {"log": json.dumps(record) + "\n", "stream": "stdout", "time": "2026-03-12T02:30:00.000512331Z"}


def containerd_line(record: dict[str, Any]) -> str:
    """A line of a container's log as the kubelet keeps it."""
    return f"2026-03-12T02:30:00.000512331Z stdout F {json.dumps(record)}"


def fluent_bit_record(record: dict[str, Any], *, decoded: bool = False) -> dict[str, Any]:
    """What Fluent Bit sends of a container's line; `decoded`: it parsed the line."""
    return {
        "@timestamp": "2026-03-12T02:30:00.512Z",
        "stream": "stdout",
        "logtag": "F",
        "log": record if decoded else json.dumps(record),
        "kubernetes": {"pod_name": "audit-webhook-0", "namespace_name": "kube-system", "container_name": "audit-webhook"},
    }


def filebeat_record(record: dict[str, Any]) -> dict[str, Any]:
    """What Filebeat sends of a line of a file."""
    return {
        "@timestamp": "2026-03-12T02:30:01.117Z",
        "@metadata": {"beat": "filebeat", "type": "_doc", "version": "8.12.2"},
        "log": {"offset": 48211, "file": {"path": "/var/log/kubernetes/audit.log"}},
        "message": json.dumps(record),
        "input": {"type": "filestream"},
        "agent": {"type": "filebeat", "version": "8.12.2", "name": "control-plane-1"},
        "ecs": {"version": "8.0.0"},
        "host": {"name": "control-plane-1"},
    }


def gke_method(event: dict[str, Any]) -> str:
    """GKE's name of the method: `io.k8s.core.v1.pods.exec.create`."""
    reference = event["objectRef"]
    group = reference.get("apiGroup", "")
    prefix = "io.k8s." + (group.removesuffix(".k8s.io").removesuffix(".authorization") if group else "core")
    words = [prefix, reference.get("apiVersion", "v1"), reference["resource"], *([reference["subresource"]] if "subresource" in reference else [])]
    return ".".join([*words, event["verb"]])


def gke_entry(event: dict[str, Any]) -> dict[str, Any]:
    """A Cloud Audit Logs entry of a GKE cluster. It has no groups, no URI, no stage and no level."""
    reference = event["objectRef"]
    path = [reference.get("apiGroup") or "core", reference.get("apiVersion", "v1")]
    path += ["namespaces", reference["namespace"]] if "namespace" in reference and reference["resource"] != "namespaces" else []
    path += [reference["resource"], *([reference["name"]] if "name" in reference else []), *([reference["subresource"]] if "subresource" in reference else [])]
    method, code = gke_method(event), event.get("responseStatus", {}).get("code", 200)
    refused, rpc_code = code in (401, 403), RPC_CODES.get(code, 0)
    payload: dict[str, Any] = {
        "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
        "authenticationInfo": {"principalEmail": event["user"]["username"]},
        "authorizationInfo": [{"granted": not refused, "permission": method, "resource": "/".join(path)}],
        "methodName": method,
        "requestMetadata": {
            **({"callerIp": event["sourceIPs"][0]} if event.get("sourceIPs") else {}),
            **({"callerSuppliedUserAgent": event["userAgent"]} if "userAgent" in event else {}),
        },
        "resourceName": "/".join(path),
        "serviceName": "k8s.io",
        "status": {"code": rpc_code, "message": event["responseStatus"].get("message", "refused")} if rpc_code else {},
    }
    for ours, theirs in (("requestObject", "request"), ("responseObject", "response")):
        if ours in event:
            payload[theirs] = {"@type": f"{path[0]}.k8s.io/{path[1]}.Object", **event[ours]}
    return {
        "insertId": event["auditID"],
        "labels": event.get("annotations", {}),
        "logName": "projects/shop-prod-4711/logs/cloudaudit.googleapis.com%2Factivity",
        "operation": {"first": True, "id": event["auditID"], "last": True, "producer": "k8s.io"},
        "protoPayload": payload,
        "receiveTimestamp": event["stageTimestamp"],
        "resource": {"type": "k8s_cluster", "labels": {"cluster_name": CLUSTER, "location": "europe-west3", "project_id": "shop-prod-4711"}},
        "timestamp": event["requestReceivedTimestamp"],
    }
