"""Each lint: one library that it strikes, with its place, and a near miss that it does not."""

import json
from dataclasses import dataclass

import msgspec
import pytest
from tests.support.events import an_event

from watchkeeper_detection.checking import check_policies
from watchkeeper_detection.lint import LINTS, Library, LintCase, lint_library
from watchkeeper_detection.lint.cases import occurs
from watchkeeper_detection.policy_loading import load_policies

EXEC = 'audit.verb == "create" && audit.objectRef.subresource == "exec"'


def an_object(**fields):
    return msgspec.Raw(json.dumps(fields).encode())


AN_EXEC = an_event(**{"audit.verb": "create", "audit.objectRef.subresource": "exec", "audit.userAgent": "curl/8", "audit.user.username": "alice"})
A_POD = an_event(
    **{"audit.verb": "create", "audit.requestObject": an_object(spec={"containers": [{"name": "a"}, {"name": "b", "image": "x"}], "hostPID": None})}
)
FIRES, QUIET = LintCase(None, fires=True, events=(AN_EXEC,)), LintCase(None, fires=False, events=(A_POD,))


@dataclass
class Written:
    """A library in which no lint strikes, but for what is changed."""

    rules: str = ""
    rule: str = ""
    when: str = EXEC
    spec: str = ""
    more: str = ""
    attack: str = "attack: [T1609]"
    severity: str = "severity: P3"
    runbook: str = "runbook: Look."
    blind_spots: str = "blindSpots: [kubelet]"
    on: str = '"on": [audit.request]'
    name: str = "a"
    file: str = "library/execution/a.yaml"
    cases: tuple = (FIRES, QUIET)

    def library(self):
        rules = self.rules or f"  - name: r\n    {self.on}\n    when: {json.dumps(self.when)}\n    {self.severity}\n    {self.attack}\n{self.rule}"
        text = f"apiVersion: watchkeeper.dev/v1alpha1\nkind: RuntimePolicy\nmetadata: {{name: {self.name}}}\nspec:\n  {self.runbook}\n  {self.blind_spots}\n{self.spec}  rules:\n{rules}"
        documents = []
        for source, file in ((text, self.file), (self.more, "library/more.yaml")):
            loaded = load_policies(source, file)
            assert [str(error) for error in loaded.errors] == []
            documents += loaded.documents
        checked = check_policies(documents)
        assert [str(error) for error in checked.errors] == []
        return Library(documents, checked, {self.name: self.cases})


def an_exception(when):
    return f"apiVersion: watchkeeper.dev/v1alpha1\nkind: PolicyException\nmetadata: {{name: mine}}\nspec: {{policy: a, reason: b, owner: c, when: {json.dumps(when)}}}\n"


def a_list(name):
    return f"apiVersion: watchkeeper.dev/v1alpha1\nkind: PolicyList\nmetadata: {{name: {name}}}\nspec: {{values: [x]}}\n"


def two(first, second, below=""):
    body = '    "on": [audit.request]\n    when: {}\n    severity: P3\n    attack: [T1609]\n'
    return f"  - name: r\n{body.format(json.dumps(first))}  - name: s\n{body.format(json.dumps(second))}{below}"


def an_unless(name, when):
    return f"    unless:\n    - {{name: {name}, when: {json.dumps(when)}}}\n"


POD_FIRES = (LintCase(None, fires=True, events=(A_POD,)), QUIET)
CREATED = 'audit.verb == "create"'

STRIKES = {
    "duplicate-condition": (Written(rules=two(EXEC, 'audit.objectRef.subresource == "exec"\n&& audit.verb == "create"')), "spec.rules[s]"),
    "unguarded-negation": (Written(when=f"{CREATED} && audit.requestObject.spec.containers != []", cases=POD_FIRES), "spec.rules[r].when"),
    "untold-field": (Written(on='"on": [network.connect]', when='connection.application == "tls"'), "spec.rules[r]"),
    "not-indexed": (Written(when='!(audit.verb in ["get", "list"])'), "spec.rules[r].when"),
    "no-cases": (Written(cases=()), "spec.rules[r]"),
    "no-fires-case": (Written(cases=(QUIET, LintCase("other", fires=True, events=(AN_EXEC,)))), "spec.rules[r]"),
    "no-quiet-case": (Written(cases=(FIRES,)), "spec"),
    "dead-field": (Written(when=f'{CREATED} && audit.requestObject.spec.conatiners.exists(c, c.image == "x")', cases=POD_FIRES), "spec.rules[r]"),
    "swallowed-by-unless": (Written(rule=an_unless("creators", 'audit.verb == "create"')), "spec.rules[r].unless[creators]"),
    "swallowed-by-exception": (Written(more=an_exception('audit.user.username.startsWith("a")')), "spec.rules[r]"),
    "attacker-chosen-guard": (Written(rule=an_unless("browser", 'audit.userAgent.startsWith("Mozilla/")')), "spec.rules[r].unless[browser].when"),
    "unknown-technique": (Written(attack="attack: [T1609, T9999]"), "spec.rules[r].attack[1]"),
    "no-technique": (Written(attack="confidence: low"), "spec.rules[r]"),
    "tactic-folder": (Written(file="library/impact/a.yaml"), "metadata.name"),
    "no-runbook": (Written(runbook="title: A"), "spec.rules[r]"),
    "no-blind-spots": (Written(blind_spots="title: A"), "spec"),
    "urgent-but-unsure": (Written(severity="severity: P1", rule="    confidence: low\n"), "spec.rules[r].confidence"),
    "unused-list": (Written(more=a_list("mining-pools")), "metadata.name"),
    "file-name": (Written(file="library/execution/b.yaml"), "metadata.name"),
    "bare-on": (Written(on="on: [audit.request]"), "spec.rules[r].on"),
}

NEAR_MISSES = {
    "the same condition with another threshold is no duplicate": Written(rules=two(EXEC, EXEC, "    threshold: {count: 9, within: 5m}\n")),
    "the same words about another value are no duplicate": Written(rules=two(EXEC, EXEC.replace('"exec"', '"attach"'))),
    "the same condition held back otherwise is no duplicate": Written(rules=two(EXEC, EXEC, an_unless("bob", 'audit.user.username == "bob"'))),
    "a negation that asks first is guarded": Written(
        when=f"{CREATED} && has(audit.requestObject.spec.containers) && audit.requestObject.spec.containers != []", cases=POD_FIRES
    ),
    "a negation of a closed field needs no guard": Written(when=f'{EXEC} && audit.user.username != "bob"'),
    "an unguarded negation in what holds back only makes more noise": Written(
        when=CREATED, cases=POD_FIRES, rule=an_unless("x", 'audit.user.username == "bob" && audit.requestObject.spec.containers != []')
    ),
    "one test of a closed field is enough for the index": Written(when='audit.verb.startsWith("cr") && !(audit.user.username in ["a", "b"])'),
    "a case that names no rule counts for every rule": Written(rules=two(EXEC, EXEC.replace('"exec"', '"attach"'))),
    "a path that occurs in one element of a list is not dead": Written(
        when=f'{CREATED} && audit.requestObject.spec.containers.exists(c, c.image == "x")', cases=POD_FIRES
    ),
    "a path that occurs in a quiet case only is not dead": Written(when=f'{CREATED} && audit.requestObject.spec.containers.exists(c, c.image == "x")'),
    "an unless that asks for more than the rule does": Written(rule=an_unless("alice", f'{EXEC} && audit.user.username == "bob"')),
    "an exception that holds back some of what the cases fire": Written(
        more=an_exception('audit.user.username == "alice"'),
        cases=(
            LintCase(
                None, fires=True, events=(AN_EXEC, an_event(**{"audit.verb": "create", "audit.objectRef.subresource": "exec", "audit.user.username": "bob"}))
            ),
            QUIET,
        ),
    ),
    "a guard that reads an identity beside what an attacker chooses": Written(
        rule=an_unless("browser", 'audit.userAgent.startsWith("Mozilla/") && audit.user.username == "bob"')
    ),
    "a guard that reads what was asked for, not who asked": Written(rule=an_unless("dry-run", 'audit.requestURI.contains("dryRun=All")')),
    "a sub-technique is known": Written(attack="attack: [T1552.007]", file="library/credential-access/a.yaml"),
    "one technique of the folder's tactic is enough": Written(attack="attack: [T1485, T1609]", file="library/impact/a.yaml"),
    "a folder that is no tactic": Written(file="policies/mine/a.yaml"),
    "a runbook of the rule": Written(runbook="title: A", rule="    runbook: Look.\n"),
    "blind spots of every rule": Written(blind_spots="title: A", rule="    blindSpots: [kubelet]\n"),
    "P3 with low confidence": Written(rule="    confidence: low\n"),
    "P1 with medium confidence": Written(severity="severity: P1"),
    "a list that only an exception reads": Written(more=f"{a_list('break-glass')}---\n{an_exception('audit.user.username in lists.break_glass')}"),
    "a list that only a guard reads": Written(more=a_list("x-y"), rule=an_unless("known", "audit.user.username in lists.x_y")),
}


def codes(library):
    return [lint.code for lint in lint_library(library)]


@pytest.mark.parametrize("code", STRIKES)
def test_strikes(code):
    written, path = STRIKES[code]
    policy = "mining-pools" if code == "unused-list" else "a"
    assert [(lint.code, lint.policy, lint.path) for lint in lint_library(written.library())] == [(code, policy, path)]


@pytest.mark.parametrize("sentence", NEAR_MISSES)
def test_does_not_strike(sentence):
    assert codes(NEAR_MISSES[sentence].library()) == []


def test_every_lint_is_in_the_table_and_says_what_it_means():
    assert set(STRIKES) == {row.code for row in LINTS}
    assert all(row.meaning.endswith(".") for row in LINTS)


def test_a_lint_reads_as_one_line_with_its_place_remedy_and_code():
    lint = next(iter(lint_library(Written(attack="attack: [T1562.008]").library())))
    assert str(lint) == (
        "library/execution/a.yaml:12: error: a / r: ATT&CK has no technique T1562.008 "
        "(it is T1685.002 (Disable or Modify Tools: Disable or Modify Cloud Log) since v19) [unknown-technique]"
    )


def test_a_negation_in_a_later_line_is_found_at_that_line():
    library = Written(
        rules=f'  - name: r\n    "on": [audit.request]\n    when: |\n      {CREATED} &&\n      audit.requestObject.spec.containers != []\n    severity: P3\n    attack: [T1609]\n'
    ).library()
    assert [lint.line for lint in lint_library(library) if lint.code == "unguarded-negation"] == [12]


def test_several_policies_of_one_file_need_not_have_its_name():
    text = "".join(
        f"---\napiVersion: watchkeeper.dev/v1alpha1\nkind: RuntimePolicy\nmetadata: {{name: {name}}}\nspec: {{rules: [{{name: r, 'on': [audit.request], when: audit.verb == '{name}', severity: P4}}]}}\n"
        for name in ("b", "c")
    )
    documents = load_policies(text, "all.yaml").documents
    assert "file-name" not in codes(Library(documents, check_policies(documents)))


def test_each_step_of_a_sequence_is_looked_at():
    step = '{{name: {}, "on": [audit.request], by: [identity.id, audit.verb], when: {}}}'
    steps = [step.format("first", json.dumps(EXEC)), step.format("second", json.dumps(f"{CREATED} && audit.requestObject.kind != first.audit.verb"))]
    rules = f"  - name: r\n    sequence: {{within: 5m, steps: [{', '.join(steps)}]}}\n    severity: P3\n    attack: [T1609]\n"
    cases = (LintCase(None, fires=True, events=(an_event(**{"audit.requestObject": an_object(kind="x")}),)), QUIET)
    found = [(lint.code, lint.path) for lint in lint_library(Written(rules=rules, cases=cases).library())]
    assert found == [("unguarded-negation", "spec.rules[r].sequence.steps[second].when")]


def test_a_rule_that_is_switched_off_is_linted_as_far_as_it_is_written():
    assert codes(Written(spec="  enabled: false\n", runbook="title: A").library()) == ["no-runbook"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("audit.requestObject", True),
        ("audit.requestObject.spec.containers", True),
        ("audit.requestObject.spec.containers[].image", True),
        ("audit.requestObject.spec.containers[1].image", True),
        ("audit.requestObject.spec.containers[0].image", False),
        ("audit.requestObject.spec.containers[2]", False),
        ("audit.requestObject.spec.containers.image", False),
        ('audit.requestObject["spec"]["containers"]', True),
        ("audit.requestObject.spec.hostPID", False),
        ("audit.requestObject[].containers[].name", True),
        ("audit.responseObject.spec", False),
        ("cloudtrail.requestParameters.roleName", False),
    ],
)
def test_where_a_path_occurs(path, expected):
    assert occurs(A_POD, path) is expected
