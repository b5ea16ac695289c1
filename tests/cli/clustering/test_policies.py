"""Policies as rows: those that do not hold first, each with why."""

from __future__ import annotations

from tests.support.seen_objects import a_policy, said

from watchkeeper_cli.clustering.policy_rows import policy_rows, table_rows

REFUSED = a_policy("zebra", nodes=None, conditions=said(Accepted=(False, "OverQuota"), InForce=(False, "NotAccepted")))


def test_those_that_do_not_hold_come_first():
    assert [row.short for row in policy_rows([a_policy("alpha"), REFUSED])] == ["zebra", "alpha"]


def test_the_root_namespace_goes_without_saying_and_others_do_not():
    assert [row.short for row in policy_rows([a_policy("one"), a_policy("two", namespace="shop")])] == ["shop/two", "one"]


def cells(policy):
    return [cell.text for cell in table_rows(policy_rows([policy]))[0].cells]


def test_a_row_says_where_it_holds():
    assert cells(a_policy()) == ["k8s-pod-exec", "1", "yes", "yes", "1/1", "Command run in a pod"]
    assert cells(REFUSED) == ["zebra", "1", "no", "no", "-", "OverQuota"]


def test_one_that_nodes_have_no_part_in_is_the_operators():
    assert cells(a_policy(nodes=None, conditions=said(Accepted=(True, "Compiled"), InForce=(True, "InOperator"))))[3:5] == ["yes", "operator"]


def test_an_older_generation_in_force_is_neither_yes_nor_no():
    assert cells(a_policy(conditions=said(Accepted=(False, "Invalid"), InForce=(False, "LastGood"))))[2:4] == ["no", "older"]


def test_one_that_nobody_has_judged_is_told_as_such():
    (row,) = policy_rows([a_policy(nodes=None, conditions=())])
    assert (row.is_failing, row.why) == (True, "the operator has not judged it yet")


def test_one_that_is_switched_off_does_not_fail():
    (row,) = policy_rows([a_policy(conditions=said(Accepted=(True, "Compiled"), InForce=(False, "Disabled")))])
    assert not row.is_failing
    assert cells(a_policy(conditions=said(Accepted=(True, "Compiled"), InForce=(False, "Disabled"))))[3] == "disabled"
