"""Our door to the API server, against a real one."""

from __future__ import annotations

import asyncio
import signal
import time

import pytest
from tests.support.api_server import ApiServer

from watchkeeper_operator import kinds
from watchkeeper_operator.cluster import Cluster
from watchkeeper_operator.cluster_errors import Conflict, Forbidden, Gone, Invalid, NotFound, Unavailable
from watchkeeper_operator.shapes import Named
from watchkeeper_operator.watches import Watch


def with_cluster(server, act, kubeconfig=None):
    async def run():
        async with Cluster.connect(kubeconfig or server.kubeconfig) as cluster:
            return await act(cluster)

    return asyncio.run(asyncio.wait_for(run(), 90))


def config_map(name, namespace="default", **text):
    return {"metadata": {"name": name, "namespace": namespace}, "data": text}


def test_a_list_of_more_than_one_page_is_whole(api_server):
    api_server.kubectl("create", "namespace", "pages")

    async def act(cluster):
        await asyncio.gather(*(cluster.create(kinds.CONFIG_MAPS, config_map(f"n{number}", "pages")) for number in range(510)))
        return await cluster.list(kinds.CONFIG_MAPS, Named, namespace="pages")

    found, version = with_cluster(api_server, act)
    assert {one.metadata.name for one in found} == {f"n{number}" for number in range(510)}
    assert int(version) > 0


REFUSED = {
    "an object that is not there": (NotFound, lambda cluster: cluster.get(kinds.CONFIG_MAPS, Named, "none", namespace="default")),
    "a kind that is not served": (NotFound, lambda cluster: cluster.list(kinds.Resource("no.such", "v1", "things", "Thing"), Named)),
    "an object that is there already": (Conflict, lambda cluster: cluster.create(kinds.NAMESPACES, {"metadata": {"name": "default"}})),
    "an object that another has changed": (
        Conflict,
        lambda cluster: cluster.replace(kinds.NAMESPACES, {"metadata": {"name": "default", "resourceVersion": "1"}}),
    ),
    "deletion of an object of that name but another uid": (Conflict, lambda cluster: cluster.delete(kinds.NAMESPACES, "kube-public", uid="other")),
    "a field that the kind does not have": (Invalid, lambda cluster: cluster.apply(kinds.CONFIG_MAPS, config_map("odd") | {"date": {}})),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_are_told_apart(api_server, case):
    error, ask = REFUSED[case]
    with pytest.raises(error):
        with_cluster(api_server, ask)


def test_who_may_not_is_told_so_without_the_token(api_server):
    stranger = api_server.kubeconfig_with_token("stranger", "a-secret-token")
    nobody = api_server.kubeconfig_for("nobody")
    for kubeconfig in (stranger, nobody):
        with pytest.raises(Forbidden) as refused:
            with_cluster(api_server, lambda cluster: cluster.list(kinds.SECRETS, Named), kubeconfig)
        assert "a-secret-token" not in str(refused.value)


def test_apply_takes_away_what_it_no_longer_says_and_carries_the_epoch(api_server):
    async def act(cluster):
        leader = cluster.in_epoch(7)
        await leader.apply(kinds.CONFIG_MAPS, config_map("applied", a="1", b="2"))
        return await leader.apply(kinds.CONFIG_MAPS, config_map("applied", a="1"))

    made = with_cluster(api_server, act)
    assert made["data"] == {"a": "1"}
    assert made["metadata"]["annotations"] == {"watchkeeper.dev/epoch": "7"}


def test_a_dry_run_changes_nothing(api_server):
    async def act(cluster):
        await cluster.apply(kinds.CONFIG_MAPS, config_map("dry"), dry_run=True)
        await cluster.get(kinds.CONFIG_MAPS, Named, "dry", namespace="default")

    with pytest.raises(NotFound):
        with_cluster(api_server, act)


async def until(stream, wanted, seconds=30.0):
    """(kind, name) of changes up to the wanted one."""
    seen = []
    async with asyncio.timeout(seconds):
        async for change in stream:
            seen.append((change.kind, change.object.metadata.name if change.object else ""))
            if seen[-1] == wanted:
                return seen
    raise AssertionError(seen)


def test_a_watch_tells_what_is_there_and_each_change(api_server):
    api_server.kubectl("create", "namespace", "watched")

    async def act(cluster):
        await cluster.create(kinds.CONFIG_MAPS, config_map("first", "watched"))
        watch = Watch(cluster, kinds.CONFIG_MAPS, Named, namespace="watched")
        stream = aiter(watch)
        seen = await until(stream, ("listed", ""))
        await cluster.create(kinds.CONFIG_MAPS, config_map("second", "watched"))
        await cluster.apply(kinds.CONFIG_MAPS, config_map("first", "watched", a="1"))
        await cluster.delete(kinds.CONFIG_MAPS, "second", namespace="watched")
        seen += await until(stream, ("deleted", "second"))
        return [one for one in seen if one[0] != "bookmark"], [one.metadata.name for one in watch.objects]

    seen, left = with_cluster(api_server, act)
    assert seen == [("added", "first"), ("listed", ""), ("added", "second"), ("modified", "first"), ("deleted", "second")]
    assert left == ["first"]


def test_a_watch_goes_on_after_the_api_server_was_killed_and_tells_what_it_missed():
    with ApiServer() as server:

        async def act(cluster):
            for name in ("goes", "stays", "changes"):
                await cluster.create(kinds.CONFIG_MAPS, config_map(name))
            watch = Watch(cluster, kinds.CONFIG_MAPS, Named, namespace="default")
            stream = aiter(watch)
            await until(stream, ("listed", ""))
            following = asyncio.ensure_future(until(stream, ("added", "after")))
            await asyncio.to_thread(server.restart, kill=True)
            await asyncio.to_thread(server.kubectl, "delete", "configmap", "goes")
            await asyncio.to_thread(server.kubectl, "label", "configmap", "changes", "a=b")
            await asyncio.to_thread(server.kubectl, "create", "configmap", "after")
            return await following

        seen = [one for one in with_cluster(server, act) if one[0] not in ("bookmark", "listed")]
    assert seen == [("deleted", "goes"), ("modified", "changes"), ("added", "after")]


def test_a_watch_from_long_ago_is_told_so(api_server):
    api_server.restart()  # its cache begins now
    with pytest.raises(Gone):
        with_cluster(api_server, lambda cluster: anext(cluster.watch(kinds.CONFIG_MAPS, Named, since="1")))


def test_a_watch_that_is_told_410_lists_anew_and_tells_only_what_changed(api_server):
    api_server.kubectl("create", "namespace", "relisted")
    api_server.restart()

    async def act(cluster):
        await cluster.create(kinds.CONFIG_MAPS, config_map("same", "relisted"))
        await cluster.create(kinds.CONFIG_MAPS, config_map("gone", "relisted"))
        old = _FromLongAgo(cluster)
        watch = Watch(old, kinds.CONFIG_MAPS, Named, namespace="relisted")
        stream = aiter(watch)
        first = await until(stream, ("listed", ""))
        await cluster.delete(kinds.CONFIG_MAPS, "gone", namespace="relisted")
        await cluster.create(kinds.CONFIG_MAPS, config_map("new", "relisted"))
        return first, await until(stream, ("listed", ""))

    first, again = with_cluster(api_server, act)
    assert sorted(first) == [("added", "gone"), ("added", "same"), ("listed", "")]
    assert again == [("deleted", "gone"), ("added", "new"), ("listed", "")]


class _FromLongAgo:
    """The real cluster, but the first watch asks from a resourceVersion that etcd has compacted: a real 410."""

    def __init__(self, cluster):
        self._cluster, self._asked = cluster, False
        self.list_tagged = cluster.list_tagged

    def watch(self, resource, shape, *, since, **where):
        since, self._asked = (since, True) if self._asked else ("1", True)
        return self._cluster.watch(resource, shape, since=since, **where)


def test_an_api_server_that_hangs_is_not_heard_and_one_that_is_gone_refuses():
    with ApiServer() as server:

        async def act(cluster):
            server._processes["kube-apiserver"].send_signal(signal.SIGSTOP)
            started = time.monotonic()
            with pytest.raises(Unavailable) as hanging:
                await cluster.get(kinds.NAMESPACES, Named, "default")
            took = time.monotonic() - started
            server._processes["kube-apiserver"].send_signal(signal.SIGCONT)
            await asyncio.to_thread(server.stop)
            with pytest.raises(Unavailable) as gone:
                await cluster.get(kinds.NAMESPACES, Named, "default")
            return hanging.value, took, gone.value

        hanging, took, gone = with_cluster(server, act)
    assert not hanging.heard
    assert took < 35
    assert gone.heard
