"""What a node may say: only about itself and its own pods, by rules that cover them. Each refusal beside what is nearly the same and stands."""

import zlib

import msgspec
import pytest
from tests.support.nodes import NODE, OTHER, a_finding, a_known, a_node_match, a_pod, a_view, an_entry, some_rules

from watchkeeper_detection import wire
from watchkeeper_detection.detection import Act
from watchkeeper_detection.node_wire import Entry
from watchkeeper_operator.collector.vetting import EVENT_BYTES, Vetting


def vet(sent: object, *, view: object = None, rules: object = None) -> str | None:
    entry = sent if isinstance(sent, Entry) else an_entry(sent)
    return Vetting(NODE, view or a_view(), rules or some_rules()).vet(entry).reason


def an_act(**fields: object) -> Act:
    return Act(**({"process": "/bin/sh", "process_id": 7, "pod": "shop/web-0", "node": NODE} | fields))


STANDS = {
    "its own pod": a_finding(),
    "its own pod by uid": a_finding(act=an_act(pod_uid="uid-shop-web-0")),
    "the node itself": a_finding(pod=None),
    "no event beside it, as in a storm": msgspec.structs.replace(a_finding(), event=None),
    "the pod's own service account": a_finding(identity="system:serviceaccount:shop:web"),
    "a user of the container": a_finding(identity="container:0123456789ab/root"),
    "a user of the host": a_finding(pod=None, identity="host/root"),
    "a policy of the pod's namespace": a_finding(policy="own", namespace="shop"),
    "a policy of root from a sensor that does not say whose it is": a_finding(namespace=""),
}


@pytest.mark.parametrize("sent", STANDS.values(), ids=STANDS)
def test_what_is_its_own_stands(sent: object) -> None:
    assert vet(sent) is None


REFUSED = {
    "a pod of another node": (a_finding(pod="bank/till-0"), "AnotherNodesPod"),
    "a pod that nobody has heard of": (a_finding(pod="shop/web-9"), "PodUnknown"),
    "its pod's name with another pod's uid": (a_finding(act=an_act(pod_uid="uid-bank-till-0")), "AnotherNodesPod"),
    "a uid without a pod": (a_finding(act=an_act(pod=None, pod_uid="uid-bank-till-0"), event={}), "PodUnknown"),
    "another node": (a_finding(act=an_act(node=OTHER)), "AnotherNodesPod"),
    "an event of another node": (a_finding(event={"node": {"name": OTHER}, "pod": {"name": "web-0", "namespace": "shop"}}), "AnotherNodesPod"),
    "an event of another pod than the act": (a_finding(event={"pod": {"name": "till-0", "namespace": "bank"}}), "AnotherNodesPod"),
    "an event of a pod with an act of none": (
        a_finding(act=None, event={"pod": {"name": "till-0", "namespace": "bank"}}),
        "AnotherNodesPod",
    ),
    "an event with another pod's uid": (
        a_finding(event={"pod": {"name": "web-0", "namespace": "shop", "uid": "uid-bank-till-0"}}),
        "AnotherNodesPod",
    ),
    "another service account": (a_finding(identity="system:serviceaccount:kube-system:admin"), "AnotherIdentity"),
    "a person": (a_finding(identity="alice@example.com"), "AnotherIdentity"),
    "a service account on the host": (a_finding(pod=None, identity="system:serviceaccount:shop:web"), "AnotherIdentity"),
    "a revision that was never in force": (a_finding(revision="r0"), "PolicyUnknown"),
    "a policy that there is not": (a_finding(policy="none"), "PolicyUnknown"),
    "a rule of the same name in another namespace": (a_finding(namespace="bank"), "PolicyUnknown"),
    "an audit event": (a_finding(kind="audit.request"), "NotItsKind"),
    "a source that is no kernel": (a_finding(source="k8s-audit"), "NotItsKind"),
    "another namespace's policy over the node itself": (a_finding(policy="own", namespace="shop", pod=None), "NotCovered"),
}


@pytest.mark.parametrize(("sent", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_its_own_is_refused(sent: object, reason: str) -> None:
    assert vet(sent) == reason


def test_a_policy_covers_no_pod_of_a_namespace_that_it_leaves_out() -> None:
    rules = some_rules(a_known(exclude=("kube-*",)))
    view = a_view(a_pod(), a_pod("dns-0", "kube-system"))
    assert vet(a_finding(), view=view, rules=rules) is None
    assert vet(a_finding(pod="kube-system/dns-0"), view=view, rules=rules) == "NotCovered"


def test_a_pod_that_has_ended_may_still_be_told_of_by_its_node_alone() -> None:
    view = a_view(a_pod())
    view.remove_pod(a_pod())
    assert vet(a_finding(), view=view) is None
    view.put_pod(a_pod(node=OTHER, uid="uid-2"))  # the same name, elsewhere now
    assert vet(a_finding(), view=view) is None
    assert (
        Vetting(OTHER, view, some_rules()).vet(an_entry(a_finding(act=an_act(node=OTHER), event={"pod": {"name": "web-0", "namespace": "shop"}}))).reason
        is None
    )
    assert vet(a_finding(act=an_act(pod_uid="uid-2")), view=view) == "AnotherNodesPod"


def test_a_static_pod_is_known_by_the_uid_that_the_kubelet_gives_it() -> None:
    view = a_view(a_pod(annotations={"kubernetes.io/config.hash": "abc"}))
    assert vet(a_finding(act=an_act(pod_uid="abc")), view=view) is None


def test_a_small_event_that_inflates_without_end_is_refused() -> None:
    bomb = zlib.compress(b'{"pod":{"name":"' + b"a" * (EVENT_BYTES + 10) + b'"}}', 9)
    assert len(bomb) < 4096
    assert vet(_with_event(bomb)) == "Unreadable"


def _with_event(event: bytes) -> object:
    return msgspec.structs.replace(a_finding(), event=event)


@pytest.mark.parametrize("event", [b"", b"x", zlib.compress(b"{"), zlib.compress(b"[]"), zlib.compress(b'{"pod": 3}'), zlib.compress(b"\xff")])
def test_an_event_that_is_none_is_refused(event: bytes) -> None:
    assert vet(_with_event(event)) == "Unreadable"


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x02" + wire.encode(a_finding())[1:], wire.encode(a_finding())[:-3]])
@pytest.mark.parametrize("kind", ["detection", "match", "loss"])
def test_bytes_that_are_nothing_are_refused(kind: str, payload: bytes) -> None:
    assert vet(Entry(kind, 1, payload)) == "Unreadable"


MATCHES = {
    "its own pod": (a_node_match(), None),
    "no pod at all": (a_node_match(keys=(None,)), None),
    "another node's pod as key": (a_node_match(keys=("uid-bank-till-0",)), "AnotherNodesPod"),
    "another node's pod in what a sequence keeps": (a_node_match(kept={"pod.namespace": "bank"}), "AnotherNodesPod"),
    "its own in what a sequence keeps": (a_node_match(kept={"pod.name": "web-0", "node.name": NODE, "process.exe": "/x"}), None),
    "another node by name": (a_node_match(kept={"node.name": OTHER}), "AnotherNodesPod"),
    "another identity": (a_node_match(about=(None, "system:serviceaccount:bank:till", None, None)), "AnotherIdentity"),
    "an identity of its pods": (a_node_match(about=(None, "system:serviceaccount:shop:web", None, None)), None),
    "a rule that there is not": (a_node_match(rule="s0"), "PolicyUnknown"),
    "another kind": (a_node_match(kind="audit.request"), "NotItsKind"),
    "another source": (a_node_match(source="k8s-audit"), "NotItsKind"),
}


@pytest.mark.parametrize(("sent", "reason"), MATCHES.values(), ids=MATCHES)
def test_matches_are_vetted_by_the_fields_that_say_where(sent: object, reason: str | None) -> None:
    assert vet(sent) == reason


def test_a_match_by_a_policy_of_a_namespace_that_has_no_pod_here_is_refused() -> None:
    rules = some_rules(a_known(namespace="bank", include=("bank",), keys=((),)))
    assert vet(a_node_match(), rules=rules) == "NotCovered"


def test_a_node_may_say_that_it_was_blind() -> None:
    assert vet(wire.Blind(cause="ring_full", since=1, until=2)) is None
