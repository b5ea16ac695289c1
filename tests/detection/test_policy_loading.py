"""From text to objects: what YAML means, where errors are, and that no text raises or takes long."""

import importlib
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzz import policies as fuzz
from tests.support.policy_objects import a_list, a_policy, a_rule, an_exception

from watchkeeper_detection.policy_loading import MOST_ERRORS, load_policies
from watchkeeper_detection.yaml_text import DEEPEST, LONGEST_TEXT, MOST_NODES, plain

HEAD = "apiVersion: watchkeeper.dev/v1alpha1\nkind: RuntimePolicy\nmetadata: {name: a}\nspec:\n"
RULE = "  rules:\n  - name: r\n    on: [audit.request]\n    when: a\n    severity: P1\n"


def errors_of(text, file="a.yaml"):
    return [str(error) for error in load_policies(text, file).errors]


def first_error(text, file="a.yaml"):
    documents, errors = load_policies(text, file)
    assert documents == []
    return errors[0]


# --- documents ---------------------------------------------------------------------------------------------------------


def test_documents_of_one_text_come_in_order():
    text = "\n---\n".join(map(json.dumps, (a_policy(), a_list("x"), an_exception())))
    documents, errors = load_policies(text, "a.yaml")
    assert [document.object.kind for document in documents] == ["RuntimePolicy", "PolicyList", "PolicyException"]
    assert errors == []


@pytest.mark.parametrize("text", ["", "# only a remark\n", "---\n---\n", "---\n# nothing\n...\n", "\ufeff"])
def test_a_text_without_objects_is_no_error(text):
    assert load_policies(text, "a.yaml") == ([], [])


def test_empty_documents_between_others_are_passed_over():
    documents, errors = load_policies(f"---\n{HEAD}{RULE}---\n# nothing\n---\n{HEAD}{RULE}", "a.yaml")
    assert (len(documents), errors) == (2, [])


def test_an_object_with_an_error_does_not_hold_up_the_others():
    documents, errors = load_policies(f"{HEAD}{RULE}---\n{HEAD}{RULE.replace('P1', 'P9')}---\n{HEAD}{RULE}", "a.yaml")
    assert (len(documents), len(errors)) == (2, 1)


def test_a_list_of_objects_is_taken_apart_with_lines_of_its_own():
    text = (
        "apiVersion: v1\nkind: List\nitems:\n"
        "- apiVersion: watchkeeper.dev/v1alpha1\n  kind: PolicyList\n  metadata: {name: a}\n  spec: {values: [x]}\n"
        "- apiVersion: watchkeeper.dev/v1alpha1\n  kind: PolicyList\n  metadata: {name: b}\n  spec:\n    values: [1]\n"
    )
    documents, errors = load_policies(text, "a.yaml")
    assert [document.object.name for document in documents] == ["a"]
    assert [str(error) for error in errors] == ["b at spec.values[0]: 1 is not text (put it in quotes) [a.yaml:12]"]


def test_json_is_read_when_the_files_name_says_so():
    documents, errors = load_policies(json.dumps(a_policy(title="\U0001f512")), "a.json")
    assert (documents[0].object.spec.title, errors) == ("\U0001f512", [])


def test_one_point_nought_is_a_whole_number_in_json_as_to_the_api_server():
    text = json.dumps(a_policy(a_rule(threshold={"count": 20, "within": "5m"}))).replace("20", "2.0e1")
    assert load_policies(text, "a.json").documents[0].object.spec.rules[0].threshold.count == 20


def test_kustomization_files_are_passed_over():
    assert load_policies("apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [a.yaml]\n", "a.yaml") == ([], [])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("- a\n", "a list is not a Kubernetes object (it begins with apiVersion: watchkeeper.dev/v1alpha1) [a.yaml:1]"),
        ("just text", "'just text' is not a Kubernetes object (it begins with apiVersion: watchkeeper.dev/v1alpha1) [a.yaml:1]"),
        ("{}", "kind: is required [a.yaml:1]"),
        ("kind: ConfigMap\nmetadata: {name: a}\n", "a at kind: 'ConfigMap' is not one of RuntimePolicy, PolicyException, PolicyList [a.yaml:1]"),
        ("kind: [a]\n", "kind: a list is not one of RuntimePolicy, PolicyException, PolicyList [a.yaml:1]"),
        ("kind: RuntimePolcy\n", "kind: 'RuntimePolcy' is not one of RuntimePolicy, PolicyException, PolicyList (did you mean 'RuntimePolicy'?) [a.yaml:1]"),
        (
            HEAD.replace("v1alpha1", "v1") + RULE,
            "a at apiVersion: 'watchkeeper.dev/v1' is not watchkeeper.dev/v1alpha1 (did you mean 'watchkeeper.dev/v1alpha1'?) [a.yaml:1]",
        ),
    ],
)
def test_what_is_no_object_of_ours_is_named(text, reason):
    assert errors_of(text) == [reason]


# --- what YAML means ---------------------------------------------------------------------------------------------------


# Seen with kubectl 1.32 on the same words.
@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[(word, True) for word in ("true", "True", "yes", "Yes", "on", "ON", "y")],
        *[(word, False) for word in ("false", "no", "off", "n")],
        *[(word, None) for word in ("", "~", "null", "NULL")],
        *[("0777", 511), ("0o17", 15), ("0x1F", 31), ("0b11", 3), ("-0b1", -1), ("1_000", 1000), ("5_", 5), ("+5", 5), ("0", 0)],
        *[("08", 8), ("1.", 1), (".5", 0.5), ("1e3", 1000), ("1.5", 1.5), ("1e300", 1e300)],
        *[(word, word) for word in ("tRue", "1:30", "2026-01-01", "2026-01-01T00:00:00Z", "1e", "a_b", "_1", "5m", "T1609", "1.2.3.4", "-", "+", ".")],
        ("9" * 41, "9" * 41),
    ],
)
def test_an_unquoted_word_means_what_it_means_to_kubectl(text, value):
    read = plain(text)
    assert (type(read), read) == (type(value), value)


def test_the_bare_key_on_is_the_field_and_its_line_is_kept_because_kubectl_reads_true():
    documents, errors = load_policies(HEAD + RULE, "a.yaml")
    assert errors == []
    assert documents[0].place.bare_keys == ((("spec", "rules", 0, "on"), 7),)
    assert load_policies(HEAD + RULE.replace("on:", '"on":'), "a.yaml").documents[0].place.bare_keys == ()


def test_a_quoted_word_is_text():
    assert load_policies(f"{HEAD}  tags: ['on', \"5\", !!str 7]\n{RULE}", "a.yaml").documents[0].object.spec.tags == ("on", "5", "7")


def test_an_anchor_may_be_used_again():
    text = f"{HEAD}  tags: &words [a, b]\n  authors: *words\n{RULE}"
    assert load_policies(text, "a.yaml").documents[0].object.spec.authors == ("a", "b")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("  title: a\n  title: b\n", "the key 'title' is there more than once"),
        ("  <<: {title: a}\n", "merge keys are not read here"),
        ("  title: !!binary YQ==\n", "the tag tag:yaml.org,2002:binary is not read here"),
        ("  scope: !python/object:os.system {}\n", "is not read here"),
        ("  title: *nowhere\n", "the alias *nowhere names nothing that is complete above it"),
        ("  tags: &a [*a]\n", "the alias *a names nothing that is complete above it"),
        ("  {a: b}: c\n", "a key is a mapping, a list or an alias"),
        ("  title: [\n", "is not YAML"),
        ("  title: \x07\n", "is not YAML"),
        ("\ttitle: a\n", "is not YAML"),
    ],
)
def test_refuses_with_the_line(line, words):
    found = first_error(HEAD + line + RULE)
    assert words in found.reason
    assert found.line in (5, 6, 7) or "\x07" in line


def test_a_key_twice_in_json_is_refused():
    assert "the key 'title' is there more than once" in errors_of('{"kind": "RuntimePolicy", "title": "a", "title": "b"}', "a.json")[0]


# --- lines -------------------------------------------------------------------------------------------------------------


def test_an_errors_line_is_where_the_part_is_written():
    text = HEAD + RULE.replace("severity: P1", "severity: P0") + "    kill:\n      yes please\n"
    assert [error.line for error in load_policies(text, "a.yaml").errors] == [9, 11]


def test_a_line_within_a_block_of_text_can_be_named():
    document = load_policies(HEAD + RULE.replace("when: a\n", "when: |\n      a ||\n      b\n"), "a.yaml").documents[0]
    assert document.place.error(("spec", "rules", 0, "when"), "no such field", line_of_text=2).line == 10


def test_what_is_missing_is_at_the_line_of_what_it_is_missing_from():
    assert [(error.path, error.line) for error in load_policies(HEAD + RULE.replace("    severity: P1\n", ""), "a.yaml").errors] == [
        ("spec.rules[r].severity", 6)
    ]


# --- hostile text ------------------------------------------------------------------------------------------------------

LEVELS = "".join(f"{chr(98 + level)}: &{chr(98 + level)} [{','.join(['*' + chr(97 + level)] * 10)}]\n" for level in range(12))
HOSTILE = {
    "a bomb of aliases": f"a: &a [x,x,x,x,x,x,x,x,x,x]\n{LEVELS}",
    "a long text repeated by aliases": f"{HEAD}  tags: [&a '{'x' * 1_000_000}'{', *a' * 150_000}]\n",
    "brackets without end": "[" * LONGEST_TEXT,
    "braces without end": "{" * LONGEST_TEXT,
    "dashes without end": "- " * (LONGEST_TEXT // 2),
    "question marks without end": "? " * (LONGEST_TEXT // 2),
    "steps without end": "".join(" " * depth + "a:\n" for depth in range(2_800)),
    "documents without end": "---\n" * (LONGEST_TEXT // 4),
    "entries without end": "- a\n" * (LONGEST_TEXT // 4),
    "unknown fields without end": HEAD + "  ? {" + ",".join(f"k{number}: 1" for number in range(90_000)) + "}",
    "rules without end": f"{HEAD}  rules:\n" + "  - {name: a}\n" * 60_000,
    "a name without end": HEAD.replace("name: a", "name: " + "a-" * 1_000_000),
    "braces in a message without end": f"{HEAD}  rules:\n  - {{name: a, message: '{'{' * 1_000_000}'}}\n",
    "bare keys without end": "kind: List\nitems:\n" + "- {kind: PolicyList, on: 1, off: 2}\n" * 25_000,
}


@pytest.mark.parametrize("sentence", HOSTILE)
def test_hostile_text_is_refused_in_seconds_with_few_errors(sentence):
    began = time.monotonic()
    documents, errors = load_policies(HOSTILE[sentence], "a.yaml")
    assert time.monotonic() - began < 60
    assert documents == []
    assert 1 <= len(errors) <= MOST_ERRORS + 1
    assert max(len(str(error)) for error in errors) < 2_000


@pytest.mark.parametrize("text", ["[" * LONGEST_TEXT, '{"a":' * 800_000, "9" * 10_000, "[" + "1," * MOST_NODES + "1]", '{"kind": "\\ud800"}', "NaN", "{"])
def test_hostile_json_is_refused(text):
    documents, errors = load_policies(text, "a.json")
    assert (documents, len(errors)) == ([], 1)


def test_more_bytes_than_are_read_are_refused():
    assert errors_of("#" * (LONGEST_TEXT + 1)) == ["is longer than 4 MiB [a.yaml]"]


def test_bytes_that_are_not_utf_8_are_refused():
    assert errors_of(b"kind: \xff") == ["is not UTF-8 text (invalid start byte) [a.yaml]"]
    assert errors_of("kind: \ud800") == ["is not UTF-8 text (surrogates not allowed) [a.yaml]"]


def test_as_deep_as_a_text_may_be():
    assert "is nested deeper" not in errors_of("[" * DEEPEST + "]" * DEEPEST)[0]
    assert "is nested deeper" in errors_of("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1))[0]


@settings(max_examples=100, deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda part: st.lists(part) | st.dictionaries(st.text(), part), max_leaves=30))
def test_a_policy_with_any_part_replaced_never_raises(part):
    for spec in ({"rules": part}, {"scope": part}, {"respond": [part]}, {"rules": [a_rule(sequence=part, unless=[part])]}):
        load_policies(json.dumps(a_policy(**spec)), "a.json")
    load_policies(json.dumps(part), "a.yaml")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300) | st.text(alphabet="abkind:{}[]&*!|>-?,'\" \n\t#%@`~0", max_size=300).map(str.encode))
def test_any_bytes_never_raise(text):
    fuzz.one_input(text)


def test_the_fuzz_entry_reads_valid_policies_too():
    assert importlib.import_module("tests.fuzz.policies") is fuzz
    fuzz.one_input(b"\x00" + json.dumps(a_policy()).encode())
