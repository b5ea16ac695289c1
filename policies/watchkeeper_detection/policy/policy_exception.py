"""PolicyException: what a team accepts, or how a shipped policy is tuned without editing it."""

from datetime import UTC, datetime
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, StrictBool
from pydantic_core import PydanticCustomError

from watchkeeper_detection.detection import Severity
from watchkeeper_detection.policy.model import STATUS, Across, Keyed, Model, Resource
from watchkeeper_detection.policy.policy_status import PolicyExceptionStatus
from watchkeeper_detection.policy.rule import Count
from watchkeeper_detection.policy.runtime_policy import Mode
from watchkeeper_detection.policy.shapes import Cel, Duration, Moment, Name, Paragraph, Title, nanoseconds, shown


def _on_the_calendar(moment: str) -> str:
    try:
        datetime.fromisoformat(moment)
    except ValueError:
        raise PydanticCustomError("shape", "{text} is not on the calendar", {"text": shown(moment)}) from None
    return moment


class ThresholdOverride(Model):
    """Another count or window for a rule's threshold."""

    ACROSS: ClassVar[tuple[Across, ...]] = (
        Across("has(self.count) || has(self.within)", "threshold needs count, within or both", lambda written: "count" in written or "within" in written),
    )

    count: Count | None = Field(default=None, description="How many events (or distinct values) make a detection. Default: the rule's.")
    within: Duration | None = Field(default=None, description="Length of the window: `5m`. Default: the rule's.")

    @property
    def within_ns(self) -> int | None:
        return None if self.within is None else nanoseconds(self.within)


class Override(Model):
    """Other settings for a policy or some of its rules."""

    ACROSS: ClassVar[tuple[Across, ...]] = (
        Across(
            "has(self.enabled) || has(self.severity) || has(self.mode) || has(self.threshold)",
            "override needs at least one of enabled, severity, mode and threshold",
            bool,
        ),
    )

    enabled: StrictBool | None = Field(default=None, description="Switch the rules off, or on.")
    severity: Severity | None = Field(default=None, description="Severity of the rules from now on.")
    mode: Mode | None = Field(default=None, description="`Detect` or `Enforce` for the rules.")
    threshold: ThresholdOverride | None = Field(default=None, description="Count and window of rules that have a threshold.")


class PolicyExceptionSpec(Model):
    ACROSS: ClassVar[tuple[Across, ...]] = (
        Across(
            "has(self.when) != has(self.override)",
            "an exception has exactly one of when (hold back what matches) and override (change settings)",
            lambda written: ("when" in written) != ("override" in written),
        ),
        # Also makes the API server look at the type: by its format alone it takes a list for a time (seen with 0.34.1).
        Across(
            "!has(self.until) || self.until >= timestamp('2000-01-01T00:00:00Z')",
            "until lies before the year 2000",
            lambda written: not isinstance(written.get("until"), str) or written["until"] >= "2",
        ),
    )

    policy: Name = Field(description="Name of the RuntimePolicy.")
    rules: Annotated[tuple[Name, ...], Field(max_length=128), Keyed()] = Field(default=(), description="Names of its rules. Empty: all of them.")
    when: Cel | None = Field(
        default=None,
        description="CEL condition over the event: detections that match are held back, kept and counted. "
        "Where a field that it reads is absent, nothing is held back. Exactly one of when and override.",
    )
    override: Override | None = Field(default=None, description="Other settings, in the root namespace only: a shipped policy is tuned without editing it.")
    reason: Paragraph = Field(description="Why this is acceptable; shown with everything that it holds back.")
    owner: Title = Field(description="Person or team that answers for it.")
    until: Annotated[Moment, AfterValidator(_on_the_calendar)] | None = Field(
        default=None, description="When it ends, in UTC: `2026-12-31T00:00:00Z`. Outside the root namespace it is required and at most 90 days away."
    )

    @property
    def until_ns(self) -> int:
        """End in nanoseconds since the epoch; 0: none."""
        return 0 if self.until is None else int(datetime.fromisoformat(self.until).astimezone(UTC).timestamp()) * 10**9


class PolicyException(Resource):
    """What a team accepts: a policy and its rules, a condition, a reason, an owner and an end.

    Never silent: what it holds back is kept and counted, and unused and expired exceptions are reported. In a namespace
    it covers only that namespace's workloads.
    """

    api_version: Literal["watchkeeper.dev/v1alpha1"]
    kind: Literal["PolicyException"]
    spec: PolicyExceptionSpec = Field(description="What is accepted, why, by whom and until when.")
    status: PolicyExceptionStatus | None = STATUS
