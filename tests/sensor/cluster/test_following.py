"""The feed: checked again here, kept on disk, and of what is wrong only what is wrong is left out."""

import msgspec
import pytest
from tests.support.node_feeds import a_feed, a_kernel_rule, a_told_policy, an_object

from watchkeeper_sensor.cluster.following import FeedError, Follower, judged
from watchkeeper_sensor.cluster.kept_feed import keep, kept
from watchkeeper_sensor.cluster.memory_feed import MemoryFeed


def names(told):
    return sorted(f"{rule.namespace}/{rule.name}" for rule in told.program.rules)


def reasons(told):
    return {one.policy: one.reason for one in told.not_in_force}


def test_policies_of_all_namespaces_become_a_program():
    told = judged(a_feed("1", a_told_policy("shells"), a_told_policy("shells", namespace="shop")))
    assert names(told) == ["shop/shells/shell", "watchkeeper/shells/shell"]
    assert told.policies == 2
    assert not told.not_in_force
    assert {rule.namespace: rule.include for rule in told.program.rules} == {"watchkeeper": (), "shop": ("shop",)}


def test_a_policy_that_is_wrong_holds_up_no_other_and_is_named():
    told = judged(
        a_feed(
            "1",
            a_told_policy("good"),
            a_told_policy("unknown-field", a_kernel_rule(when="process.nmae == 'sh'")),
            an_object("no-rules", {"title": "x"}),
            an_object("no-object", []),
            {"metadata": None, "spec": None},
        )
    )
    assert names(told) == ["watchkeeper/good/shell"]
    found = reasons(told)
    assert "process.nmae" in found["watchkeeper/unknown-field/shell"]
    assert {"watchkeeper/no-rules", "watchkeeper/no-object"} <= found.keys()


def test_a_rule_that_is_wrong_leaves_the_other_rules_of_its_policy_in_force():
    told = judged(a_feed("1", a_told_policy("mixed", a_kernel_rule(), a_kernel_rule(name="wrong", when="1 +"))))
    assert names(told) == ["watchkeeper/mixed/shell"]
    assert list(reasons(told)) == ["watchkeeper/mixed/wrong"]


def test_lists_and_exceptions_count_and_those_of_policies_that_are_not_told_are_passed_over():
    rule = a_kernel_rule(when="process.name in lists.shells")
    exception = {"policy": "shells", "when": 'process.user == "backup"', "reason": "the backup", "owner": "storage"}
    told = judged(
        a_feed(
            "1",
            a_told_policy("shells", rule),
            lists=(an_object("shells", {"values": ["sh", "bash"]}),),
            exceptions=(an_object("backup", exception), an_object("of-another-node", exception | {"policy": "elsewhere"})),
        )
    )
    (made,) = told.program.rules
    assert told.program.lists == {"shells": ("sh", "bash")}
    assert [guard.name for guard in made.exceptions] == ["backup"]
    assert not told.not_in_force


def test_rules_about_logs_alone_are_not_the_sensors():
    audit = a_kernel_rule(name="exec", on=["audit.request"], when='audit.verb == "create"')
    assert names(judged(a_feed("1", a_told_policy("both", a_kernel_rule(), audit)))) == ["watchkeeper/both/shell"]


def test_kinds_that_the_sensor_object_does_not_allow_are_named_with_their_rules():
    opens = a_kernel_rule(name="opens", on=["file.open"], when='file.path == "/etc/shadow"')
    either = a_kernel_rule(name="either", on=["file.open", "network.connect"], when="process.uid == 0")
    told = judged(a_feed("1", a_told_policy("files", a_kernel_rule(), opens, either), limits={"eventKinds": ["network.*"]}))
    assert {rule.rule: rule.kinds for rule in told.program.rules} == {"shell": ("process.exec",), "either": ("network.connect",)}
    assert reasons(told) == {"watchkeeper/files/opens": "the Sensor does not allow events of file.open"}


def test_a_sequence_with_a_step_that_is_not_allowed_is_not_in_force():
    steps = [
        {"name": "one", "on": ["process.exec"], "when": "true", "by": ["container.id"]},
        {"name": "two", "on": ["file.open"], "when": "true", "by": ["container.id"]},
    ]
    rule = {"name": "both", "sequence": {"within": "1m", "steps": steps}, "severity": "P2", "message": "both"}
    told = judged(a_feed("1", a_told_policy("files", rule), limits={"eventKinds": ["network.*"]}))
    assert not told.program.rules
    assert list(reasons(told)) == ["watchkeeper/files/both"]


@pytest.mark.parametrize("limits", [{"eventKinds": "all"}, {"recordsPerSecond": "many"}])
def test_limits_that_can_not_be_read_put_nothing_in_force(limits):
    with pytest.raises(FeedError):
        judged(a_feed("1", limits=limits))


def test_a_feed_survives_on_disk(tmp_path):
    feed = a_feed("7", a_told_policy("shells"), pods={"version": 1, "pods": {"u": {"labels": {"app": "web"}}}})
    assert keep(tmp_path, feed) == ""
    assert kept(tmp_path) == (feed, "")
    assert (tmp_path / "node-feed.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"revision": "1", "policies_revision": "1", "version": 99}', b"\xff\xfe"])
def test_a_damaged_feed_on_disk_is_said_and_not_used(tmp_path, content):
    (tmp_path / "node-feed.json").write_bytes(content)
    feed, trouble = kept(tmp_path)
    assert feed is None
    assert trouble


def test_nothing_on_disk_is_no_trouble(tmp_path):
    assert kept(tmp_path) == (None, "")


@pytest.fixture
def follower(channel, credentials, settings):
    credentials.start()
    assert credentials.wait(10)
    made = Follower(channel, credentials, settings.state, None)
    yield made
    made.close()


def test_a_revision_is_handed_over_once_and_kept(collector, follower, settings):
    collector.feed = a_feed("1", a_told_policy("shells"))
    assert follower.look()
    told = follower.take()
    assert names(told) == ["watchkeeper/shells/shell"]
    assert follower.take() is None
    assert kept(settings.state)[0] == collector.feed


def test_pods_that_change_are_told_without_checking_policies_again(collector, follower):
    collector.feed = a_feed("1", a_told_policy("shells"))
    follower.look()
    follower.take()
    collector.feed = msgspec.structs.replace(collector.feed, revision="2", pods={"version": 1, "pods": {"u": {"ip": "10.0.0.1"}}})
    follower.look()
    told = follower.take()
    assert told.program is None
    assert told.feed.pods["pods"] == {"u": {"ip": "10.0.0.1"}}


def test_a_program_that_was_not_taken_yet_is_not_lost_when_pods_change(collector, follower):
    collector.feed = a_feed("1", a_told_policy("shells"))
    follower.look()
    collector.feed = msgspec.structs.replace(collector.feed, revision="2")
    follower.look()
    told = follower.take()
    assert told.feed.revision == "2"
    assert names(told) == ["watchkeeper/shells/shell"]


def test_a_change_is_there_within_moments(collector, follower):
    collector.feed = a_feed("1", a_told_policy("shells"))
    follower.start()
    collector.waited(follower.take)
    collector.feed = a_feed("2", a_told_policy("other"))
    assert names(collector.waited(follower.take, seconds=5)) == ["watchkeeper/other/shell"]


def test_a_collector_that_fails_or_is_away_is_asked_again(collector, follower):
    collector.answers["/v1/feed"] = 503
    follower.start()
    collector.waited(lambda: "503" in follower.trouble)
    collector.stop()
    collector.waited(lambda: "refused" in follower.trouble.lower())
    del collector.answers["/v1/feed"]
    collector.feed = a_feed("9", a_told_policy("shells"))
    collector.start()
    assert collector.waited(follower.take).feed.revision == "9"
    collector.waited(lambda: follower.trouble == "")


def test_pods_are_told_by_memory():
    feed = MemoryFeed()
    assert (feed.version, feed.pod("u"), feed.node()) == (0, None, None)
    document = {"version": 1, "cluster": "shop", "node": {"ip": "192.0.2.7"}, "pods": {"u": {"labels": {"app": "web"}, "owner_kind": "Deployment"}}}
    assert feed.tell(document) == ""
    assert feed.pod("u").told() == {"labels": {"app": "web"}, "owner_kind": "Deployment"}
    assert feed.node().told() == {"ip": "192.0.2.7", "cluster": "shop"}
    assert feed.tell(document) == ""
    assert feed.version == 1
    assert feed.tell({"version": 1, "pods": {"u": {"labels": 3}}})
    assert feed.tell({"version": 2})
    assert feed.pod("u") is not None
