"""One rule of a RuntimePolicy."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, StrictBool, StrictInt

from watchkeeper_detection.detection import Confidence, Severity
from watchkeeper_detection.policy.model import Across, Keyed, Model
from watchkeeper_detection.policy.shapes import Cel, Duration, EventKind, Key, Name, Page, Sentence, Shape, StepName, Technique, Template, Title, nanoseconds

Kinds = Annotated[tuple[EventKind, ...], Field(min_length=1, max_length=16), Keyed()]
Keys = Annotated[tuple[Key, ...], Field(max_length=8)]
OneOrMoreKeys = Annotated[tuple[Key, ...], Field(min_length=1, max_length=8)]
Sentences = Annotated[tuple[Sentence, ...], Field(max_length=16), Keyed()]
Count = Annotated[StrictInt, Field(ge=1, le=1_000_000)]

AGGREGATES = ("threshold", "sequence", "firstSeen")


class Unless(Model):
    """A known good case that holds the rule back."""

    name: Name = Field(description="Name of the case, unique in the rule: `node-agents`. What it holds back is counted under this name.")
    when: Cel = Field(
        description="CEL condition; the rule is held back when it is true. Where a field that it reads is absent, the rule is not held back. "
        "Name what an attacker can't pick (namespace and service account with an image digest), never a process name or a label alone."
    )


class Threshold(Model):
    """Fire when the condition has held often enough in a time."""

    count: Count = Field(description="How many events (or distinct values) make a detection; each `count` more in the window make another.")
    within: Duration = Field(description="Length of the window in event time: `30s`, `5m`, `2h`, `14d`.")
    by: Keys = Field(default=(), description="CEL values to count apart: `[identity.id]` counts for each identity. Empty: one count for all events.")
    distinct: Key | None = Field(default=None, description="CEL value; count how many different values it takes instead of how many events there are.")

    @property
    def within_ns(self) -> int:
        return nanoseconds(self.within)


class Step(Model):
    """One event of a sequence."""

    name: StepName = Field(
        description="Name of the step, unique in the sequence. Later steps and the message read its fields as `<name>.<field>`: `read.pod.ip`."
    )
    on: Kinds = Field(description="Event kinds that the step looks at: `[file.open]`.")
    when: Cel = Field(description="CEL condition of the step. It may read fields of earlier steps by their names.")
    by: OneOrMoreKeys = Field(description="CEL values that join the steps: `[identity.id]`. Every step of a sequence has as many, in the same order.")


class Sequence(Model):
    """Fire when several events came together."""

    ACROSS: ClassVar[tuple[Across, ...]] = (
        Across(
            "self.steps.all(step, size(step.by) == size(self.steps[0].by))",
            "every step of a sequence is joined by as many values (by)",
            lambda written: len({_length(step) for step in _entries(written.get("steps"))}) <= 1,
        ),
    )

    within: Duration = Field(description="Longest time from the first step to the last, in event time: `10m`.")
    ordered: StrictBool = Field(default=True, description="Whether the steps must come in the order in which they are written.")
    steps: Annotated[tuple[Step, ...], Field(min_length=2, max_length=8), Keyed("name")] = Field(
        description="The events that must come together, keyed by name."
    )

    @property
    def within_ns(self) -> int:
        return nanoseconds(self.within)


def _entries(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _length(step: Any) -> int:
    by = step.get("by") if isinstance(step, dict) else getattr(step, "by", None)
    return len(by) if isinstance(by, (list, tuple)) else 0


class FirstSeen(Model):
    """Fire when a value was never seen before."""

    of: OneOrMoreKeys = Field(description="CEL values that together are new: `[origin.asn]`.")
    per: Keys = Field(default=(), description="CEL values that novelty is judged for: `[identity.id]` asks what is new for each identity.")
    learn: Duration = Field(default="14d", description="How long a new key of `per` only learns before it can fire.")

    @property
    def learn_ns(self) -> int:
        return nanoseconds(self.learn)


class Suppress(Model):
    """Fire once for a while."""

    by: Keys = Field(default=(), description="CEL values: one detection for each combination of them.")
    for_: Duration = Field(alias="for", description="How long further detections of the same key are held back (and counted): `1h`.")

    @property
    def for_ns(self) -> int:
        return nanoseconds(self.for_)


def _one_event(written: Mapping[str, Any]) -> bool:
    return not any(word in written for word in AGGREGATES)


class Rule(Model):
    """What to look for, how serious it is, and what to say."""

    ACROSS: ClassVar[tuple[Across, ...]] = (
        Across(
            "[has(self.threshold), has(self.sequence), has(self.firstSeen)].filter(given, given).size() <= 1",
            "a rule has at most one of threshold, sequence and firstSeen",
            lambda written: sum(word in written for word in AGGREGATES) <= 1,
        ),
        Across(
            "has(self.sequence) || (has(self.on) && has(self.when))",
            "a rule needs on (event kinds) and when (a condition), unless it is a sequence",
            lambda written: "sequence" in written or ("on" in written and "when" in written),
        ),
        Across(
            "!has(self.sequence) || (!has(self.on) && !has(self.when))",
            "a sequence has on and when in each of its steps, not beside it",
            lambda written: "sequence" not in written or ("on" not in written and "when" not in written),
        ),
        Across(
            "!has(self.kill) || !self.kill || (!has(self.threshold) && !has(self.sequence) && !has(self.firstSeen))",
            "kill is decided in the kernel on one event: not with threshold, sequence or firstSeen (respond with KillProcess instead)",
            lambda written: written.get("kill") is not True or _one_event(written),
        ),
    )

    name: Name = Field(description="Name of the rule, unique in the policy; detections and exceptions name it.")
    id: Annotated[str, Shape("an id of letters, digits, dots, dashes and underscores", 64, "[A-Za-z0-9][A-Za-z0-9._-]*")] | None = Field(
        default=None, description="Id that stays when the rule is renamed, a UUID for example; importers keep the source's."
    )
    title: Title | None = Field(default=None, description="What a detection is called, as a short noun phrase. Default: the policy's title.")
    on: Kinds = Field(default=(), description="Event kinds that the rule looks at: `[audit.request]`. `watchkeeper fields` lists them and their fields.")
    when: Cel | None = Field(
        default=None,
        description="CEL condition over the event's fields. A condition that reads an absent field does not hold: ask with has(path) or get(path, default).",
    )
    unless: Annotated[tuple[Unless, ...], Field(max_length=16), Keyed("name")] = Field(
        default=(), description="Known good cases, keyed by name, that hold the rule back."
    )
    threshold: Threshold | None = Field(
        default=None, description="Fire when the condition held often enough in a time. At most one of threshold, sequence, firstSeen."
    )
    sequence: Sequence | None = Field(
        default=None, description="Fire when several events came together. Its steps carry `on` and `when`; the rule itself then has neither."
    )
    first_seen: FirstSeen | None = Field(default=None, description="Fire when a value was never seen before. At most one of threshold, sequence, firstSeen.")
    suppress: Suppress | None = Field(default=None, description="After a detection, hold further ones of the same key back for a while.")
    severity: Severity = Field(description="`P1` page someone now; `P2` look today; `P3` look in working hours; `P4` record only.")
    confidence: Confidence = Field(
        default="medium", description="How often a detection is what the title says: `low` when the same is often done legitimately."
    )
    attack: Annotated[tuple[Technique, ...], Field(max_length=8), Keyed()] = Field(default=(), description="MITRE ATT&CK technique ids (v19): `[T1609]`.")
    message: Template | None = Field(
        default=None,
        description="One line about what happened; `{identity.id}` is replaced by the field's value, `{{` and `}}` are braces. Default: the title.",
    )
    kill: StrictBool = Field(
        default=False,
        description="Kill the process in the kernel, at once. Needs a condition that the kernel decides exactly; in mode Detect it is only reported what would have been killed.",
    )
    requires: Sentences | None = Field(default=None, description="What must be switched on for the rule to see anything. Default: the policy's.")
    blind_spots: Sentences | None = Field(default=None, description="Where the rule can't see. Default: the policy's.")
    runbook: Page | None = Field(default=None, description="What a detection means, what to check, how to tune. Default: the policy's.")
