"""ResponseApproval: one person's yes or no to one action."""

from typing import ClassVar, Literal

from pydantic import Field

from watchkeeper_detection.policy import Model, Resource
from watchkeeper_detection.policy.model import Across
from watchkeeper_detection.policy.shapes import Name, Paragraph
from watchkeeper_operator.resources.response_action import UNCHANGEABLE
from watchkeeper_operator.resources.texts import ApiVersion, Digest, Uid, Username


class ResponseApprovalSpec(Model):
    ACROSS: ClassVar[tuple[Across, ...]] = (UNCHANGEABLE,)

    action: Name = Field(description="Name of the ResponseAction, in the same namespace.")
    action_uid: Uid = Field(alias="actionUID", description="Its uid: an action that is made anew under this name is another one.")
    plan_digest: Digest = Field(description="Digest of the plan that was looked at (`status.plan.digest`): another plan needs another approval.")
    decision: Literal["Approve", "Deny"] = Field(description="Yes or no. One `Deny` ends the request.")
    approver: Username = Field(description="Who decides: the caller, nobody else, and no service account.")
    reason: Paragraph | None = Field(default=None, description="Why, in words.")


class ResponseApproval(Resource):
    """One person's yes or no to one ResponseAction, for the plan that was looked at.

    Nobody approves what they asked for themselves; condition `Counted` says whether it counts, and why not.
    """

    api_version: ApiVersion
    kind: Literal["ResponseApproval"]
    spec: ResponseApprovalSpec = Field(description="The decision. Can't be changed.")
