"""A node is told the policies that can match what it runs and the late fields of its own pods, at once when they change, and nothing of others."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from tests.support.collectors import Running
from tests.support.nodes import NODE, OTHER, a_node, a_pod, a_view, a_written
from tests.support.whole_collectors import Whole, collecting

from watchkeeper_detection.node_wire import NodeFeed
from watchkeeper_operator.collector.cluster_view import runs_of
from watchkeeper_operator.collector.node_feed import FeedMaker, limits_for
from watchkeeper_operator.collector.policy_share import PolicyShares
from watchkeeper_operator.shapes import Metadata, Object

WEB = runs_of(a_pod(labels={"app": "web"}))
DNS = runs_of(a_pod("dns-0", "kube-system"))
AUDIT = [{"name": "x", "on": ["audit.request"], "when": "true", "severity": "P3"}]
STEPS = [{"name": "a", "on": ["file.open"], "when": "true", "by": ["pod.uid"]}, {"name": "b", "on": ["audit.request"], "when": "true", "by": ["target.id"]}]

CAN = {
    "a root policy without scope": (a_written(), [], True),
    "an audit policy": (a_written(rules=AUDIT), [WEB], False),
    "a sequence of which one step is seen on nodes": (a_written(rules=[{"name": "s", "severity": "P2", "sequence": {"steps": STEPS}}]), [], True),
    "a policy of a namespace that has a pod here": (a_written(namespace="shop"), [WEB], True),
    "a policy of a namespace that has none": (a_written(namespace="bank"), [WEB], False),
    "a root policy for some namespaces": (a_written(scope={"namespaces": {"include": ["sh*"]}}), [WEB], True),
    "a root policy for others": (a_written(scope={"namespaces": {"include": ["bank"]}}), [WEB], False),
    "a root policy for all but some, which has the host too": (a_written(scope={"namespaces": {"exclude": ["shop"]}}), [WEB], True),
    "a root policy for pods of a label": (a_written(scope={"podSelector": {"matchLabels": {"app": "web"}}}), [WEB, DNS], True),
    "a root policy for pods of another label": (a_written(scope={"podSelector": {"matchLabels": {"app": "db"}}}), [WEB, DNS], False),
    "a pod of the label in a namespace that is left out": (
        a_written(scope={"podSelector": {"matchLabels": {"app": "web"}}, "namespaces": {"exclude": ["shop"]}}),
        [WEB],
        False,
    ),
    "a policy for nodes of another label": (a_written(scope={"nodeSelector": {"matchLabels": {"pool": "b"}}}), [WEB], False),
    "a policy for nodes of this label": (
        a_written(scope={"nodeSelector": {"matchExpressions": [{"key": "pool", "operator": "In", "values": ["a"]}]}}),
        [],
        True,
    ),
}


@pytest.mark.parametrize(("policy", "pods", "can"), CAN.values(), ids=CAN)
def test_a_node_gets_the_policies_that_can_match_there(policy: object, pods: list, can: bool) -> None:  # noqa: FBT001
    assert PolicyShares([policy]).of(pods, {"pool": "a"}).policies == ((policy,) if can else ())


def test_exceptions_and_lists_go_with_the_policies_that_they_are_for() -> None:
    root, own = a_written(), a_written(name="own", namespace="shop")
    exceptions = [
        a_written("PolicyException", "of-root", policy="shells"),
        a_written("PolicyException", "of-root-for-none", policy="other"),
        a_written("PolicyException", "own-for-own", namespace="shop", policy="own"),
        a_written("PolicyException", "own-for-root", namespace="shop", policy="shells"),
        a_written("PolicyException", "of-a-stranger", namespace="bank", policy="shells"),
    ]
    lists = [a_written("PolicyList", "pools"), a_written("PolicyList", "mine", namespace="shop"), a_written("PolicyList", "theirs", namespace="bank")]
    shares = PolicyShares([root, own, *exceptions, *lists])
    share = shares.of([WEB], {})
    assert [one.key.name for one in share.policies] == ["shells", "own"]
    assert [one.key.name for one in share.exceptions] == ["of-root", "own-for-own", "own-for-root"]
    assert [one.key.name for one in share.lists] == ["pools", "mine"]
    assert [one.key.name for one in shares.of([], {}).exceptions] == ["of-root"]


def a_told(*pods: object, in_force: tuple = (a_written(),), node: object = None) -> NodeFeed:
    return msgspec.json.decode(FeedMaker(in_force, "shop-cluster").make(node or a_node(), [runs_of(one) for one in pods], ()).body, type=NodeFeed)


def test_the_sensor_reads_the_pods_as_its_own_feed_file() -> None:
    from watchkeeper_sensor.late.feed import NodeFacts, PodFacts, Told

    owner = [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d9f", "uid": "u", "controller": True}]
    labels = {"app": "web", "pod-template-hash": "7d9f"}
    long = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "long": "x" * 2000, "team": "shop"}
    told = msgspec.convert(a_told(a_pod(labels=labels, ownerReferences=owner, annotations=long), node=a_node(labels={"pool": "a"})).pods, Told)
    assert told.cluster == "shop-cluster"
    assert told.node == NodeFacts(ip="192.0.2.7", ips=["192.0.2.7"], labels={"pool": "a"})
    assert told.pods == {
        "uid-shop-web-0": PodFacts(
            labels=labels,
            annotations={"team": "shop"},
            ip="10.0.0.4",
            ips=["10.0.0.4"],
            service_account="web",
            owner_kind="Deployment",
            owner_name="web",
        )
    }


def test_a_static_pod_is_told_by_the_uid_of_its_cgroups() -> None:
    assert list(a_told(a_pod(annotations={"kubernetes.io/config.hash": "abc"})).pods["pods"]) == ["abc"]


def test_revisions_change_with_what_they_are_of() -> None:
    first, same = a_told(a_pod()), a_told(a_pod())
    assert first == same
    more_pods = a_told(a_pod(), a_pod("web-1"))
    assert more_pods.revision != first.revision
    assert more_pods.policies_revision == first.policies_revision
    edited = a_told(a_pod(), in_force=(a_written(generation=2),))
    assert edited.policies_revision != first.policies_revision
    assert edited.revision != first.revision


def test_what_is_told_is_what_the_language_reads() -> None:
    from watchkeeper_detection.policy_loading import load_policies

    (policy,) = a_told().policies
    assert load_policies(msgspec.json.encode(policy), "x.json").errors == []


def a_sensor(name: str, created: str, **spec: object) -> Object:
    return Object(metadata=Metadata(name=name, creation_timestamp=created), spec=spec)


def test_limits_are_of_the_oldest_sensor_that_selects_the_node() -> None:
    sensors = [
        a_sensor("new", "2026-02-01T00:00:00Z", eventKinds=["process.*"]),
        a_sensor("old", "2026-01-01T00:00:00Z", limits={"recordsPerSecond": 500}),
        a_sensor("other", "2025-01-01T00:00:00Z", nodeSelector={"matchLabels": {"pool": "b"}}),
    ]
    assert limits_for(a_node(), sensors) == {"recordsPerSecond": 500}
    assert limits_for(a_node(), sensors[:1]) == {"eventKinds": ["process.*"]}
    assert limits_for(a_node(), []) == {}


async def ask(running: Running, node: str, since: str = "") -> tuple[int, NodeFeed | None]:
    status, body = await running.ask("GET", f"/v1/feed?since={since}", running.authorities.sensor(f"uid-{node}"))
    return status, msgspec.json.decode(body, type=NodeFeed) if status == 200 else None


def tell(folder: Path, story: object) -> None:
    async def run() -> None:
        async with collecting(folder) as whole:
            whole.feeds.use((a_written(), a_written(name="own", namespace="shop")))
            await story(whole)

    asyncio.run(run())


def test_a_node_hears_of_its_own_pods_and_policies_alone(tmp_path: Path) -> None:
    async def story(whole: Whole) -> None:
        _, mine = await ask(whole.running, NODE)
        _, theirs = await ask(whole.running, OTHER)
        assert [one["metadata"]["name"] for one in mine.policies] == ["shells", "own"]
        assert list(mine.pods["pods"]) == ["uid-shop-web-0"]
        assert [one["metadata"]["name"] for one in theirs.policies] == ["shells"]
        assert list(theirs.pods["pods"]) == ["uid-bank-till-0"]

    tell(tmp_path, story)


def test_who_waits_hears_of_a_change_at_once_and_of_others_changes_nothing(tmp_path: Path) -> None:
    async def story(whole: Whole) -> None:
        _, first = await ask(whole.running, NODE)
        _, theirs = await ask(whole.running, OTHER)
        waiting = asyncio.create_task(ask(whole.running, NODE, first.revision))
        other = asyncio.create_task(ask(whole.running, OTHER, theirs.revision))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        whole.feeds.renew(whole.view.put_pod(a_pod("web-1")))
        async with asyncio.timeout(5):
            _, second = await waiting
        assert set(second.pods["pods"]) == {"uid-shop-web-0", "uid-shop-web-1"}
        assert not other.done()
        whole.feeds.use((a_written(generation=2),))
        async with asyncio.timeout(5):
            _, theirs_now = await other
        assert theirs_now.policies_revision != theirs.policies_revision

    tell(tmp_path, story)


def test_a_change_that_changes_nothing_for_the_node_is_not_told(tmp_path: Path) -> None:
    async def story(whole: Whole) -> None:
        _, first = await ask(whole.running, NODE)
        waiting = asyncio.create_task(ask(whole.running, NODE, first.revision))
        await asyncio.sleep(0.2)
        assert whole.view.put_pod(a_pod(resourceVersion="2")) == set()
        whole.feeds.use((a_written(), a_written(name="own", namespace="shop"), a_written(name="bank", namespace="bank")))
        await asyncio.sleep(0.5)
        assert not waiting.done()
        waiting.cancel()

    tell(tmp_path, story)


def test_a_view_that_is_not_whole_is_told_to_nobody(tmp_path: Path) -> None:
    async def story(whole: Whole) -> None:
        whole.current[0] = False
        assert await ask(whole.running, NODE) == (503, None)

    tell(tmp_path, story)


def test_a_pod_that_ends_or_is_bound_changes_its_node_alone() -> None:
    view = a_view()
    assert view.put_pod(a_pod("new", node="")) == set()
    assert view.put_pod(a_pod("new")) == {NODE}
    assert view.remove_pod(a_pod("new")) == {NODE}
    assert view.remove_pod(a_pod("new")) == set()
    assert [one.name for one in view.on_node(NODE)] == ["web-0"]
    assert [one.node for one in view.named("shop", "new")] == [NODE]
