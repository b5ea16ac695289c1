"""LogSource: one source of log records outside the nodes, and what is known of its gaps."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from watchkeeper_detection.policy import Model, Resource, Status
from watchkeeper_detection.policy.model import STATUS, Across, Keyed, Number
from watchkeeper_detection.policy.shapes import Duration, Instant, Name, Sentence
from watchkeeper_operator.resources.texts import ApiVersion, ClusterMetadata, Path, Qualified

NAMED = 10


class AuditFile(Model):
    """Audit log files of this cluster's API servers."""

    paths: Annotated[tuple[Path, ...], Field(min_length=1, max_length=8), Keyed()] = Field(
        description="Files to follow, rotation included: `/var/log/kubernetes/audit/*.log`. They are read where the collector mounts them."
    )


def _file_fits(written: Mapping[str, Any]) -> bool:
    return (written.get("type") == "AuditFile") == ("auditFile" in written)


class LogSourceSpec(Model):
    ACROSS: ClassVar[tuple[Across, ...]] = (
        Across("(self.type == 'AuditFile') == has(self.auditFile)", "auditFile is given with type AuditFile, and only with it", _file_fits),
        Across("self.type == oldSelf.type", "type can't be changed: make another LogSource", lambda _written: True),
    )

    type: Literal["AuditWebhook", "AuditFile"] = Field(
        description="Where records come from. `AuditWebhook`: the API server posts them to the collector (`watchkeeper audit-config` writes its flags); "
        "`AuditFile`: files that it writes."
    )
    audit_file: AuditFile | None = Field(default=None, description="Files to follow, for type AuditFile.")
    silent_after: Duration = Field(default="2m", description="Without a record for this long the source counts as silent, and as blind.")


class Gap(Model):
    """A time in which records are missing."""

    since: Instant = Field(description="From when.")
    until: Instant | None = Field(default=None, description="Until when. Left out while it goes on.")
    reason: Sentence = Field(description="How it is known: `the API server dropped 120 events`.")
    records: Number | None = Field(default=None, description="How many are missing, where that is known.")


class BlindRule(Model):
    """A rule that can't fire, whatever happens."""

    policy: Qualified = Field(description="The policy: `namespace/name`.")
    rule: Name = Field(description="Its rule.")
    reason: Sentence = Field(description="What it lacks: `audit level Request for pods/exec; Metadata is logged`.")


class Coverage(Model):
    """What the last self-test showed."""

    tested_at: Instant = Field(description="When canaries were last sent: requests that are refused, and have to arrive.")
    sent: Number = Field(description="Canaries sent.")
    arrived: Number = Field(description="Canaries that arrived with the level that rules need.")
    slowest_milliseconds: Number | None = Field(default=None, description="How long the slowest took.")
    rules: Number = Field(description="Rules that read this source.")
    blind: Number = Field(description="Those of them that can't fire.")
    blind_rules: Annotated[tuple[BlindRule, ...], Field(max_length=NAMED)] = Field(default=(), description="The first ten of those, each with its reason.")
    untested: Annotated[tuple[Sentence, ...], Field(max_length=16), Keyed()] = Field(default=(), description="What the test can't tell, in words.")


class LogSourceStatus(Status):
    """State of the source. Written by the operator only."""

    last_record_at: Instant | None = Field(default=None, description="Time of the newest record.")
    records: Number | None = Field(default=None, description="Records taken so far.")
    records_per_second: Number | None = Field(default=None, description="Over the last five minutes.")
    refused: Number | None = Field(default=None, description="Lines that no reader could take. Each is an event, `log.rejected`.")
    truncated: Number | None = Field(
        default=None, description="Records that came without their bodies since they were too long. Each is a detection, and blind."
    )
    lag_milliseconds: Number | None = Field(default=None, description="How late the latest record of the last report came, after it was logged.")
    missing: Number | None = Field(default=None, description="Gaps so far.")
    gaps: Annotated[tuple[Gap, ...], Field(max_length=NAMED)] = Field(default=(), description="The ten newest gaps, newest first.")
    coverage: Coverage | None = Field(default=None, description="What the last self-test showed: which rules can't fire.")


class LogSource(Resource):
    """One source of log records outside the nodes: where they come from, and what is known of lag, gaps and coverage.

    Cluster-scoped: what it brings is the whole cluster's.
    """

    api_version: ApiVersion
    kind: Literal["LogSource"]
    metadata: ClusterMetadata
    spec: LogSourceSpec = Field(description="Where records come from.")
    status: LogSourceStatus | None = STATUS
