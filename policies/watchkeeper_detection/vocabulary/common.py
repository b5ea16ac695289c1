"""Normalised fields that every kind of event has."""

from watchkeeper_detection.fields import Field

ROOTS = ("event", "identity", "actor", "action", "target", "outcome", "origin")

FIELDS = (
    Field("event.kind", "string", "Kind of the event, such as `audit.request`."),
    Field("event.source", "string", "Log type that the event came from, such as `k8s-audit`; `kernel` for the sensor."),
    Field("event.observed_at", "timestamp", "When it happened, by the source's own clock."),
    Field(
        "identity.id",
        "string",
        "Who holds the credential, spelled the same whatever the source: `system:serviceaccount:NS:NAME` for a process in a pod and for its API calls, "
        "the role's ARN for a session of an assumed role.",
        untrusted=True,
    ),
    Field("identity.type", "string", "`user`, `service_account`, `group`, `node`, `role`, `root`, `service`, `federated`, `anonymous` or `unknown`."),
    Field("actor.id", "string", "Who did it, as the source's most exact name (ARN, user name, session)."),
    Field("actor.name", "string", "Short name of who did it, for people.", untrusted=True),
    Field("actor.account", "string", "Account, tenant or project that the actor belongs to."),
    Field("action.name", "string", "What was done, in the provider's word: `create pods/exec`, `s3.amazonaws.com:GetObject`."),
    Field("target.type", "string", "Type of what it was done to: `pods`, `secrets`, `AWS::S3::Object`."),
    Field("target.name", "string", "Name of what it was done to.", untrusted=True),
    Field("target.namespace", "string", "Kubernetes namespace of what it was done to."),
    Field("target.id", "string", "Most exact id of what it was done to: `namespaces/NS/pods/NAME`, an ARN.", untrusted=True),
    Field("outcome.status", "string", "`success`, `denied` (authentication or authorization), `failure` (any other reason) or `unknown`."),
    Field("outcome.code", "string", "The provider's code: HTTP status, AWS error code."),
    Field("origin.ip", "string", "Address that the request came from, as text; absent where the provider gives a service's name instead."),
    Field("origin.user_agent", "string", "User agent of the request.", untrusted=True),
)
