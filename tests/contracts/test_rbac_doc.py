"""docs/rbac.md explains every risk that the watch of rights can tell, and no other."""

import re
from pathlib import Path

from watchkeeper_operator.rbac import traits
from watchkeeper_operator.rbac.risks import CLUSTER_ADMIN, JOINED, NAMESPACE_ADMIN, ROWS

PAGE = Path(__file__).parents[2] / "docs" / "rbac.md"
OTHERS = {CLUSTER_ADMIN, NAMESPACE_ADMIN, "impersonate_constrained", "wildcard_verbs", "wildcard_resources", "any_url", "debug_urls"}
RISKS = {row.risk for row in ROWS} | {risk for risk, _ in JOINED} | OTHERS
TRAITS = set(re.findall(r'(?:Trait|add)\("([a-z_]+)"', Path(traits.__file__).read_text()))


def explained():
    """Words in backquotes in the rows of the tables."""
    return {word for line in PAGE.read_text().splitlines() if line.startswith("| `") for word in re.findall(r"`([a-z]+(?:_[a-z]+)*)`", line)}


def test_every_risk_is_explained():
    assert len(TRAITS) > 10
    assert (RISKS | TRAITS) - explained() == set()


def test_no_risk_is_explained_that_nobody_tells():
    assert explained() - (RISKS | TRAITS) == set()
