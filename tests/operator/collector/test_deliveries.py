"""What a node delivers is on disk before it is answered, once; what it may not speak of is discarded and reported, never without a word."""

import asyncio
from pathlib import Path

import msgspec
from tests.support.nodes import NODE, OTHER, a_finding, a_node, a_node_match, a_pod, an_entry
from tests.support.whole_collectors import Whole, collecting

from watchkeeper_detection import wire
from watchkeeper_detection.node_wire import Delivery, Entry, NodeState, Taken
from watchkeeper_operator.bus.messages import Discarded, Message
from watchkeeper_operator.bus.taking import Bounds
from watchkeeper_operator.collector.deliveries import EXAMPLES

SOURCE = f"node/uid-{NODE}"


async def deliver(whole: Whole, *entries: Entry, spool: str = "s1", node: str = NODE) -> tuple[int, Taken | bytes]:
    body = msgspec.msgpack.encode(Delivery(spool=spool, entries=entries))
    status, answer = await whole.running.ask("POST", "/v1/deliveries", whole.authorities.sensor(f"uid-{node}"), body)
    return status, msgspec.msgpack.decode(answer, type=Taken) if status == 200 else answer


def tell(folder: Path, story: object, bounds: Bounds = Bounds()) -> object:  # noqa: B008 (frozen)
    async def run() -> object:
        async with collecting(folder, bounds=bounds) as whole:
            return await story(whole)

    return asyncio.run(run())


def discarded_in(messages: list[Message]) -> list[Discarded]:
    return [msgspec.msgpack.decode(one.payload, type=Discarded) for one in messages if one.topic == "discarded"]


def test_what_is_delivered_waits_for_the_leader_as_it_came(tmp_path: Path) -> None:
    async def story(whole: Whole) -> None:
        sent = (an_entry(a_finding(), 1), an_entry(a_node_match(), 2), an_entry(wire.Blind(cause="ring_full", since=1, until=2), 3))
        assert await deliver(whole, *sent) == (200, Taken(count=3))
        found = await whole.messages()
        assert [(one.topic, one.source, one.payload) for one in found] == [(one.kind, SOURCE, one.payload) for one in sent]

    tell(tmp_path, story)


def test_what_comes_twice_is_stored_once_and_taken_twice(tmp_path: Path) -> None:
    async def story(whole: Whole) -> None:
        for _ in range(2):
            assert await deliver(whole, an_entry(a_finding(), 1), an_entry(a_finding(), 2)) == (200, Taken(count=2))
        assert len(await whole.messages()) == 2
        await deliver(whole, an_entry(a_finding(), 1), spool="another")
        assert len(await whole.messages()) == 3

    tell(tmp_path, story)


def test_what_a_node_may_not_speak_of_is_discarded_and_reported_and_the_rest_is_kept(tmp_path: Path) -> None:
    async def story(whole: Whole) -> None:
        forged = an_entry(a_finding(pod="bank/till-0"), 2)
        sent = (an_entry(a_finding(), 1), forged, an_entry(a_finding(revision="r0"), 3), an_entry(a_finding(pod="bank/till-0"), 4), an_entry(a_finding(), 5))
        for _ in range(2):  # the report too is made once
            assert await deliver(whole, *sent) == (200, Taken(count=5, discarded=3))
        found = await whole.messages()
        assert [one.topic for one in found] == ["detection", "detection", "discarded", "discarded"]
        first, second = discarded_in(found)
        assert (first.reason, first.node_uid, first.node_name, first.pod, first.count) == ("AnotherNodesPod", f"uid-{NODE}", NODE, "bank/till-0", 2)
        assert first.examples[0] == forged.payload
        assert (second.reason, second.policy, second.count) == ("PolicyUnknown", "watchkeeper/shells", 1)

    tell(tmp_path, story)


def test_a_flood_of_forgeries_is_one_report_with_a_few_examples(tmp_path: Path) -> None:
    async def story(whole: Whole) -> None:
        sent = [an_entry(a_finding(pod="bank/till-0"), number) for number in range(500)]
        assert await deliver(whole, *sent) == (200, Taken(count=500, discarded=500))
        (told,) = discarded_in(await whole.messages())
        assert (told.count, len(told.examples)) == (500, EXAMPLES)

    tell(tmp_path, story)


def test_a_pod_that_the_watch_has_not_told_of_yet_is_asked_for(tmp_path: Path) -> None:
    async def story(whole: Whole) -> None:
        whole.api.objects["/api/v1/namespaces/shop/pods/web-1"] = msgspec.to_builtins(a_pod("web-1"))
        assert await deliver(whole, an_entry(a_finding(pod="shop/web-1"), 1)) == (200, Taken(count=1))
        assert await deliver(whole, an_entry(a_finding(pod="shop/web-2"), 2)) == (200, Taken(count=1, discarded=1))
        assert discarded_in(await whole.messages())[0].reason == "PodUnknown"

    tell(tmp_path, story)


def test_questions_for_unknown_pods_are_bounded(tmp_path: Path) -> None:
    async def story(whole: Whole) -> None:
        await deliver(whole, *(an_entry(a_finding(pod=f"shop/web-x{number}"), number) for number in range(100)))
        assert len(whole.api.asked) == 16

    tell(tmp_path, story)


def test_nothing_is_discarded_while_the_collector_does_not_know_better(tmp_path: Path) -> None:
    async def story(whole: Whole) -> None:
        whole.current[0] = False
        assert await deliver(whole, an_entry(a_finding(pod="bank/till-0"), 1)) == (503, b"NotReady")
        whole.current[0], whole.api.status = True, 500
        assert await deliver(whole, an_entry(a_finding(pod="shop/new"), 1)) == (503, b"ApiServerUnavailable")
        whole.view.remove_node(a_node())
        assert await deliver(whole, an_entry(a_finding(), 1)) == (503, b"NotReady")
        assert await whole.messages() == []

    tell(tmp_path, story)


def test_a_full_queue_is_told_so_and_what_was_refused_may_come_again(tmp_path: Path) -> None:
    async def story(whole: Whole) -> None:
        assert (await deliver(whole, an_entry(a_finding(), 1)))[0] == 200
        assert await deliver(whole, an_entry(a_finding(), 2), an_entry(a_finding(), 3)) == (503, b"StoreUnavailable")
        await whole.queue.acknowledge((await whole.messages())[0].id)
        assert await deliver(whole, an_entry(a_finding(), 2)) == (200, Taken(count=1))

    tell(tmp_path, story, Bounds(4 * len(wire.encode(a_finding())) + 10, 100))


def test_two_nodes_may_have_spools_of_one_name(tmp_path: Path) -> None:
    async def story(whole: Whole) -> None:
        await deliver(whole, an_entry(a_finding(pod=None), 1))
        blind = an_entry(wire.Blind(cause="killed", since=1, until=2), 1)
        assert await deliver(whole, blind, node=OTHER) == (200, Taken(count=1))
        assert [one.source for one in await whole.messages()] == [SOURCE, f"node/uid-{OTHER}"]

    tell(tmp_path, story)


def test_of_a_nodes_states_the_latest_waits(tmp_path: Path) -> None:
    async def story(whole: Whole) -> None:
        mine = whole.authorities.sensor(f"uid-{NODE}")
        for rules in (1, 2):
            state = NodeState(sensor_version="1", kernel="6.1", started_at=1, rules=rules)
            assert (await whole.running.ask("PUT", "/v1/state", mine, msgspec.json.encode(state)))[0] == 204
        (message,) = await whole.messages()
        assert (message.topic, message.source) == ("node-state", SOURCE)
        assert msgspec.msgpack.decode(message.payload, type=NodeState).rules == 2

    tell(tmp_path, story)
