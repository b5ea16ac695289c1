"""ResponseAction: one response to one target."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StrictBool, StrictInt

from watchkeeper_detection.policy import Model, Resource, Status
from watchkeeper_detection.policy.model import STATUS, Across, Keyed, Number
from watchkeeper_detection.policy.shapes import ActionKind, Duration, Instant, ListValue, Name, Page, Paragraph, Sentence, Shape
from watchkeeper_operator.resources.texts import ApiKind, ApiVersion, Digest, ObjectName, Qualified, Uid, Username

UNCHANGEABLE = Across("self == oldSelf", "spec can't be changed: make another object", lambda _written: True)


class ActionTarget(Model):
    """What an action is done to. By uid: an object of the same name that came later is not touched."""

    kind: ApiKind = Field(description="Its kind: `Pod`.")
    namespace: Name | None = Field(default=None, description="Its namespace. Left out: it lies in none.")
    name: ObjectName = Field(description="Its name.")
    uid: Uid = Field(description="Its uid.")


class Parameter(Model):
    """One parameter of a kind of action."""

    name: Annotated[str, Shape("a parameter's name such as profile", 63, "[a-z][A-Za-z0-9]*")] = Field(description="Its name.")
    value: ListValue = Field(description="Its value, as text.")


class Approvals(Model):
    """How many people have to approve, and by when."""

    count: Annotated[StrictInt, Field(ge=1, le=5)] = Field(default=1, description="How many.")
    within: Duration = Field(default="24h", description="Then the request ends without being carried out.")


class ResponseActionSpec(Model):
    ACROSS: ClassVar[tuple[Across, ...]] = (UNCHANGEABLE,)

    action: ActionKind = Field(description="Kind of action: `IsolatePod`. Whoever makes it needs the verb `use` on `responsekinds/<kind>`.")
    target: ActionTarget = Field(description="What it is done to.")
    parameters: Annotated[tuple[Parameter, ...], Field(max_length=16), Keyed("name")] = Field(
        default=(), description="Parameters of this kind of action, keyed by name. Default: the kind's."
    )
    reason: Paragraph = Field(description="Why, in words.")
    requester: Username = Field(description="Who asks for it: the caller, nobody else.")
    incident: Name | None = Field(default=None, description="Incident that it answers, in the same namespace.")
    policy: Qualified | None = Field(
        default=None, description="Policy that asked for it: `namespace/name`. Written by the operator; left out where a person did."
    )
    attempt: Annotated[StrictInt, Field(ge=1, le=100)] = Field(
        default=1,
        description="With action, target and incident the identity of the action, which is never carried out twice. A further one needs the former finished.",
    )
    approval: Literal["Auto", "Required"] = Field(
        default="Required", description="Whether people have to approve it first. Only the operator makes `Auto` ones."
    )
    approvals: Approvals | None = Field(default=None, description="How many people, and by when. Default: one, within 24h.")
    dry_run_only: StrictBool = Field(default=False, description="Only show what it would do.")
    ttl: Duration = Field(default="1h", description="How long it lasts.")
    on_expiry: Literal["Undo", "Renew", "Ask"] = Field(
        default="Renew", description="Then: `Undo` it; `Renew` it while detections go on, and undo it after; or `Ask` a person."
    )
    ttl_seconds_after_finished: Annotated[StrictInt, Field(ge=0, le=31_536_000)] = Field(
        default=604_800, description="How long the object stays when the action is finished; it is archived before."
    )


class Plan(Model):
    """What the action would do, from a dry run at the API server."""

    digest: Digest = Field(description="Of target, parameters and what the dry run gave: what approvals are given for. A changed plan voids them.")
    made_at: Instant = Field(description="When.")
    changes: Page | None = Field(default=None, description="What changes, object by object.")
    blast_radius: Annotated[tuple[Sentence, ...], Field(max_length=16)] = Field(default=(), description="What else that meets, in words.")


class ResponseActionStatus(Status):
    """How far it is. Written by the operator only."""

    plan: Plan | None = Field(default=None, description="What it would do.")
    approvals: Number | None = Field(default=None, description="Approvals that count.")
    executed_at: Instant | None = Field(default=None, description="When it was carried out.")
    verified_at: Instant | None = Field(default=None, description="When it was seen to have worked.")
    expires_at: Instant | None = Field(default=None, description="When it expires.")
    finished_at: Instant | None = Field(default=None, description="When it was over.")
    stays_open: Annotated[tuple[Sentence, ...], Field(max_length=16)] = Field(default=(), description="What it does not stop, in words.")


class ResponseAction(Resource):
    """One response to one target: dry-run first, approved where asked, bounded in time, verified and undone.

    Its conditions say how far it is: Approved, DryRunPassed, Executed, Verified, RolledBack, Expired, Succeeded. While it is
    not finished, only the operator deletes it.
    """

    api_version: ApiVersion
    kind: Literal["ResponseAction"]
    spec: ResponseActionSpec = Field(description="What is done to what. Can't be changed.")
    status: ResponseActionStatus | None = STATUS
