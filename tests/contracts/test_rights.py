"""Least rights: what the manifests grant, what the table says and what the source asks for are the same."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from tests.support.cluster_calls import UntoldError, asked_by, asked_in
from tests.support.needed_rights import ENTRIES, EVERYWHERE, RIGHTS

BASE = Path(__file__).parents[2] / "manifests" / "base"
FILES = {"watchkeeper-act": "operator-rights.yaml", "watchkeeper-observe": "collector-rights.yaml"}


def objects(name):
    return [one for one in yaml.safe_load_all((BASE / name).read_text()) if one]


def granted(account):
    """(namespace, resource, name, verb) of each rule that is bound to the account."""
    found = objects(FILES[account])
    roles = {(one["kind"], one["metadata"]["name"]): one for one in found if "rules" in one}
    for binding in (one for one in found if "roleRef" in one):
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": "watchkeeper-system"}]
        role = roles.pop((binding["roleRef"]["kind"], binding["roleRef"]["name"]))
        assert role["metadata"].get("namespace", EVERYWHERE) == binding["metadata"].get("namespace", EVERYWHERE)
        for rule in role["rules"]:
            resources = [f"{group}/{one}" if group else one for group in rule.get("apiGroups", ()) for one in rule["resources"]] + rule.get(
                "nonResourceURLs", []
            )
            for resource in resources:
                for name in rule.get("resourceNames", [""]):
                    for verb in rule["verbs"]:
                        yield role["metadata"].get("namespace", EVERYWHERE), resource, name, verb
    assert not roles, "a role that is bound to nobody"


def needed(account):
    return {(right.namespace, right.resource, name, verb) for right in RIGHTS[account] for name in right.names or ("",) for verb in right.verbs.split()}


@pytest.mark.parametrize("account", RIGHTS)
def test_manifests_grant_what_the_table_says_and_nothing_twice(account):
    rules = list(granted(account))
    assert sorted(set(rules)) == sorted(rules)
    assert set(rules) == needed(account)


@pytest.mark.parametrize("account", RIGHTS)
def test_the_table_says_what_the_source_asks_for_and_which_module_does(account):
    asked = asked_by(ENTRIES[account])
    told = defaultdict(lambda: (set(), set()))
    for right in RIGHTS[account]:
        verbs, modules = told[right.resource]
        verbs |= set(right.verbs.split())
        modules |= set(right.modules.split())
    found = defaultdict(lambda: (set(), set()))
    for one in asked:
        verbs, modules = found[one.resource]
        verbs.add(one.verb)
        modules.add(one.module)
    assert dict(told) == dict(found)


@pytest.mark.parametrize("account", RIGHTS)
def test_nothing_is_granted_by_a_star(account):
    assert not [rule for rule in granted(account) if "*" in "".join(rule)]


def test_sensors_and_canaries_are_bound_to_nothing():
    bound = {subject["name"] for path in BASE.glob("*.yaml") for one in objects(path.name) for subject in one.get("subjects", ())}
    assert bound == set(RIGHTS)


@pytest.mark.parametrize(
    ("text", "expected"),
    {
        "a list": ("cluster.list(kinds.PODS, Pod)", {("pods", "list")}),
        "an apply makes what is not there": ("self._cluster.apply(kinds.CONFIG_MAPS, body)", {("configmaps", "patch"), ("configmaps", "create")}),
        "a status is never made": ('cluster.apply(kinds.SENSORS, body, subresource="status")', {("watchkeeper.dev/sensors/status", "patch")}),
        "a watch lists first": ("Watch(cluster, kinds.NODES, Node)", {("nodes", "list"), ("nodes", "watch")}),
        "each of a comprehension": ("[Watch(cluster, one, Node) for one in (kinds.NODES,)]", {("nodes", "list"), ("nodes", "watch")}),
        "a dictionary's own get": ("found.get(kinds.PODS, None)", set()),
    }.values(),
)
def test_calls_are_read_from_the_source(text, expected, tmp_path):
    assert {(one.resource, one.verb) for one in asked_in(_module(tmp_path, text))} == expected


def test_a_call_whose_resource_is_not_told_is_an_error(tmp_path):
    with pytest.raises(UntoldError):
        list(asked_in(_module(tmp_path, "lambda resource: cluster.list(resource, Pod)")))


def _module(folder, text):
    """A module of this source that was never run."""
    path = folder / "made_up.py"
    path.write_text(f"from watchkeeper_operator import kinds\n{text}\n")
    module = ModuleType("watchkeeper_operator.made_up")
    module.__file__ = str(path)
    exec("from watchkeeper_operator import kinds", vars(module))  # noqa: S102 (the one line that the text needs)
    return module
