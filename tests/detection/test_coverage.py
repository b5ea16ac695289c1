from dataclasses import dataclass

from watchkeeper_detection.attack import TECHNIQUES
from watchkeeper_detection.coverage import PLATFORM_GROUPS, coverage_by_tactic, coverage_rows, navigator_layer, rules_by_technique


@dataclass(frozen=True)
class ARule:
    policy: str
    rule: str
    attack: tuple[str, ...]


EXEC = ARule("pod-exec", "exec", ("T1609",))
DEBUG = ARule("pod-exec", "debug", ("T1609", "T1611"))
LOGGING_OFF = ARule("trail-stopped", "stop", ("T1685.002", "T1562.008"))
RULES = (EXEC, DEBUG, LOGGING_OFF)


def test_rules_are_found_by_the_v19_id_only():
    assert rules_by_technique(RULES) == {
        "T1609": ("pod-exec/debug", "pod-exec/exec"),
        "T1611": ("pod-exec/debug",),
        "T1685.002": ("trail-stopped/stop",),
    }


def test_an_id_that_attack_does_not_have_covers_nothing():
    assert rules_by_technique((ARule("p", "r", ("T9999",)),)) == {}


def test_a_row_says_tactic_technique_name_platforms_and_rules():
    (row,) = [row for row in coverage_rows(RULES) if row.technique == "T1685.002"]
    assert row.tactic == "defense-impairment"
    assert row.name == "Disable or Modify Tools: Disable or Modify Cloud Log"
    assert row.platforms == ("IaaS", "Identity Provider", "SaaS", "Office Suite")
    assert row.rules == ("trail-stopped/stop",)


def test_a_technique_of_several_tactics_has_a_row_under_each():
    rows = coverage_rows((ARule("p", "r", ("T1078",)),))
    assert [row.tactic for row in rows if row.technique == "T1078"] == ["initial-access", "persistence", "privilege-escalation", "stealth"]


def test_techniques_without_a_rule_are_listed_as_well():
    rows = coverage_rows(RULES, PLATFORM_GROUPS["containers"])
    assert {row.technique for row in rows} == {technique.id for technique in TECHNIQUES.values() if "Containers" in technique.platforms}
    assert not next(row for row in rows if row.technique == "T1610").covered


def test_only_techniques_of_the_asked_platforms_are_listed():
    assert all("IaaS" in row.platforms for row in coverage_rows(RULES, ("IaaS",)))


def test_a_rule_for_a_sub_technique_covers_its_parent_in_part():
    (parent,) = [row for row in coverage_rows(RULES) if row.technique == "T1685"]
    assert parent.rules == ()
    assert parent.rules_below == 1
    assert parent.covered


def test_the_summary_counts_covered_techniques_per_tactic():
    summary = coverage_by_tactic(coverage_rows(RULES, ("Containers",)))
    assert summary["execution"][0] == 1
    assert summary["privilege-escalation"][0] == 1
    assert summary["impact"][0] == 0
    assert "reconnaissance" not in summary


def test_the_layer_names_its_versions_domain_and_platforms():
    layer = navigator_layer(RULES, ("Containers", "IaaS"))
    assert layer["versions"] == {"attack": "19", "navigator": "5.2.0", "layer": "4.5"}
    assert layer["domain"] == "enterprise-attack"
    assert layer["filters"] == {"platforms": ["Containers", "IaaS"]}


def test_the_layer_scores_a_technique_by_its_rules_and_names_them():
    techniques = {row["techniqueID"]: row for row in navigator_layer(RULES)["techniques"]}
    assert techniques["T1609"]["score"] == 2
    assert techniques["T1609"]["comment"] == "pod-exec/debug\npod-exec/exec"
    assert techniques["T1611"]["score"] == 1
    assert "T1562.008" not in techniques


def test_the_layer_opens_the_parent_of_a_covered_sub_technique():
    techniques = {row["techniqueID"]: row for row in navigator_layer(RULES)["techniques"]}
    assert techniques["T1685"] == {"techniqueID": "T1685", "showSubtechniques": True}


def test_the_layer_leaves_out_techniques_of_other_platforms():
    assert [row["techniqueID"] for row in navigator_layer(RULES, ("Containers",))["techniques"]] == ["T1609", "T1611"]


def test_the_gradient_spans_the_scores():
    assert navigator_layer(RULES)["gradient"]["maxValue"] == 2
    assert navigator_layer(())["gradient"]["maxValue"] == 1


def test_no_rules_give_an_empty_layer():
    assert navigator_layer(())["techniques"] == []
