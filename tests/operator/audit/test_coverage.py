"""Canaries tell which rules can't fire, and nothing that they ask for could do harm."""

from __future__ import annotations

from functools import cache

import pytest

from watchkeeper_cli.policy_set import library_program
from watchkeeper_operator.audit.coverage import NOWHERE, Probe, coverage, probes, probes_of
from watchkeeper_operator.audit.demands import Demand, demands
from watchkeeper_operator.audit.levels import Asked, logged, read_policy, shipped_text
from watchkeeper_operator.audit.state import Arrival
from watchkeeper_operator.collector.audit_judging import CANARY_USER

GROUPS = ("system:serviceaccounts", "system:serviceaccounts:watchkeeper-system", "system:authenticated")
SECRETS = {"k8s-long-lived-token/secret-made"}


@cache
def asked():
    return demands(library_program())


def arrivals(policy, sent=None, delay=0.5):
    """What a cluster with this policy would log of the canaries."""
    for probe in sent or probes(asked()):
        one = Asked(
            user=CANARY_USER,
            groups=GROUPS,
            verb=probe.verb,
            group=probe.group,
            resource=probe.resource,
            subresource=probe.subresource,
            namespace=probe.namespace,
        )
        if (level := logged(policy, one).level) != "None":
            yield Arrival("nonce", probe.verb, probe.uri, level, delay)


def blind_under(text: str) -> dict[str, str]:
    policy, sent = read_policy(text), probes(asked())
    return {one.rule: one.reason for one in coverage(asked(), sent, arrivals(policy)).wholly}


def test_under_the_shipped_policy_no_rule_is_blind_but_those_that_read_secrets():
    found = coverage(asked(), probes(asked()), arrivals(read_policy(shipped_text())))
    assert {one.rule for one in found.blind} == SECRETS
    assert found.arrived == found.sent > 200


def test_a_policy_of_metadata_alone_blinds_the_rules_that_read_bodies():
    blind = blind_under("{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Metadata}]}")
    assert blind["k8s-cluster-admin-binding/granted"] == "audit level Request for create of clusterrolebindings; Metadata is logged"
    assert "k8s-exec-break-out-tool/enters-the-node" not in blind
    assert "k8s-stale-token-used/any" not in blind


def test_a_policy_without_exec_blinds_the_rules_on_it():
    silent = 'apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- {level: None, resources: [{group: "", resources: [pods/exec]}]}\n- {level: RequestResponse}'
    blind = blind_under(silent)
    assert blind["k8s-exec-break-out-tool/enters-the-node"] == "audit level Metadata for create of pods/exec; nothing is logged"
    assert "k8s-cluster-admin-binding/granted" not in blind


def test_where_nothing_arrives_every_rule_is_blind():
    found = coverage(asked(), probes(asked()), ())
    testable = {demand.rule for demand in asked() if probes_of(demand) or not demand.resources}
    assert {one.rule for one in found.wholly} == testable
    assert found.arrived == 0


def test_what_is_logged_for_some_kinds_only_is_blind_in_part():
    demand = Demand(rule="p/r", level="Request", resources=("pods", "deployments"), verbs=("create",))
    pods, deployments = probes_of(demand)
    came = [Arrival("n", pods.verb, pods.uri, "Request", 0.2), Arrival("n", deployments.verb, deployments.uri, "Metadata", 0.7)]
    found = coverage([demand], (pods, deployments), came)
    assert [(one.reason, one.wholly) for one in found.blind] == [("audit level Request for create of deployments; Metadata is logged", False)]
    assert (found.wholly, found.slowest_seconds) == ((), 0.7)


def test_a_rule_of_several_steps_is_blind_when_one_of_them_is():
    steps = [
        Demand(rule="p/r", level="Metadata", resources=("pods",), verbs=("get",)),
        Demand(rule="p/r", level="Request", resources=("secrets",), verbs=("create",)),
    ]
    came = [Arrival("n", probe.verb, probe.uri, "Metadata", 0.1) for probe in probes(steps)]
    assert [one.rule for one in coverage(steps, probes(steps), came).wholly] == ["p/r"]


@pytest.mark.parametrize(
    ("probe", "method", "uri"),
    [
        (Probe("get", "", "pods", "exec", "shop"), "GET", f"/api/v1/namespaces/shop/pods/{NOWHERE}/exec"),
        (Probe("list", "", "secrets", "", NOWHERE), "GET", f"/api/v1/namespaces/{NOWHERE}/secrets"),
        (Probe("watch", "", "nodes", "", ""), "GET", "/api/v1/nodes?watch=1"),
        (Probe("create", "apps", "deployments", "", NOWHERE), "POST", f"/apis/apps/v1/namespaces/{NOWHERE}/deployments?dryRun=All"),
        (Probe("create", "", "serviceaccounts", "token", NOWHERE), "POST", f"/api/v1/namespaces/{NOWHERE}/serviceaccounts/{NOWHERE}/token?dryRun=All"),
        (
            Probe("deletecollection", "rbac.authorization.k8s.io", "clusterroles", "", ""),
            "DELETE",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles?dryRun=All",
        ),
        (Probe("patch", "", "namespaces", "", ""), "PATCH", f"/api/v1/namespaces/{NOWHERE}?dryRun=All"),
    ],
)
def test_a_probe_is_the_request_that_the_verb_stands_for(probe, method, uri):
    assert (probe.method, probe.uri) == (method, uri)


def test_no_probe_could_change_anything_even_for_an_account_with_all_rights():
    for probe in probes(asked()):
        if probe.method != "GET":
            assert probe.uri.endswith("?dryRun=All")
        assert probe.verb != "deletecollection" or probe.namespace in ("", NOWHERE)
        if probe.subresource:
            assert NOWHERE in probe.uri


def test_reads_come_first():
    order = [probe.method for probe in probes(asked())]
    assert order == sorted(order, key=lambda method: method != "GET")
