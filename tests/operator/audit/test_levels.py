"""Audit policies are matched as the API server matches them."""

from __future__ import annotations

import pytest

from watchkeeper_operator.audit.levels import Asked, logged, read_policy


def level(rules: str, **of: object) -> str:
    policy = read_policy(f"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n{rules}\n- level: Metadata")
    return logged(policy, Asked(**{"user": "ann", "verb": "get", **of})).level


PODS = '- {level: Request, resources: [{group: "", resources: [%s]}]}'


@pytest.mark.parametrize(
    ("pattern", "subresource", "expected"),
    [
        ("pods", "", "Request"),
        ("pods", "exec", "Metadata"),
        ("pods/exec", "exec", "Request"),
        ("pods/exec", "", "Metadata"),
        ("'pods/*'", "exec", "Request"),
        ("'pods/*'", "", "Request"),
        ("'*/exec'", "exec", "Request"),
        ("'*/exec'", "", "Metadata"),
        ("'*'", "exec", "Request"),
    ],
)
def test_a_resource_covers_its_subresources_only_where_it_says_so(pattern, subresource, expected):
    assert level(PODS % pattern, resource="pods", subresource=subresource) == expected


def test_a_group_without_resources_is_all_of_it_and_another_group_is_not():
    rule = "- {level: None, resources: [{group: apps}]}"
    assert level(rule, group="apps", resource="deployments", subresource="scale") == "None"
    assert level(rule, group="batch", resource="jobs") == "Metadata"


def test_the_first_rule_that_matches_decides():
    assert level("- {level: None, verbs: [get]}\n- {level: Request, verbs: [get]}") == "None"


def test_a_request_that_no_rule_matches_is_not_logged():
    policy = read_policy("{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Request, users: [bob]}]}")
    assert logged(policy, Asked(user="ann", verb="get")).level == "None"


def test_one_of_the_groups_suffices():
    assert level('- {level: None, userGroups: ["system:nodes", other]}', groups=("a", "system:nodes")) == "None"


def test_a_rule_with_namespaces_is_about_resources_in_them():
    rule = "- {level: None, namespaces: [kube-system]}"
    assert level(rule, resource="pods", namespace="kube-system") == "None"
    assert level(rule, resource="pods", namespace="shop") == "Metadata"
    assert level(rule, path="/metrics") == "Metadata"


def test_an_empty_namespace_is_that_of_objects_without_one():
    assert level('- {level: None, namespaces: [""]}', resource="nodes") == "None"


@pytest.mark.parametrize(
    ("pattern", "path", "expected"), [("/healthz*", "/healthz/ping", "None"), ("/healthz", "/healthz/ping", "Metadata"), ("*", "/x", "None")]
)
def test_paths_end_in_a_star_or_are_exact(pattern, path, expected):
    assert level(f'- {{level: None, nonResourceURLs: ["{pattern}"]}}', path=path) == expected


def test_names_of_resources_narrow():
    rule = '- {level: None, resources: [{group: "", resources: [configmaps], resourceNames: [a]}]}'
    assert level(rule, resource="configmaps", name="a") == "None"
    assert level(rule, resource="configmaps", name="b") == "Metadata"


def test_a_misspelled_field_is_refused():
    with pytest.raises(ValueError, match="no audit policy"):
        read_policy("{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Request, user: [bob]}]}")
