"""A namespace's owner writes policies there: they see their own, learn nothing of others or of nodes, and take no more than their share."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import pytest
from tests.support import tenants
from tests.support.cluster.installation import eventually
from tests.support.tenants import RULES, SECONDS, a_policy, an_exception, in_root

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cluster.installation import Installation
    from tests.support.tenants import Tenant


@pytest.fixture(scope="module")
def shop(installation: Installation, busybox: str) -> Iterator[Tenant]:
    with tenants.tenant(installation, RULES) as made:
        made.run_pod("cart", busybox)
        yield made


@pytest.fixture(scope="module")
def bank(installation: Installation, busybox: str) -> Iterator[Tenant]:
    with tenants.tenant(installation, RULES) as made:
        made.run_pod("vault", busybox)
        yield made


@pytest.fixture
def marker() -> str:
    return f"marked-{uuid.uuid4().hex[:8]}"


def test_a_policy_covers_its_own_namespace_and_its_incident_lies_there_without_facts_of_others(shop: Tenant, bank: Tenant, marker: str) -> None:
    shop.apply(a_policy(marker, marker))
    bank.apply(a_policy("other", "never-said"))
    shop.await_in_force(marker)
    bank.act("vault", "echo", marker)
    shop.act("cart", "echo", marker)
    found = eventually("the tenant's incident", lambda: json.loads(shop.kubectl("get", "incidents", "--output", "json"))["items"], SECONDS)
    (incident,) = [one for one in found if marker in json.dumps(one["status"])]
    text = json.dumps(incident)
    assert incident["status"]["detections"] == 1, "the other namespace's pod was covered"
    assert "cart" in text
    nodes = [one["metadata"]["name"] for one in shop.installation.objects("nodes")] + [one["metadata"]["uid"] for one in shop.installation.objects("nodes")]
    assert [word for word in (*nodes, bank.namespace, "vault", "watchkeeper/inc-") if word in text] == []
    assert shop.installation.incidents(f"{shop.namespace}/{marker}") == []
    policy = json.dumps(json.loads(shop.kubectl("get", "runtimepolicy", marker, "--output", "json"))["status"])
    assert [name for name in nodes if name in policy] == []


def test_a_policy_that_would_tell_its_owner_the_name_of_a_node_is_not_accepted(shop: Tenant, marker: str) -> None:
    shop.apply(a_policy(marker, marker, message="on {node.name}"))
    said = eventually("the policy is judged", lambda: shop.condition("runtimepolicy", marker, "Accepted"), SECONDS)
    assert (said["status"], said["reason"]) == ("False", "NotAllowed")
    assert "may not read node.name" in said["message"]


def test_what_root_found_out_about_their_pods_is_not_for_them(shop: Tenant, marker: str) -> None:
    root = shop.installation
    with in_root(root, a_policy(marker, marker, namespace="watchkeeper", severity="P2")):
        tenants.await_in_force(root, "watchkeeper", marker)
        shop.act("cart", "echo", marker)
        (incident,) = eventually("root's incident", lambda: root.incidents(f"watchkeeper/{marker}"), SECONDS)
    name = incident["metadata"]["name"]
    assert "Forbidden" in shop.refused("get", "incidents", "--namespace", "watchkeeper")
    assert "Forbidden" in shop.refused("get", "incident", name, "--namespace", "watchkeeper")
    assert "Forbidden" in shop.refused("get", "nodesensors")
    assert f"watchkeeper/{marker}" not in shop.kubectl("get", "incidents", "--output", "json")
    assert name not in shop.kubectl("get", "incidents", "--output", "json")


def test_audit_logs_other_namespaces_and_endless_exceptions_are_refused_at_once(shop: Tenant, marker: str) -> None:
    assert "may not read audit logs" in shop.apply_refused(a_policy(marker, marker, on=["audit.request"], when='audit.verb == "get"', message="x"))
    beyond = a_policy(marker, marker)
    beyond["spec"]["scope"] = {"namespaces": {"include": ["*"]}}
    assert "scope.namespaces is for policies in namespace watchkeeper" in shop.apply_refused(beyond)
    assert "needs an end" in shop.apply_refused(an_exception(marker, "anything", until=None))
    assert "more than 90 days away" in shop.apply_refused(an_exception(marker, "anything", until="2090-01-01T00:00:00Z"))
    in_root_words = ("apply", "--server-side", "--namespace", "watchkeeper", "--filename", "-")
    assert "Forbidden" in shop.refused(*in_root_words, stdin=json.dumps(a_policy(marker, marker)))


def test_a_kind_of_event_that_would_cost_every_node_is_not_accepted(shop: Tenant, marker: str) -> None:
    shop.apply(a_policy(marker, marker, on=["file.write"], when='file.path == "/etc/passwd"', message="x"))
    said = eventually("the policy is judged", lambda: shop.condition("runtimepolicy", marker, "Accepted"), SECONDS)
    assert (said["status"], said["reason"]) == ("False", "NotAllowed")
    assert "may not read file.write" in said["message"]


def test_more_policies_and_rules_than_a_namespace_may_have_are_not_accepted(bank: Tenant, marker: str) -> None:
    many = a_policy(f"{marker}-rules", marker)
    many["spec"]["rules"] = [many["spec"]["rules"][0] | {"name": f"rule-{number}"} for number in range(101)]
    bank.apply(many)
    said = eventually("the policy with 101 rules is judged", lambda: bank.condition("runtimepolicy", f"{marker}-rules", "Accepted"), SECONDS)
    assert (said["status"], said["reason"]) == ("False", "OverQuota")
    bank.kubectl("delete", "runtimepolicy", f"{marker}-rules")
    policies = [a_policy(f"{marker}-{number:02}", marker) for number in range(21)]
    bank.kubectl("apply", "--server-side", "--filename", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": policies}))

    def reasons() -> list[str]:
        items = json.loads(bank.kubectl("get", "runtimepolicies", "--output", "json"))["items"]
        said = [each["reason"] for one in items for each in one.get("status", {}).get("conditions", ()) if each["type"] == "Accepted"]
        return said if len(said) == len(items) >= 21 and "NotYetSeen" not in said else []

    found = eventually("21 policies are judged", reasons, SECONDS)
    assert (found.count("Compiled"), found.count("OverQuota")) == (20, len(found) - 20)
    bank.kubectl("delete", "runtimepolicies", *(one["metadata"]["name"] for one in policies), "--wait=false")
