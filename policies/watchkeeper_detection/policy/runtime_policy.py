"""RuntimePolicy: what to look for, where, how serious, what to do."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StrictBool

from watchkeeper_detection.policy.model import STATUS, Across, Keyed, Model, Resource
from watchkeeper_detection.policy.policy_status import RuntimePolicyStatus
from watchkeeper_detection.policy.rule import Rule, Sentences
from watchkeeper_detection.policy.shapes import (
    ActionKind,
    Cel,
    Duration,
    LabelKey,
    LabelValue,
    NamespacePattern,
    Page,
    Paragraph,
    Tag,
    Target,
    Title,
    Url,
    nanoseconds,
)

Mode = Literal["Detect", "Enforce"]
ExceptionScope = Literal["RootOnly", "Namespaces"]
Patterns = Annotated[tuple[NamespacePattern, ...], Field(max_length=64), Keyed()]


class Namespaces(Model):
    """Namespaces that a policy covers."""

    include: Patterns = Field(default=(), description="Only these namespaces; `*` stands for any characters. Empty: all.")
    exclude: Patterns = Field(default=(), description="Not these namespaces, also where `include` names them.")


def _values_fit(written: Mapping[str, Any]) -> bool:
    return (written.get("operator") in ("In", "NotIn")) == bool(written.get("values"))


class Requirement(Model):
    """One requirement on labels."""

    ACROSS: ClassVar[tuple[Across, ...]] = (
        Across(
            "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
            "values are given with operator In and NotIn, and only with them",
            _values_fit,
        ),
    )

    key: LabelKey = Field(description="The label's key.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(description="How the label relates to `values`.")
    values: Annotated[tuple[LabelValue, ...], Field(max_length=16), Keyed()] = Field(default=(), description="The label's values, for In and NotIn.")


class LabelSelector(Model):
    """Selects by labels, as everywhere in Kubernetes; empty selects everything."""

    match_labels: Annotated[dict[str, LabelValue], Field(max_length=16)] = Field(default={}, description="Labels and the values that they must have.")
    match_expressions: Annotated[tuple[Requirement, ...], Field(max_length=16)] = Field(default=(), description="Requirements on labels; all must hold.")


class Scope(Model):
    """Which workloads a policy covers."""

    namespaces: Namespaces | None = Field(default=None, description="Namespaces that are covered. Only root policies use it; others cover their own namespace.")
    pod_selector: LabelSelector | None = Field(default=None, description="Pods that are covered, by their labels.")
    node_selector: LabelSelector | None = Field(default=None, description="Nodes that are covered, by their labels.")


class Respond(Model):
    """What to do about a detection."""

    when: Cel = Field(description='CEL condition over the detection: `severity == "P1"`.')
    action: ActionKind = Field(description="Kind of action: `IsolatePod`. Whoever writes the policy needs the verb `use` on `responsekinds/<kind>`.")
    target: Target = Field(description="What it is done to: `process.pod`, `actor.pod` or the name of a sequence's step.")
    approval: Literal["Auto", "Required"] = Field(default="Required", description="Whether a person has to approve it first.")
    ttl: Duration = Field(default="1h", description="How long it lasts: `1h`.")
    on_expiry: Literal["Undo", "Renew", "Ask"] = Field(
        default="Renew", description="Then: `Undo` it; `Renew` it while detections go on, and undo it after; or `Ask` a person."
    )
    cooldown: Duration = Field(default="10m", description="Shortest time between two actions of this kind on the same target.")

    @property
    def ttl_ns(self) -> int:
        return nanoseconds(self.ttl)

    @property
    def cooldown_ns(self) -> int:
        return nanoseconds(self.cooldown)


class RuntimePolicySpec(Model):
    title: Title | None = Field(default=None, description="What is looked for, as a short noun phrase: `Command run in a pod through the API`.")
    description: Paragraph | None = Field(default=None, description="One or two sentences: what and why.")
    status: Literal["stable", "experimental"] = Field(default="stable", description="`experimental` until its noise is known.")
    enabled: StrictBool = Field(default=True, description="Whether the policy is in force.")
    mode: Mode = Field(default="Detect", description="`Detect`: nothing is done to anyone; kill and respond only say what they would do. `Enforce`: they act.")
    scope: Scope | None = Field(
        default=None, description="Which workloads are covered. Default: all of the namespace; in the root namespace, all of the cluster."
    )
    tags: Annotated[tuple[Tag, ...], Field(max_length=16), Keyed()] = Field(default=(), description="Words to find and group policies by.")
    authors: Annotated[tuple[Title, ...], Field(max_length=16), Keyed()] = Field(default=(), description="Who wrote it; some licences require naming them.")
    license: Tag | None = Field(default=None, description="Licence of the rules, as an SPDX id: `Apache-2.0`.")
    references: Annotated[tuple[Url, ...], Field(max_length=32), Keyed()] = Field(default=(), description="Web pages about what is looked for.")
    runbook: Page | None = Field(default=None, description="For whoever is paged: what a detection means, what to check, how to tune.")
    blind_spots: Sentences = Field(default=(), description="Where the policy can't see, shown with its detections and in coverage.")
    requires: Sentences = Field(
        default=(),
        description="What must be switched on for the policy to see anything: `audit level Metadata for pods/exec`. Shown as a blind spot where it is not.",
    )
    rules: Annotated[tuple[Rule, ...], Field(min_length=1, max_length=128), Keyed("name")] = Field(
        description="What to look for: each rule can make a detection. Keyed by name."
    )
    exceptions: ExceptionScope | None = Field(
        default=None,
        description="Whose PolicyExceptions count: `RootOnly`, or `Namespaces` too. Default: RootOnly for rules of severity P1 and P2 and with kill, else Namespaces.",
    )
    respond: Annotated[tuple[Respond, ...], Field(max_length=16)] = Field(default=(), description="What to do about detections.")


class RuntimePolicy(Resource):
    """What to look for, where, how serious, and what to do.

    In a namespace it covers that namespace's workloads; in the root namespace (watchkeeper) it covers the whole cluster,
    and only there may it read audit or cloud logs.
    """

    api_version: Literal["watchkeeper.dev/v1alpha1"]
    kind: Literal["RuntimePolicy"]
    spec: RuntimePolicySpec = Field(description="What to look for, where, how serious, and what to do.")
    status: RuntimePolicyStatus | None = STATUS

    def title_of(self, rule: Rule) -> str:
        return rule.title or self.spec.title or self.name

    def exceptions_of(self, rule: Rule) -> ExceptionScope:
        """Whose exceptions count for the rule."""
        guarded = rule.kill or rule.severity in ("P1", "P2")
        return self.spec.exceptions or ("RootOnly" if guarded else "Namespaces")
