"""AWS CloudTrail events → `cloudtrail.event`: management, data, network activity and Insights.

Delivery (`Records` files, EventBridge, CloudWatch, one event a line) is the stream's business. Digest files, which lie in the
same trees, are no events and no rejects. Rows of Athena and CloudTrail Lake hold objects as JSON text; Athena's columns are in
lower case.
Source of the facts: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_detection import subject
from watchkeeper_detection.cel.functions import opened
from watchkeeper_detection.event import Event
from watchkeeper_detection.logs.provider import Provider, RecordPlace, RecordSkipped, RunEvent, TypedPath, common_fills, offset_in_run, time_ns
from watchkeeper_detection.logs.records import build, with_fallback_time
from watchkeeper_detection.logs.text_objects import opener, with_objects
from watchkeeper_detection.record_types import record_type

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watchkeeper_detection.logs.pieces import Run
    from watchkeeper_detection.logs.provider import Reads

KIND = "cloudtrail.event"
SOURCE = "cloudtrail"
NEEDED = frozenset(
    (
        *(f"cloudtrail.{name}" for name in ("eventTime", "eventSource", "eventName", "eventType", "eventID", "errorCode", "errorMessage")),
        *(f"cloudtrail.{name}" for name in ("sourceIPAddress", "userAgent", "requestParameters", "resources", "recipientAccountId")),
        *(
            f"cloudtrail.userIdentity.{name}"
            for name in ("type", "arn", "principalId", "accountId", "userName", "invokedBy", "sessionContext.sessionIssuer.arn")
        ),
    )
)
"""What the fills below read."""
NOTHING: frozenset[str] = frozenset()

ASSUMED_ROLE = re.compile(r"arn:(aws[\w-]*):sts::(\w*):assumed-role/([^/]+)/(.+)", re.DOTALL)
SERVICE_ACCOUNT = re.compile(r"system:serviceaccount:[a-z0-9-]{1,63}:[a-z0-9.-]{1,253}")
DENIED = re.compile(
    r"(?i)access.?denied|unauthori[sz]ed|not.?authori[sz]ed|forbidden|authfailure|authorizationerror|authenticationfail|invalidclienttokenid|signaturedoesnotmatch"
    r"|expiredtoken|unrecognizedclient|invalidaccesskeyid|optinrequired"
)
TYPES: dict[str | None, subject.IdentityType] = {
    "Root": "root",
    "IAMUser": "user",
    "AssumedRole": "role",
    "Role": "role",
    "FederatedUser": "federated",
    "SAMLUser": "federated",
    "WebIdentityUser": "federated",
    "AWSService": "service",
    "IdentityCenterUser": "user",
    "Directory": "user",
}
ANONYMOUS = ("anonymous", "ANONYMOUS_PRINCIPAL")
SIGN_INS = ("ConsoleLogin", "SwitchRole", "CheckMfa")
TARGETS = (
    *(
        ("bucketName", "AWS::S3::Bucket"),
        ("functionName", "AWS::Lambda::Function"),
        ("secretId", "AWS::SecretsManager::Secret"),
        ("instanceId", "AWS::EC2::Instance"),
    ),
    *(("snapshotId", "AWS::EC2::Snapshot"), ("imageId", "AWS::EC2::Image"), ("volumeId", "AWS::EC2::Volume"), ("groupId", "AWS::EC2::SecurityGroup")),
    *(("userName", "AWS::IAM::User"), ("roleName", "AWS::IAM::Role"), ("roleArn", "AWS::IAM::Role"), ("groupName", "AWS::IAM::Group")),
    *(("policyArn", "AWS::IAM::ManagedPolicy"), ("keyId", "AWS::KMS::Key"), ("repositoryName", "AWS::ECR::Repository"), ("clusterName", "AWS::EKS::Cluster")),
    *(("dBSnapshotIdentifier", "AWS::RDS::DBSnapshot"), ("dBInstanceIdentifier", "AWS::RDS::DBInstance"), ("detectorId", "AWS::GuardDuty::Detector")),
    *(("trailName", "AWS::CloudTrail::Trail"), ("logGroupName", "AWS::Logs::LogGroup"), ("name", None), ("resourceArn", None), ("resourceId", None)),
)
"""Request parameters that name what was acted on, the more telling first."""
OPEN_OBJECTS = ("requestParameters", "responseElements", "additionalEventData", "serviceEventDetails", "insightDetails", "resources", "tlsDetails")
OBJECTS = (*OPEN_OBJECTS, "userIdentity")
TARGET_RANKS = {key: rank for rank, (key, _) in enumerate(TARGETS)}


def identity(user: Any) -> msgspec.Struct:
    """Who holds the credential, as an object of the event."""
    return subject.identity(*identity_of(user))


def identity_of(user: Any) -> tuple[str | None, subject.IdentityType]:
    """Who holds the credential: the role's ARN for a session, the service account for the call that gets one."""
    kind, arn, principal = user.type, user.arn, user.principalId
    if kind == "AssumedRole":
        return user.sessionContext.sessionIssuer.arn or role_of(arn) or arn or principal, "role"
    if user.accountId in ANONYMOUS:
        return "anonymous", "anonymous"
    if kind == "WebIdentityUser":
        pod = SERVICE_ACCOUNT.search(user.userName or "") or SERVICE_ACCOUNT.search(principal or "")
        if pod:
            return pod[0], "service_account"
    if kind == "AWSService" or (kind is None and arn is None and user.invokedBy):
        return user.invokedBy or arn or principal, "service"
    return arn or user.userName or principal or user.accountId, TYPES.get(kind, "unknown")


def role_of(arn: str | None) -> str | None:
    """ARN of the role (without its path, which a session does not tell) that a session's ARN belongs to."""
    match = ASSUMED_ROLE.fullmatch(arn or "")
    return f"arn:{match[1]}:iam::{match[2]}:role/{match[3]}" if match else None


def _actor(event: Event) -> msgspec.Struct:
    user = event.cloudtrail.userIdentity
    session = ASSUMED_ROLE.fullmatch(user.arn or "")
    name = f"{session[3]}/{session[4]}" if session else user.userName or arn_name(user.arn or "") or user.invokedBy or user.principalId
    return subject.actor(_exact(user), name=name, account=user.accountId or event.cloudtrail.recipientAccountId)


def _exact(user: Any) -> str | None:
    exact: str | None = user.arn or user.principalId or user.userName or user.invokedBy
    return exact


def _about(event: Event) -> subject.About:
    user = event.cloudtrail.userIdentity
    found = acted_on(event.cloudtrail)
    target = (found[1] or None) if found is not None else None
    return subject.About(_exact(user) or None, identity_of(user)[0] or None, target, address(event.cloudtrail.sourceIPAddress))


def _action(event: Event) -> msgspec.Struct:
    trail = event.cloudtrail
    if trail.eventSource and trail.eventName:
        return subject.action(f"{trail.eventSource}:{trail.eventName}")
    return subject.action(trail.eventName or trail.eventType)


def _target(event: Event) -> msgspec.Struct:
    found = acted_on(event.cloudtrail)
    if found is None:
        return subject.target()
    kind, identifier, name = found
    return subject.target(type=kind, name=arn_name(identifier) if name is None else name, id=identifier)


def acted_on(trail: Any) -> tuple[str | None, str, str | None] | None:
    """Type, id and name of what was acted on; no name where it is the id's last word."""
    touched = opened(trail, "resources")
    for one in touched if isinstance(touched, list) else ():
        arn = one.get("ARN") if isinstance(one, dict) else None
        if isinstance(arn, str):
            kind = one.get("type")
            return kind if isinstance(kind, str) else None, arn, None
    parameters = opened(trail, "requestParameters")
    if not isinstance(parameters, dict):
        return None
    ranks = [TARGET_RANKS[key] for key, value in parameters.items() if key in TARGET_RANKS and value and isinstance(value, str)]
    if not ranks:
        return None
    key, kind = TARGETS[min(ranks)]
    value = parameters[key]
    if key == "bucketName" and isinstance(parameters.get("key"), str):
        return "AWS::S3::Object", f"arn:aws:s3:::{value}/{parameters['key']}", parameters["key"]
    return kind, value, None


def arn_name(text: str) -> str:
    """Last word of an ARN; any other text as it is."""
    return text.rpartition("/")[2].rpartition(":")[2] if text.startswith("arn:") else text


def _outcome(event: Event) -> msgspec.Struct:
    trail = event.cloudtrail
    code = trail.errorCode
    if not code:
        return subject.outcome("denied" if trail.errorMessage and trail.eventName in SIGN_INS else "success")
    return subject.outcome("denied" if DENIED.search(code) else "failure", code)


def address(text: str | None) -> str | None:
    """`text`, unless it is the name of an AWS service."""
    return text if text and (text[0].isdecimal() or ":" in text) else None


FILLS = common_fills(
    observed_at=lambda event: time_ns(event.cloudtrail.eventTime or event.cloudtrail.fallback_time),
    identity=lambda event: identity(event.cloudtrail.userIdentity),
    actor=_actor,
    action=_action,
    target=_target,
    outcome=_outcome,
    origin=lambda event: subject.origin(address(event.cloudtrail.sourceIPAddress), event.cloudtrail.userAgent),
    derived={"about": _about, "provider_id": lambda event: event.cloudtrail.eventID},
)


class CloudTrailEvent(RunEvent):
    """A CloudTrail event that came in a run."""

    kind = KIND
    source = SOURCE
    fills = {**FILLS, "offset": offset_in_run}  # noqa: RUF012 (never written to)

    cloudtrail: Any


_new = RunEvent.new


def _typed_events(records: list[Any], stream: str, number: int, run: Run) -> list[Event | None]:
    made: list[Event | None] = []
    for trail in records:
        if trail.eventName is None or trail.eventSource is None:
            made.append(None)
        else:
            event = _new(CloudTrailEvent)
            event.cloudtrail = trail
            event.stream = stream
            event.number = number
            event.run = run
            made.append(event)
        number += 1
    return made


@cache
def _type(paths: frozenset[str] | None) -> type[msgspec.Struct]:
    fields = record_type("cloudtrail", None if paths is None else paths | NEEDED)
    return with_fallback_time(fields, "@timestamp")  # Logstash's spelling of the time


def trail_type(reads: Reads) -> type[msgspec.Struct]:
    """Struct of what is read, and of what the normalised fields are made of."""
    return _type(None if reads is None else reads.get("cloudtrail", NOTHING))


def typed_path(reads: Reads) -> TypedPath:
    struct = trail_type(reads)
    names = {field.encode_name: field.name for field in msgspec.structs.fields(struct) if field.encode_name in OPEN_OBJECTS}
    if not names:
        return TypedPath(struct, _typed_events)
    open_texts = opener(names)

    def events(records: list[Any], stream: str, number: int, run: Run) -> list[Event | None]:
        open_texts(records, run)
        return _typed_events(records, stream, number, run)

    return TypedPath(struct, events)


@cache
def _spellings(struct: type[msgspec.Struct]) -> dict[str, tuple[str, Any]]:
    """Name in lower case → the name, and the type of an object of fields."""
    return {field.encode_name.lower(): (field.encode_name, field.type) for field in msgspec.structs.fields(struct)}


def respelled(record: dict[str, Any], struct: type[msgspec.Struct]) -> dict[str, Any]:
    """The record of lower-case names by the vocabulary's."""
    found: dict[str, Any] = {}
    for key, value in record.items():
        name, type_ = _spellings(struct).get(key, (key, None))
        is_branch = isinstance(value, dict) and isinstance(type_, type) and issubclass(type_, msgspec.Struct)
        found[name] = respelled(value, type_) if is_branch else value
    return found


def _is_digest(record: dict[str, Any]) -> bool:
    return "digestStartTime" in record and "logFiles" in record


def recognise(record: dict[str, Any]) -> bool:
    """An event, or a digest file of a trail."""
    if isinstance(record.get("eventName"), str):
        return isinstance(record.get("eventSource"), str) or isinstance(record.get("userIdentity"), dict) or "awsRegion" in record
    if isinstance(record.get("eventname"), str) and "eventsource" in record:
        return True
    return "insightDetails" in record or _is_digest(record) or ("eventVersion" in record and "userIdentity" in record)


def events(record: dict[str, Any], place: RecordPlace, reads: Reads) -> Iterable[Event]:
    if _is_digest(record):
        raise RecordSkipped
    event = Event(KIND, SOURCE, place.stream, place.number, place.offset, FILLS)
    struct = trail_type(reads)
    if "eventname" in record:
        record = respelled(record, struct)
    event.__dict__["cloudtrail"] = build(struct, with_objects(record, OBJECTS))
    return (event,)


PROVIDER = Provider(source=SOURCE, aliases=("aws-cloudtrail",), recognise=recognise, events=events, fast=typed_path)
