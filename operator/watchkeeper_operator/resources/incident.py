"""Incident: detections that belong together, as people see them."""

from typing import Annotated, Literal

from pydantic import Field, StrictBool

from watchkeeper_detection.detection import Confidence, Severity
from watchkeeper_detection.policy import Model, Resource, Status
from watchkeeper_detection.policy.model import STATUS, Keyed, Number
from watchkeeper_detection.policy.shapes import Instant, Name, Paragraph, Sentence, Technique, Title
from watchkeeper_operator.resources.texts import ApiVersion, EntityId, Qualified, Word

MOST_ENTITIES = 50
MOST_ENTRIES = 50


class IncidentSpec(Model):
    disposition: Literal["TruePositive", "FalsePositive", "Benign"] | None = Field(
        default=None,
        description="What it was, said by a person: an attack (`TruePositive`), a mistake of the rule (`FalsePositive`), or what the rule says, but meant well "
        "(`Benign`). The last two close it. Left out: nobody has judged it.",
    )
    owner: Title | None = Field(default=None, description="Person or team that has it. Setting it acknowledges the incident.")
    note: Paragraph | None = Field(default=None, description="What the next person should know.")
    closed: StrictBool = Field(default=False, description="Set true by a person when it is over; what belongs to it and comes later makes a new incident.")


class Times(Model):
    """When what happened; each is left out until it is so. What key figures are computed from."""

    began: Instant | None = Field(default=None, description="t0: the first malicious event.")
    recorded: Instant | None = Field(default=None, description="t1: when the sensor or the API server told it.")
    received: Instant | None = Field(default=None, description="t2: when the collector had it.")
    detected: Instant | None = Field(default=None, description="t3: the first detection.")
    acknowledged: Instant | None = Field(default=None, description="t4: a person had it.")
    declared: Instant | None = Field(default=None, description="t5: it was declared an incident.")
    contained: Instant | None = Field(default=None, description="t6: an action against it was verified.")
    eradicated: Instant | None = Field(default=None, description="t7: the cause was gone.")
    closed: Instant | None = Field(default=None, description="t8: it was closed.")


class IncidentEntity(Model):
    """One thing that the incident is about."""

    role: Word = Field(description="Its part in it: `actor`, `identity`, `target`, `origin`.")
    kind: Word = Field(description="What it is: `pod`, `container`, `identity`, `node`, `address`.")
    id: EntityId = Field(description="Its canonical id: what incidents are joined by.")
    name: EntityId | None = Field(default=None, description="What people call it: `shop/web-1`. Left out where the id says it.")
    detections: Number = Field(default=1, description="How many detections name it.")


class TimelineEntry(Model):
    """Something that happened, or several of the same."""

    at: Instant = Field(description="When: event time; of several, the first.")
    what: Word = Field(
        description="What the entry is: `detection`, `context` (one that opens no incident and shares something with this one), `disposition`, `action`, `blind`."
    )
    policy: Qualified | None = Field(default=None, description="Of a detection: the policy.")
    rule: Name | None = Field(default=None, description="Of a detection: the rule.")
    severity: Severity | None = Field(default=None, description="Of a detection: its severity.")
    message: Sentence = Field(description="In words.")
    count: Number = Field(default=1, description="How many of the same, one after the other.")
    detection: EntityId | None = Field(default=None, description="Id of the (first) detection: `watchkeeper detections show ID`.")


class IncidentStatus(Status):
    """What is known. Written by the operator only; what is longer than an object may be is in the store."""

    title: Title | None = Field(default=None, description="What happened, as a short noun phrase.")
    summary: Paragraph | None = Field(default=None, description="Why it has this severity, in words.")
    severity: Severity | None = Field(default=None, description="`P1` page someone now; `P2` look today; `P3` look in working hours; `P4` record.")
    confidence: Confidence | None = Field(default=None, description="The highest of its detections.")
    detections: Number | None = Field(default=None, description="How many detections joined it.")
    last_detected_at: Instant | None = Field(default=None, description="Event time of the newest detection.")
    times: Times | None = Field(default=None, description="When what happened.")
    policies: Annotated[tuple[Qualified, ...], Field(max_length=16), Keyed()] = Field(default=(), description="Policies that raised it, at most 16.")
    attack: Annotated[tuple[Technique, ...], Field(max_length=32), Keyed()] = Field(default=(), description="MITRE ATT&CK technique ids (v19).")
    entities: Annotated[tuple[IncidentEntity, ...], Field(max_length=MOST_ENTITIES)] = Field(default=(), description="What it is about, at most 50.")
    timeline: Annotated[tuple[TimelineEntry, ...], Field(max_length=MOST_ENTRIES)] = Field(
        default=(), description="What happened, oldest first, at most 50: the gravest, the first ones and the newest."
    )
    entities_left_out: Number | None = Field(default=None, description="Entities that found no place here.")
    entries_left_out: Number | None = Field(default=None, description="Entries of the timeline that found no place here.")
    next_steps: Annotated[tuple[Paragraph, ...], Field(max_length=16)] = Field(default=(), description="What to check and do, from the policies' runbooks.")
    blind_spots: Annotated[tuple[Sentence, ...], Field(max_length=16), Keyed()] = Field(default=(), description="What could not be seen meanwhile.")
    related: Annotated[tuple[Qualified, ...], Field(max_length=16), Keyed()] = Field(
        default=(), description="Other incidents that share an entity: `namespace/name`. An incident of the root namespace may name others', never the reverse."
    )


class Incident(Resource):
    """Detections that belong together: what happened, to what, when, how serious it is and what to do next.

    Made by the operator where the policy's authority lives: what a root policy raises is in the root namespace, what a namespaced
    policy raises is in its namespace and holds only that namespace's facts. The store is the truth, the object shows it.
    """

    api_version: ApiVersion
    kind: Literal["Incident"]
    spec: IncidentSpec = Field(description="What people say about it; written by people only.")
    status: IncidentStatus | None = STATUS
