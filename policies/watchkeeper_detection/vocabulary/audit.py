"""Kubernetes API audit events (audit.k8s.io/v1; v1beta1 is read as v1), whichever provider delivered them.

Source of the facts: the audit API types, https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/.
"""

from watchkeeper_detection.fields import Field, Kind

KINDS = (Kind("audit.request", "The Kubernetes API server answered (or refused) a request.", ("audit", "kubernetes")),)

FIELDS = (
    Field("audit.level", "string", "Audit level that this event was recorded at: Metadata, Request or RequestResponse."),
    Field("audit.auditID", "string", "The API server's id of the request; repeats over the stages of one request."),
    Field("audit.stage", "string", "RequestReceived, ResponseStarted, ResponseComplete or Panic."),
    Field("audit.requestURI", "string", "Request URI as the client sent it, query included.", untrusted=True),
    Field("audit.verb", "string", "Kubernetes verb; for non-resource requests the HTTP method in lower case. Exec over WebSocket is `get`."),
    Field("audit.user.username", "string", "Authenticated user, `system:anonymous` where none."),
    Field("audit.user.uid", "string", "UID of the user (service accounts have one)."),
    Field("audit.user.groups", "list(string)", "Groups of the user."),
    Field("audit.user.extra", "dyn", "Extra of the authenticator: lists of strings by key, such as `authentication.kubernetes.io/pod-name`.", open=True),
    Field("audit.impersonatedUser.username", "string", "User that the request was made as (`--as`)."),
    Field("audit.impersonatedUser.uid", "string", "UID that the request was made as."),
    Field("audit.impersonatedUser.groups", "list(string)", "Groups that the request was made as."),
    Field("audit.sourceIPs", "list(string)", "Client and proxies, client first; all but the last can be forged with X-Forwarded-For.", untrusted=True),
    Field("audit.userAgent", "string", "User agent that the client claims.", untrusted=True),
    Field("audit.objectRef.resource", "string", "Resource (plural), such as `pods`."),
    Field("audit.objectRef.namespace", "string", "Namespace of the object."),
    Field("audit.objectRef.name", "string", "Name of the object; absent on list, and on create when the server makes the name.", untrusted=True),
    Field("audit.objectRef.uid", "string", "UID of the object."),
    Field("audit.objectRef.apiGroup", "string", "API group; absent for the core group."),
    Field("audit.objectRef.apiVersion", "string", "API version."),
    Field("audit.objectRef.subresource", "string", "Subresource, such as `exec`; absent where none."),
    Field("audit.responseStatus.code", "int", "HTTP status code."),
    Field("audit.responseStatus.status", "string", "Success or Failure; only on some responses."),
    Field("audit.responseStatus.reason", "string", "Machine-readable reason of a failure, such as Forbidden."),
    Field("audit.responseStatus.message", "string", "Message of a failure.", untrusted=True),
    Field("audit.requestObject", "dyn", "Body of the request (levels Request and above); of a PATCH the patch, not the object.", open=True, untrusted=True),
    Field("audit.responseObject", "dyn", "Body of the response (level RequestResponse).", open=True, untrusted=True),
    Field("audit.requestReceivedTimestamp", "timestamp", "When the API server received the request."),
    Field("audit.stageTimestamp", "timestamp", "When this stage was reached."),
    Field("audit.annotations", "map(string)", "Annotations by plugins: `authorization.k8s.io/decision`, `authorization.k8s.io/reason`, …"),
    # derived by the reader
    Field(
        "kubernetes.object",
        "dyn",
        "The object as it stands after the request, as far as the log holds it: the response's object, else the request's. A patch at level Request gives "
        "the patch body. Absent at level Metadata.",
        open=True,
        untrusted=True,
    ),
    Field(
        "kubernetes.pod_spec",
        "dyn",
        "Pod spec inside `kubernetes.object`, wherever the kind keeps it: Pod, Deployment, DaemonSet, StatefulSet, ReplicaSet, ReplicationController, Job, "
        "CronJob, PodTemplate; also of patches to them.",
        open=True,
        untrusted=True,
    ),
    Field("kubernetes.containers", "list(dyn)", "All containers of `kubernetes.pod_spec`: init, ordinary and ephemeral.", open=True, untrusted=True),
    Field("kubernetes.images", "list(string)", "Images of `kubernetes.containers`.", untrusted=True),
    Field("kubernetes.rules", "list(dyn)", "RBAC rules of a Role or ClusterRole in `kubernetes.object`.", open=True, untrusted=True),
    Field("kubernetes.subjects", "list(dyn)", "Subjects of a RoleBinding or ClusterRoleBinding in `kubernetes.object`.", open=True, untrusted=True),
    Field("kubernetes.command", "list(string)", "`command=` parameters of an exec request's URI, decoded.", untrusted=True),
    Field("kubernetes.pod_name", "string", "Pod that the caller's token is bound to (`authentication.kubernetes.io/pod-name`)."),
    Field("kubernetes.pod_uid", "string", "UID of the pod that the caller's token is bound to."),
    Field("kubernetes.node_name", "string", "Node that the caller's token is bound to."),
    Field("kubernetes.credential_id", "string", "Id of the credential used (`JTI=…` of a token, `X509SHA256=…` of a certificate)."),
    Field("kubernetes.decision", "string", "`allow` or `forbid`, from the authorizer's annotation, else from the status code 403."),
)
