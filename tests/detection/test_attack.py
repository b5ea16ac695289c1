import re

import pytest

from watchkeeper_detection.attack import (
    MATRIX_VERSION,
    PLATFORMS,
    REPLACED_IN_V19,
    TACTICS,
    TECHNIQUES,
    by_version,
    current,
    with_v18,
)

SPOT_CHECKS = {
    "T1609": ("Container Administration Command", ("execution",), ("Containers",)),
    "T1611": ("Escape to Host", ("privilege-escalation",), ("Containers", "Linux", "Windows", "ESXi")),
    "T1098.006": ("Additional Container Cluster Roles", ("persistence", "privilege-escalation"), ("Containers",)),
    "T1552.005": ("Cloud Instance Metadata API", ("credential-access",), ("IaaS",)),
    "T1685.002": ("Disable or Modify Cloud Log", ("defense-impairment",), ("IaaS", "Identity Provider", "SaaS", "Office Suite")),
    "T1055.008": ("Ptrace System Calls", ("privilege-escalation", "stealth"), ("Linux",)),
    "T1003.001": ("LSASS Memory", ("credential-access",), ("Windows",)),
    "T1583": ("Acquire Infrastructure", ("resource-development",), ("PRE",)),
}


@pytest.mark.parametrize(("technique", "facts"), SPOT_CHECKS.items(), ids=list(SPOT_CHECKS))
def test_a_technique_has_its_published_name_tactics_and_platforms(technique, facts):
    found = TECHNIQUES[technique]
    assert (found.name, found.tactics, found.platforms) == facts


def test_the_matrix_is_whole():
    assert MATRIX_VERSION == "19"
    assert len(TACTICS) == 15
    assert len(TECHNIQUES) == 697
    assert sum(technique.parent is None for technique in TECHNIQUES.values()) > 200


def test_every_row_is_well_formed():
    for technique in TECHNIQUES.values():
        assert re.fullmatch(r"T\d{4}(\.\d{3})?", technique.id)
        assert technique.name.strip() == technique.name != ""
        assert technique.tactics
        assert set(technique.tactics) <= set(TACTICS)
        assert list(technique.tactics) == sorted(technique.tactics, key=list(TACTICS).index)
        assert technique.platforms
        assert set(technique.platforms) <= set(PLATFORMS.values())
        assert technique.parent is None or technique.parent in TECHNIQUES


def test_a_sub_technique_applies_to_no_platform_that_its_parent_lacks_but_few():
    """MITRE's own data has exceptions; a slip in the table would make many."""
    odd = [t.id for t in TECHNIQUES.values() if t.parent and not set(t.platforms) <= set(TECHNIQUES[t.parent].platforms)]
    assert len(odd) <= 25, odd


def test_a_sub_technique_is_named_with_its_parent():
    assert TECHNIQUES["T1078.004"].full_name == "Valid Accounts: Cloud Accounts"
    assert TECHNIQUES["T1078.004"].url == "https://attack.mitre.org/techniques/T1078/004/"
    assert TECHNIQUES["T1609"].full_name == "Container Administration Command"


def test_ids_that_v19_replaced_are_gone_and_their_successors_are_there():
    assert not set(REPLACED_IN_V19) & set(TECHNIQUES)
    assert set(REPLACED_IN_V19.values()) <= set(TECHNIQUES)


def test_the_matrix_no_longer_knows_defense_evasion():
    assert "defense-evasion" not in TACTICS
    assert {tactic.short_name for tactic in TACTICS.values() if tactic.previous == "defense-evasion"} == {"stealth", "defense-impairment"}


def test_a_renamed_technique_is_followed_by_its_v18_id():
    assert with_v18("T1685.002") == ("T1685.002", "T1562.008")
    assert with_v18("T1685") == ("T1685", "T1562.001")
    assert with_v18("T1689") == ("T1689", "T1562.010")
    assert with_v18("T1609") == ("T1609",)


def test_a_v18_id_becomes_the_v19_id():
    assert current("T1562.008") == "T1685.002"
    assert current("T1609") == "T1609"


def test_a_detections_ids_are_told_apart_by_version():
    mixed = (*with_v18("T1685.002"), *with_v18("T1609"))
    assert by_version(mixed) == (("T1685.002", "T1609"), ("T1562.008", "T1609"))


def test_a_technique_that_v18_did_not_have_is_left_out_of_its_list():
    assert by_version(("T1687", "T1078")) == (("T1687", "T1078"), ("T1078",))


def test_v18_and_back_gives_the_same_technique():
    for technique in TECHNIQUES:
        for id_ in with_v18(technique)[1:]:
            assert current(id_) in {technique, TECHNIQUES[technique].parent}
