"""Google Cloud audit logs: LogEntry with an AuditLog payload. GKE's Kubernetes entries are `audit.request` events instead.

Source of the facts: https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry and
https://cloud.google.com/logging/docs/reference/audit/auditlog/rest/Shared.Types/AuditLog
"""

from watchkeeper_detection.fields import Field, Kind

KINDS = (Kind("gcp.audit", "A call to a Google Cloud API, as its audit log has it.", ("gcp",)),)

FIELDS = (
    Field("gcp.insertId", "string", "Google's id of the entry."),
    Field("gcp.logName", "string", "Log, such as `projects/P/logs/cloudaudit.googleapis.com%2Factivity`."),
    Field("gcp.timestamp", "timestamp", "When it happened."),
    Field("gcp.receiveTimestamp", "timestamp", "When Cloud Logging received the entry."),
    Field("gcp.severity", "string", "DEFAULT, DEBUG, INFO, NOTICE, WARNING, ERROR, CRITICAL, ALERT or EMERGENCY."),
    Field("gcp.resource.type", "string", "Monitored resource type, such as `gce_instance`."),
    Field("gcp.resource.labels", "map(string)", "Labels of the monitored resource: `project_id`, `location`, …"),
    Field("gcp.labels", "map(string)", "Labels of the entry."),
    Field("gcp.operation.id", "string", "Long-running operation that the entry belongs to."),
    Field("gcp.operation.first", "bool", "Whether this is the operation's first entry."),
    Field("gcp.operation.last", "bool", "Whether this is the operation's last entry."),
    Field("gcp.protoPayload.serviceName", "string", "Service, such as `compute.googleapis.com`."),
    Field("gcp.protoPayload.methodName", "string", "Method, such as `v1.compute.firewalls.insert` or `google.iam.admin.v1.CreateServiceAccountKey`."),
    Field("gcp.protoPayload.resourceName", "string", "Resource that was called on.", untrusted=True),
    Field("gcp.protoPayload.authenticationInfo.principalEmail", "string", "User or service account; absent for some federated callers."),
    Field("gcp.protoPayload.authenticationInfo.principalSubject", "string", "Identity in the form `user:…`, `serviceAccount:…` or `principal://…`."),
    Field(
        "gcp.protoPayload.authenticationInfo.serviceAccountKeyName", "string", "Key that the service account's credentials were made with; absent without one."
    ),
    Field(
        "gcp.protoPayload.authenticationInfo.serviceAccountDelegationInfo",
        "list(dyn)",
        "Identities that impersonated the service account, first one first.",
        open=True,
    ),
    Field("gcp.protoPayload.authorizationInfo", "list(dyn)", "Checks that were made: objects with permission, resource, granted.", open=True),
    Field("gcp.protoPayload.requestMetadata.callerIp", "string", "Address of the caller; `private` or `gce-internal-ip` for some inside Google Cloud."),
    Field("gcp.protoPayload.requestMetadata.callerSuppliedUserAgent", "string", "User agent that the client claims.", untrusted=True),
    Field("gcp.protoPayload.status.code", "int", "google.rpc.Code; absent or 0 when the call succeeded, 7 for a denied one."),
    Field("gcp.protoPayload.status.message", "string", "Message of a failure.", untrusted=True),
    Field("gcp.protoPayload.request", "dyn", "The request.", open=True, untrusted=True),
    Field("gcp.protoPayload.response", "dyn", "The response.", open=True, untrusted=True),
    Field("gcp.protoPayload.metadata", "dyn", "Further facts of the service: VPC Service Controls violations, Workspace events.", open=True),
    Field("gcp.protoPayload.serviceData", "dyn", "Older form of metadata; carries `policyDelta` of IAM changes.", open=True),
    Field(
        "gcp.policy_changes", "list(dyn)", "Derived: members gained or lost in an IAM change, from `policyDelta`; objects with action, role, member.", open=True
    ),
    Field("gcp.permissions", "list(string)", "Derived: permissions in authorizationInfo that were granted."),
)
