"""Both halves of what a node and the collector say, the sensor's and the operator's own: each takes what the other gives."""

import msgspec
import pytest
from tests.support.collector_thread import collector_thread
from tests.support.node_feeds import a_kernel_rule
from tests.support.nodes import NODE, a_finding, a_written

from watchkeeper_detection.node_wire import NodeState
from watchkeeper_detection.wire import Blind, decode_detection, encode
from watchkeeper_sensor.cluster.channel import Channel, ChannelError
from watchkeeper_sensor.cluster.credentials import Credentials
from watchkeeper_sensor.cluster.following import Follower
from watchkeeper_sensor.cluster.memory_feed import MemoryFeed
from watchkeeper_sensor.cluster.receiving import Collector
from watchkeeper_sensor.cluster.settings import Settings
from watchkeeper_sensor.cluster.stating import Reporter
from watchkeeper_sensor.spool.segments import Entry

RULES = [
    a_kernel_rule(title="A shell", unless=[{"name": "backup", "when": 'process.user == "backup"'}], suppress={"by": ["process.id"], "for": "1h"}),
    a_kernel_rule(name="often", threshold={"count": 3, "within": "5m", "by": ["identity.id"]}),
    a_kernel_rule(name="listed", when="process.name in lists.shells"),
]
POLICIES = (
    a_written(rules=RULES),
    a_written(name="own", namespace="shop", rules=[a_kernel_rule()]),
    a_written("PolicyList", "shells", values=["sh", "bash"]),
    a_written("PolicyException", "backup", policy="shells", rules=["often"], override={"threshold": {"count": 7}}, reason="the backup", owner="storage"),
)


@pytest.fixture
def collector(tmp_path):
    folder = tmp_path / "collector"
    folder.mkdir()
    with collector_thread(folder) as made:
        yield made


@pytest.fixture
def credentials(collector, tmp_path):
    made = Credentials(Settings(collector=collector.url, ca=collector.ca, token=collector.token_file, node_name=NODE, state=tmp_path))
    made.trade()
    return made


@pytest.fixture
def channel(collector, credentials):
    made = Channel(collector.url, collector.ca, credentials.identity)
    yield made
    made.close()


@pytest.fixture
def told(collector, channel, credentials, tmp_path):
    """What the node is told of the policies, and the operator's own judgement of them."""

    def tell():
        operators = collector.use(*POLICIES)
        follower = Follower(channel, credentials, tmp_path, None)
        follower.look()
        return follower.take(), operators

    return tell


def test_node_and_operator_make_the_same_rules_of_the_same_objects(told):
    """The operator takes detections by their revision, and matches by the key of their state."""
    found, operators = told()
    names = {(rule.namespace, rule.name): (rule.revision, rule.state_key) for rule in found.program.rules}
    assert names == {(rule.namespace, rule.name): (rule.revision, rule.state_key) for rule in operators.rules}
    assert len(names) == 4
    assert not found.not_in_force
    assert next(rule for rule in found.program.rules if rule.rule == "often").threshold.count == 7


def test_what_the_collector_says_of_pods_is_taken_up(told):
    feed = MemoryFeed()
    assert feed.tell(told()[0].feed.pods) == ""
    assert feed.pod("uid-shop-web-0").service_account == "web"
    assert feed.pod("uid-bank-till-0") is None  # another node's
    assert (feed.node().ip, feed.node().cluster) == ("192.0.2.7", "shop-cluster")


def test_a_detection_by_a_told_rule_is_stored_and_one_by_another_is_discarded(told, collector, channel, credentials):
    rule = next(rule for rule in told()[0].program.rules if (rule.namespace, rule.rule) == ("watchkeeper", "shell"))
    mine = a_finding(revision=rule.revision)
    receiver = Collector(channel, credentials, "5f0c")
    offered = [mine, a_finding(id="0" * 32, revision="of nobody"), Blind(cause="ring_full", since=1, until=2, records={"file.open": 3})]
    kinds = ("detection", "detection", "loss")
    assert receiver.take([Entry(number, kind, encode(sent)) for number, (kind, sent) in enumerate(zip(kinds, offered, strict=True), 1)]) == 3
    assert receiver.discarded == 1
    (stored,) = collector.messages("detection")
    assert decode_detection(stored.payload) == mine
    assert len(collector.messages("loss")) == 1
    assert len(collector.messages("discarded")) == 1


def test_what_comes_twice_is_stored_once(told, collector, channel, credentials):
    rule = next(rule for rule in told()[0].program.rules if (rule.namespace, rule.rule) == ("watchkeeper", "shell"))
    receiver = Collector(channel, credentials, "5f0c")
    for _ in range(2):
        assert receiver.take([Entry(1, "detection", encode(a_finding(revision=rule.revision)))]) == 1
    assert len(collector.messages("detection")) == 1


def test_the_state_is_taken(collector, channel, credentials):
    reporter = Reporter(channel, credentials)
    state = NodeState(sensor_version="1", kernel="6.18", started_at=1)
    reporter.tell(state)
    reporter.send()
    (stored,) = collector.messages("node-state")
    assert msgspec.msgpack.decode(stored.payload, type=NodeState) == state


def test_asking_again_before_the_time_is_no_second_holder_of_the_token(collector, credentials, channel):
    channel.ask("GET", "/v1/feed?since=")
    credentials.trade()
    assert channel.ask("GET", "/v1/feed?since=").status == 200
    assert not collector.messages("discarded")


def test_a_second_holder_of_the_token_gets_nothing_and_is_reported(collector, channel, tmp_path):
    channel.ask("GET", "/v1/feed?since=")  # the certificate has been shown: it arrived
    thief = Credentials(Settings(collector=collector.url, ca=collector.ca, token=collector.token_file, node_name=NODE, state=tmp_path))
    with pytest.raises(ChannelError, match="409") as refusal:
        thief.trade()
    assert refusal.value.pause_seconds == 60
    assert len(collector.messages("discarded")) == 1
    assert channel.ask("GET", "/v1/feed?since=").status == 200
