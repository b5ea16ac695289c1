"""Whether a node may say what it says: only what its own pods, and policies that cover them, can have given rise to. Pure."""

from __future__ import annotations

import zlib
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

import msgspec

from watchkeeper_detection.logs.kernel_event import SOURCE
from watchkeeper_detection.matcher import covers
from watchkeeper_detection.subject import service_account
from watchkeeper_detection.wire import WireError, decode_blind, decode_detection, decode_match

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watchkeeper_detection.detection import Detection
    from watchkeeper_detection.match import Match, Scalar
    from watchkeeper_detection.node_wire import Entry
    from watchkeeper_detection.program import Rule
    from watchkeeper_operator.collector.cluster_view import ClusterView, Runs
    from watchkeeper_operator.collector.rules_known import RulesKnown

EVENT_BYTES = 512 * 1024  # of an inflated event
SERVICE_ACCOUNT = "system:serviceaccount:"

Reason = Literal["AnotherNodesPod", "PodUnknown", "PolicyUnknown", "NotCovered", "NotItsKind", "Unreadable", "AnotherIdentity"]


class Vetted(NamedTuple):
    """`reason`: why the entry is to be discarded; None where it stands. What it was about is for the report, `namespace/name`."""

    reason: Reason | None
    pod: str = ""
    policy: str = ""


class _EventPod(msgspec.Struct, frozen=True):
    name: str | None = None
    namespace: str | None = None
    uid: str | None = None


class _EventNode(msgspec.Struct, frozen=True):
    name: str | None = None


class _Event(msgspec.Struct, frozen=True):
    pod: _EventPod = _EventPod()
    node: _EventNode = _EventNode()


class _RefusedError(Exception):
    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


class Vetting:
    """Of what one node says. `node`: its name."""

    def __init__(self, node: str, view: ClusterView, rules: RulesKnown) -> None:
        self._node = node
        self._view = view
        self._rules = rules

    @cached_property
    def _here(self) -> list[Runs]:
        """Pods that this node runs, or lately ran."""
        return self._view.on_node(self._node) + [one for one in self._view.ended if one.node == self._node]

    def pods_of(self, entries: Iterable[Entry]) -> set[tuple[str, str]]:
        """Namespaces and names of pods that entries are about and that nobody here has heard of."""
        named = set()
        for entry in entries:
            if entry.kind == "detection":
                try:
                    act = decode_detection(entry.payload).act
                except WireError:
                    continue
                namespace, _, name = (act.pod if act and act.pod else "").partition("/")
                if name and not self._view.named(namespace, name):
                    named.add((namespace, name))
        return named

    def vet(self, entry: Entry) -> Vetted:
        pod = policy = ""
        try:
            match entry.kind:
                case "detection":
                    detection = decode_detection(entry.payload)
                    policy = f"{detection.namespace}/{detection.policy}"
                    pod = (detection.act.pod if detection.act else None) or ""
                    self._vet_detection(detection)
                case "match":
                    self._vet_match(decode_match(entry.payload))
                case "loss":
                    decode_blind(entry.payload)
        except WireError:
            return Vetted("Unreadable", pod, policy)
        except _RefusedError as refused:
            return Vetted(refused.reason, pod, policy)
        return Vetted(None, pod, policy)

    def _vet_detection(self, found: Detection) -> None:
        rule = self._rules.named(found.namespace, found.policy, found.rule, found.revision)
        if rule is None:
            raise _RefusedError("PolicyUnknown")
        if found.source != SOURCE or found.kind not in rule.kinds:
            raise _RefusedError("NotItsKind")
        act, event = found.act, _event_of(found)
        if (act is not None and act.node not in (None, self._node)) or event.node.name not in (None, self._node):
            raise _RefusedError("AnotherNodesPod")
        pod = self._pod(act.pod if act else None, act.pod_uid if act else None)
        told = f"{event.pod.namespace}/{event.pod.name}" if event.pod.name else None
        if found.event is not None and told != (act.pod if act else None):
            raise _RefusedError("AnotherNodesPod")
        if event.pod.uid is not None and (pod is None or event.pod.uid not in (pod.uid, pod.kubelet_uid)):
            raise _RefusedError("AnotherNodesPod")
        if not covers(cast("Rule", rule), pod.namespace if pod else None):
            raise _RefusedError("NotCovered")
        self._vet_identity(found.identity, [pod] if pod else [])

    def _pod(self, named: str | None, uid: str | None) -> Runs | None:
        """The pod that this node runs or ran; None for the host itself."""
        if named is None:
            if uid is not None:
                raise _RefusedError("PodUnknown")
            return None
        namespace, _, name = named.partition("/")
        known = self._view.named(namespace, name)
        if not known:
            raise _RefusedError("PodUnknown")
        here = [one for one in known if one.node == self._node and uid in (None, one.uid, one.kubelet_uid)]
        if not here:
            raise _RefusedError("AnotherNodesPod")
        return here[-1]

    def _vet_identity(self, identity: Scalar, pods: Iterable[Runs]) -> None:
        """A service account is that of the pod; a user of a host or container is called otherwise."""
        if identity is None:
            return
        name = str(identity)
        if name.startswith(SERVICE_ACCOUNT):
            if name not in {service_account(one.namespace, one.service_account) for one in pods}:
                raise _RefusedError("AnotherIdentity")
        elif not name.startswith(("host/", "container:")):
            raise _RefusedError("AnotherIdentity")

    def _vet_match(self, match: Match) -> None:
        rules = self._rules.with_state(match.rule)
        if not rules:
            raise _RefusedError("PolicyUnknown")
        rule = next((one for one in rules if match.kind in one.kinds), None)
        if rule is None or match.source != SOURCE:
            raise _RefusedError("NotItsKind")
        here = self._here
        self._vet_identity(match.about[1] if len(match.about) > 1 else None, here)
        paths = rule.keys[match.step] if 0 <= match.step < len(rule.keys) else ()
        for path, value in [*zip(paths, match.keys, strict=False), *match.kept.items()]:
            if not self._is_here(path, value, here):
                raise _RefusedError("AnotherNodesPod")
        if rule.include and not any(covers(cast("Rule", rule), namespace) for namespace in {one.namespace for one in here}):
            raise _RefusedError("NotCovered")

    def _is_here(self, path: str, value: Scalar, here: Iterable[Runs]) -> bool:
        """Whether a field that says where something happened says this node, or a pod of it."""
        if value is None:
            return True
        match path:
            case "node.name":
                return value == self._node
            case "pod.uid":
                return any(value in (one.uid, one.kubelet_uid) for one in here)
            case "pod.name":
                return any(value == one.name for one in here)
            case "pod.namespace":
                return any(value == one.namespace for one in here)
            case "identity.id":
                return str(value).startswith(("host/", "container:")) or any(value == service_account(one.namespace, one.service_account) for one in here)
            case _:
                return True


def _event_of(found: Detection) -> _Event:
    """Where the event in a detection says to have happened."""
    if found.event is None:
        return _Event()
    inflating = zlib.decompressobj()
    try:
        line = inflating.decompress(found.event, EVENT_BYTES)
        if not inflating.eof:
            raise _RefusedError("Unreadable")
        return msgspec.json.decode(line, type=_Event)
    except (zlib.error, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _RefusedError("Unreadable") from None
