"""Nobody but the operator says how things stand, and nobody outside root makes root deaf: what they may hold back is counted, and root is told."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.support import tenants
from tests.support.cluster.installation import eventually
from tests.support.cluster.steps import NoKubernetesError
from tests.support.tenants import ALL, SECONDS, VERSION, a_policy, an_exception, await_in_force, in_root

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cluster.installation import Installation
    from tests.support.tenants import Tenant


@pytest.fixture(scope="module")
def shop(installation: Installation, busybox: str) -> Iterator[Tenant]:
    """Its owner has all verbs on all our kinds there."""
    with tenants.tenant(installation, ALL) as made:
        made.run_pod("cart", busybox)
        yield made


@pytest.fixture
def marker() -> str:
    return f"marked-{uuid.uuid4().hex[:8]}"


def in_a_month() -> str:
    return (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")


def told(installation: Installation, rule: str, name: str) -> list[dict[str, Any]]:
    """Entries of root's incidents about an exception."""
    entries = [entry for one in installation.incidents("detection-excepted") for entry in one["status"].get("timeline", ())]
    return [entry for entry in entries if entry.get("rule") == rule and name in entry["message"]]


def detections_of(installation: Installation, policy: str) -> int:
    return sum(
        entry.get("count", 1)
        for one in installation.incidents(f"watchkeeper/{policy}")
        for entry in one["status"]["timeline"]
        if entry.get("policy") == f"watchkeeper/{policy}"
    )


def test_no_status_is_forged_by_whatever_rights(shop: Tenant, marker: str) -> None:
    shop.apply(a_policy(marker, marker))
    forged = json.dumps({"status": {"observedGeneration": 99}})
    words = ("patch", "runtimepolicy", marker, "--namespace", shop.namespace, "--subresource", "status", "--type", "merge", "--patch", forged)
    assert "status is written by Watchkeeper's operator alone" in shop.refused(*words)
    with pytest.raises(NoKubernetesError, match="status is written by Watchkeeper's operator alone"):
        shop.installation.kubectl(*words)


def test_no_incident_is_written_by_hand_and_none_of_root_is_deleted_or_closed(shop: Tenant, marker: str) -> None:
    incident = {"apiVersion": VERSION, "kind": "Incident", "metadata": {"name": marker}, "spec": {}}
    assert "made by Watchkeeper's operator alone" in shop.apply_refused(incident)
    with pytest.raises(NoKubernetesError, match="made by Watchkeeper's operator alone"):
        shop.installation.apply(incident | {"metadata": {"name": marker, "namespace": "watchkeeper"}})
    for words in (("delete", "incidents", "--all"), ("patch", "incident", "any", "--type", "merge", "--patch", '{"spec":{"closed":true}}')):
        assert "orbidden" in shop.refused(*words, "--namespace", "watchkeeper")


def test_an_exception_of_a_namespace_holds_back_no_policy_of_root_that_is_root_only(shop: Tenant, marker: str) -> None:
    root = shop.installation
    with in_root(root, a_policy(marker, marker, namespace="watchkeeper", severity="P2")):
        shop.apply(an_exception(marker, marker, until=in_a_month()))
        only = f"policy {marker} takes exceptions for these rules from namespace watchkeeper only"
        eventually("its owner is told", lambda: only in shop.condition("policyexception", marker, "Accepted").get("message", ""), SECONDS)
        await_in_force(root, "watchkeeper", marker)
        shop.act("cart", "echo", marker)
        eventually("root's incident, all the same", lambda: root.incidents(f"watchkeeper/{marker}"), SECONDS)
        held = json.loads(shop.kubectl("get", "policyexception", marker, "--output", "json"))["status"].get("heldBack", 0)
    assert held == 0


def test_a_list_of_a_namespace_never_takes_the_place_of_roots(shop: Tenant, marker: str) -> None:
    root, name = shop.installation, "story-quiet-" + marker[-8:]
    values = {"apiVersion": VERSION, "kind": "PolicyList", "metadata": {"name": name}, "spec": {"description": "Quiet words.", "values": ["another"]}}
    quiet = [{"name": "quiet", "when": f"process.args.exists(word, word in lists.{name.replace('-', '_')})"}]
    policy = a_policy(marker, marker, namespace="watchkeeper", unless=quiet)
    with in_root(root, values | {"metadata": {"name": name, "namespace": "watchkeeper"}}, policy):
        shop.apply(values | {"spec": {"description": "Quiet words.", "values": [marker, "another"]}})
        eventually("the list is judged", lambda: shop.condition("policylist", name, "Accepted"), SECONDS)
        await_in_force(root, "watchkeeper", marker)
        shop.act("cart", "echo", marker, "another")
        shop.act("cart", "echo", marker, "loud")
        eventually("root's incident", lambda: root.incidents(f"watchkeeper/{marker}"), SECONDS)
        assert detections_of(root, marker) == 1


def test_what_a_namespace_may_hold_back_is_counted_and_root_reads_of_it(shop: Tenant, marker: str) -> None:
    root = shop.installation
    with in_root(root, a_policy(marker, marker, namespace="watchkeeper")):
        await_in_force(root, "watchkeeper", marker)
        assert "needs an end" in shop.apply_refused(an_exception(marker, marker, until=None))
        shop.apply(an_exception(marker, marker, until=in_a_month(), when='"quiet" in process.args'))
        await_in_force(root, shop.namespace, marker, "policyexception")
        name = f"{shop.namespace}/{marker}"
        eventually("root reads that it was made", lambda: told(root, "made", name), SECONDS)
        for _ in range(3):
            shop.act("cart", "echo", marker, "quiet")
        shop.act("cart", "echo", marker, "loud")

        def held() -> int:
            return int(json.loads(shop.kubectl("get", "policyexception", marker, "--output", "json"))["status"].get("heldBack", 0))

        eventually("three are counted as held back", lambda: held() == 3, SECONDS)
        eventually("root reads that it was used", lambda: told(root, "first-used", name), SECONDS)
        eventually("what it does not hold back is told", lambda: detections_of(root, marker) == 1, SECONDS)
