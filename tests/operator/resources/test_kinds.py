"""The cluster's kinds as the models read them, and what no schema says."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError
from tests.support.cluster_objects import ACCEPTED, FULL_STATUSES, MOMENT, REFUSED

from watchkeeper_detection.vocabulary import KINDS as EVENT_KINDS
from watchkeeper_operator import names
from watchkeeper_operator.resources.conditions import MESSAGE_CHARACTERS, TYPES, Reason, Said, Type, carried_on, is_so, unseen
from watchkeeper_operator.resources.kinds import KINDS

REPOSITORY = Path(__file__).parents[3]
MODELS = {kind.name: kind.model for kind in KINDS}
ADMISSION = sorted(path for path in (REPOSITORY / "manifests/base/admission").glob("*.yaml") if path.name != "kustomization.yaml")


@pytest.mark.parametrize("sentence", ACCEPTED)
def test_accepts(sentence):
    MODELS[ACCEPTED[sentence]["kind"]].model_validate(ACCEPTED[sentence])


@pytest.mark.parametrize("sentence", REFUSED)
def test_refuses(sentence):
    written, _ = REFUSED[sentence]
    with pytest.raises(ValidationError):
        MODELS[written["kind"]].model_validate(written)


@pytest.mark.parametrize("kind", MODELS)
def test_every_field_of_a_status_has_an_example(kind):
    """So that tests of a real API server see them all."""
    model = MODELS[kind].model_fields["status"].annotation.__args__[0]
    assert {field.alias or name for name, field in model.model_fields.items()} == set(FULL_STATUSES[kind])


# --- conditions --------------------------------------------------------------------------------------------------------

LATER = "2026-11-25T11:00:00Z"


def test_at_first_sight_all_conditions_of_a_kind_are_unknown():
    written = carried_on([], unseen("LogSource"), generation=1, now=MOMENT)
    assert [(one["type"], one["status"], one["reason"]) for one in written] == [(type_, "Unknown", "NotYetSeen") for type_ in TYPES["LogSource"]]


def test_the_time_of_a_condition_moves_with_its_status_alone():
    first = carried_on([], [Said(Type.ACCEPTED, True, Reason.COMPILED)], generation=1, now=MOMENT)
    same = carried_on(first, [Said(Type.ACCEPTED, True, Reason.COMPILED, "all 3 rules")], generation=2, now=LATER)
    other = carried_on(same, [Said(Type.ACCEPTED, False, Reason.INVALID)], generation=3, now=LATER)
    assert [one[0]["lastTransitionTime"] for one in (first, same, other)] == [MOMENT, MOMENT, LATER]
    assert [one[0]["observedGeneration"] for one in (first, same, other)] == [1, 2, 3]


def test_a_message_is_cut_at_what_the_schema_allows():
    [written] = carried_on([], [Said(Type.ACCEPTED, False, Reason.INVALID, "x" * (MESSAGE_CHARACTERS + 1))], generation=1, now=MOMENT)
    assert len(written["message"]) == MESSAGE_CHARACTERS
    assert written["message"].endswith("x…")


def test_a_condition_that_is_not_there_is_not_known():
    written = carried_on([], [Said(Type.CLOSED, False, Reason.GOING_ON)], generation=1, now=MOMENT)
    assert (is_so(written, Type.CLOSED), is_so(written, Type.CONTAINED)) == (False, None)


@pytest.mark.parametrize("word", [*Type, *Reason])
def test_types_and_reasons_are_words_that_the_schema_takes(word):
    assert word.isalpha()
    assert len(word) <= 63


def test_every_type_belongs_to_a_kind():
    assert {type_ for types in TYPES.values() for type_ in types} == set(Type)
    assert set(TYPES) == set(MODELS)


# --- admission policies ------------------------------------------------------------------------------------------------


def policies_and_bindings():
    return [written for path in ADMISSION for written in yaml.safe_load_all(path.read_text(encoding="utf-8"))]


POLICIES = {written["metadata"]["name"]: written["spec"] for written in policies_and_bindings() if written["kind"] == "ValidatingAdmissionPolicy"}
BINDINGS = {written["metadata"]["name"]: written["spec"] for written in policies_and_bindings() if written["kind"] == "ValidatingAdmissionPolicyBinding"}


def test_every_file_of_admission_policies_is_applied():
    kustomization = yaml.safe_load((ADMISSION[0].parent / "kustomization.yaml").read_text(encoding="utf-8"))
    assert kustomization["resources"] == [path.name for path in ADMISSION]


def test_accounts_namespaces_and_the_lease_are_the_product_s_own():
    text = "".join(path.read_text(encoding="utf-8") for path in ADMISSION)
    operator = f"system:serviceaccount:{names.SYSTEM_NAMESPACE}:{names.ACT_ACCOUNT}"
    assert {part.split("'")[0] for part in text.split("'system:serviceaccount:")[1:]} - {""} == {
        operator.removeprefix("system:serviceaccount:"),
        "kube-system:namespace-controller",
    }
    assert f"'{names.EPOCH_ANNOTATION}' in" in text
    assert f"request.namespace != '{names.ROOT_NAMESPACE}'" in text
    for binding in BINDINGS.values():
        reference = binding.get("paramRef")
        assert reference is None or (reference["name"], reference["namespace"]) == (names.OPERATOR_LEASE, names.SYSTEM_NAMESPACE)


def test_every_policy_denies_by_one_binding_of_its_name():
    assert POLICIES.keys() == BINDINGS.keys()
    assert all(name.startswith("watchkeeper-") for name in POLICIES)
    assert {(binding["policyName"] == name, tuple(binding["validationActions"])) for name, binding in BINDINGS.items()} == {(True, ("Deny",))}


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_can_fail_for_nobody_else(name):
    """What a policy matches it denies when it fails: so our own kinds alone, or nobody but the operator, and parameters that are always served."""
    spec = POLICIES[name]
    ours = all(rule["apiGroups"] == [names.GROUP] for rule in spec["matchConstraints"]["resourceRules"])
    only_the_operator = any(condition["name"] == "the-operator" for condition in spec.get("matchConditions", []))
    assert ours or only_the_operator
    assert spec.get("paramKind", {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}) == {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
    # A missing parameter denies all that is matched, whatever the conditions say: only where others write nothing anyway.
    statuses = all(rule["resources"] == ["*/status"] for rule in spec["matchConstraints"]["resourceRules"])
    assert "paramKind" not in spec or BINDINGS[name]["paramRef"]["parameterNotFoundAction"] == ("Deny" if statuses else "Allow")
    assert spec["failurePolicy"] == "Fail"


@pytest.mark.parametrize("kind", EVENT_KINDS, ids=lambda kind: kind.name)
def test_kinds_of_events_that_tenants_may_not_read_are_those_without_a_process_or_sensor(kind):
    refused = next(one["expression"] for one in POLICIES["watchkeeper-tenant-policies"]["variables"] if one["name"] == "logs")
    families = set(yaml.safe_load(refused))
    assert (kind.name.split(".")[0] in families) == (not {"process", "sensor"} & set(kind.roots))


@pytest.mark.parametrize("path", ADMISSION, ids=lambda path: path.name)
def test_who_is_refused_is_told_why(path):
    for written in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        for validation in written["spec"].get("validations", []):
            assert validation.get("message") or validation.get("messageExpression")
            assert validation["reason"] == "Forbidden"


# --- the page about them -----------------------------------------------------------------------------------------------

PAGE = (REPOSITORY / "docs/kinds.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("word", [*Type, *Reason, *POLICIES])
def test_types_reasons_and_admission_policies_are_told_to_users(word):
    assert f"`{word}`" in PAGE


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_kinds_and_what_they_are_selected_by_are_told_to_users(kind):
    assert f"{kind.name} (`{kind.short}`)" in PAGE
    assert [path for path in kind.selectable if f"`{path[1:]}`" not in PAGE] == []
