"""On how many nodes a policy is in force, and what is said of it."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from tests.support.policy_objects import a_policy, a_rule, an_exception

from watchkeeper_detection.node_wire import NodeState, NotInForce
from watchkeeper_detection.policy import RuntimePolicy
from watchkeeper_operator.collector.cluster_view import Runs
from watchkeeper_operator.collector.node_feed import revision_of
from watchkeeper_operator.collector.policy_share import share_of
from watchkeeper_operator.policy_judging import Judge
from watchkeeper_operator.policy_objects import Key, Written
from watchkeeper_operator.policy_quotas import TenantLimits
from watchkeeper_operator.policy_statuses import Held, Known, on_nodes, stands_of, status_of
from watchkeeper_operator.sensors.nodes import SILENT_NS, Heard, Node, NodeMetadata
from watchkeeper_operator.sensors.shares import Shares

NOW = 1_780_000_000 * 10**9
AT = "2026-05-28T20:26:40Z"
RUNS = {"on": ["process.exec"], "when": 'process.exe == "/bin/sh"', "severity": "P3"}
ROOT = "watchkeeper"


def a_node(name, **labels):
    return Node(NodeMetadata(name=name, uid=f"uid-{name}", labels=labels))


class World:
    """Nodes with their pods, policies judged one after the other, and what each node confirms."""

    def __init__(self, *nodes, pods=None):
        self.nodes, self.pods = [a_node(name) for name in nodes], pods or {}
        self.shares, self.judge, self.good = Shares(), Judge(TenantLimits()), {}
        self.heard, self.judged = {}, None

    def put(self, *objects):
        self.judged = self.judge.judge(objects, self.good, datetime(2026, 5, 1, tzinfo=UTC))
        self.good = self.judged.good
        self.shares.judged(self.judged)
        for node in self.nodes:
            self.shares.share(node, self._pods(node), self.judged.number)
        return self

    def _pods(self, node):
        return [
            Runs(namespace=namespace, name="p", uid=f"{node.metadata.name}-{namespace}", kubelet_uid="u", node=node.metadata.name)
            for namespace in self.pods.get(node.metadata.name, ())
        ]

    def confirm(self, *names, **state):
        """These nodes hold what they are to hold now."""
        for node in self.nodes:
            if node.metadata.name in names:
                revision = revision_of(share_of(self.judged.in_force, self._pods(node), node.metadata.labels))
                self.heard[node.metadata.uid] = Heard(NodeState(sensor_version="1", kernel="6", started_at=1, policies_revision=revision, **state), NOW)
        return self

    def status(self, name, namespace=ROOT, kind="RuntimePolicy", before=None, held=None, now=NOW):
        pairs = [(node, self.heard.get(node.metadata.uid)) for node in self.nodes]
        since = {key: number for key, (_, number) in self.shares.since.items()}
        known = Known(self.judged, since, stands_of(pairs, self.shares, now), on_nodes(self.judged.program), held or {}, AT)
        return status_of(self.judged.verdicts[Key(kind, namespace, name)], before or {}, known)


def written(name, namespace=ROOT, generation=1, thing=None, **rule):
    spec = (thing or a_policy(a_rule(**RUNS | rule)))["spec"]
    kind = (thing or {"kind": "RuntimePolicy"})["kind"]
    return Written(Key(kind, namespace, name), f"uid-{name}", generation, "2026-01-01T00:00:00Z", spec)


def in_force(status):
    (found,) = [one for one in status["conditions"] if one["type"] == "InForce"]
    return found["status"], found["reason"], found["message"]


def test_a_policy_is_in_force_when_every_node_confirmed_it():
    world = World("a", "b").put(written("p"))
    assert in_force(world.status("p")) == ("False", "OnNoNode", "on 0 of 2 nodes")
    world.confirm("a")
    status = world.status("p")
    assert in_force(status) == ("False", "OnSomeNodes", "on 1 of 2 nodes")
    assert status["nodes"] == {"total": 2, "inForce": 1, "failing": [{"node": "b", "reason": "no sensor was heard"}]}
    assert in_force(world.confirm("b").status("p")) == ("True", "OnAllNodes", "on 2 of 2 nodes")


def test_a_change_of_another_policy_takes_it_from_no_node():
    world = World("a").put(written("p")).confirm("a").put(written("p"), written("q"))
    assert in_force(world.status("p")) == ("True", "OnAllNodes", "on 1 of 1 nodes")
    assert in_force(world.status("q")) == ("False", "OnNoNode", "on 0 of 1 nodes")


def test_a_new_generation_has_to_be_confirmed_anew():
    world = World("a").put(written("p")).confirm("a").put(written("p", generation=2))
    assert world.status("p")["nodes"]["failing"] == [{"node": "a", "reason": "it has an older revision"}]


def test_nodes_that_run_nothing_it_covers_are_not_counted():
    world = World("a", "b", pods={"a": ["shop"]}).put(written("p", "shop")).confirm("a")
    assert in_force(world.status("p", "shop")) == ("True", "OnAllNodes", "on 1 of 1 nodes")
    elsewhere = World("a", pods={"a": ["bank"]}).put(written("p", "shop"))
    assert in_force(elsewhere.status("p", "shop")) == ("True", "OnAllNodes", "no node runs what it covers")
    assert in_force(World().put(written("p", "shop")).status("p", "shop"))[:2] == ("False", "OnNoNode")


def test_tenants_see_counts_and_no_names_of_nodes():
    world = World("a", pods={"a": ["shop"]}).put(written("p", "shop"))
    assert world.status("p", "shop")["nodes"]["failing"] == [{"reason": "no sensor was heard"}]


def test_a_node_that_refuses_a_rule_says_why_and_one_that_is_silent_counts_no_more():
    world = World("a", "b").put(written("p")).confirm("a", "b", not_in_force=(NotInForce(policy=f"{ROOT}/p/exec-in-pod", reason="no such hook"),))
    assert world.status("p")["nodes"]["failing"][0] == {"node": "a", "reason": "no such hook"}
    other = World("a").put(written("p")).confirm("a")
    assert other.status("p", now=NOW + SILENT_NS + 1)["nodes"]["failing"] == [{"node": "a", "reason": "the sensor is silent"}]


def test_a_refusal_of_a_policy_whose_name_begins_the_same_is_anothers():
    world = World("a").put(written("p"), written("p-2")).confirm("a", not_in_force=(NotInForce(policy=f"{ROOT}/p-2/r", reason="no"),))
    assert in_force(world.status("p"))[0] == "True"


def test_a_policy_over_logs_alone_is_judged_by_the_operator():
    world = World("a").put(written("p", on=["audit.request"], when='audit.verb == "create"'))
    status = world.status("p")
    assert in_force(status) == ("True", "InOperator", "")
    assert "nodes" not in status


def test_a_disabled_policy_is_not_in_force():
    off = a_policy(a_rule(**RUNS), enabled=False)
    assert in_force(World("a").put(written("p", thing=off)).status("p"))[:2] == ("False", "Disabled")


def test_while_an_edit_is_refused_the_older_generation_is_what_is_in_force():
    world = World("a").put(written("p")).confirm("a")
    before = world.status("p")
    world.put(written("p", generation=2, when="nonsense("))
    status = world.status("p", before=before)
    assert in_force(status) == ("False", "LastGood", "generation 1 is in force on 1 of 1 nodes")
    assert status["inForce"] == before["inForce"]
    assert status["observedGeneration"] == 2


def test_nothing_new_makes_the_same_status():
    world = World("a").put(written("p")).confirm("a")
    before = world.status("p")
    assert world.put(written("p"), written("q")).status("p", before=before) == before


def test_an_exception_says_what_it_held_back():
    world = World("a").put(written("k8s-pod-exec"), written("backup", thing=an_exception(when="true"))).confirm("a")
    key = Key("PolicyException", ROOT, "backup")
    status = world.status("backup", kind="PolicyException", held={key: Held(3, AT)})
    assert (status["heldBack"], status["lastHeldBack"]) == (3, AT)
    assert world.status("backup", kind="PolicyException")["heldBack"] == 0


def test_a_status_is_of_the_schema():
    world = World("a", "b").put(written("p")).confirm("a")
    status = msgspec.json.decode(msgspec.json.encode(world.status("p"))) | {"epoch": 3}
    RuntimePolicy.model_validate({**a_policy(a_rule(**RUNS)), "status": status})
