"""docs/policies.md names every function, and what it shows is right."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from tests.support.events import errors_of

from watchkeeper_detection.cel.signatures import MACROS, signatures
from watchkeeper_detection.policy import Rule

PAGE = (Path(__file__).parents[2] / "docs" / "policies.md").read_text(encoding="utf-8")
README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_every_function_and_macro_is_on_the_page():
    words = set(re.findall(r"[\w.]+", PAGE))
    names = {name.removeprefix(".") for name in (*signatures(), *MACROS) if name.removeprefix(".")[0].isalpha()}
    assert sorted(names - words) == []


def test_every_word_of_a_rule_that_changes_what_fires_is_on_the_page():
    words = {field.alias or name for name, field in Rule.model_fields.items()} - {"id", "name", "title", "confidence", "attack", "kill", "runbook"}
    assert sorted(word for word in words if f"`{word}`" not in PAGE) == []


def test_the_policies_shown_to_users_have_no_errors():
    for text in (PAGE, README):
        shown = "---\n".join(re.findall(r"```yaml\n(.*?)```", text, re.DOTALL))
        assert errors_of(shown) == []
        policies = [document for document in yaml.safe_load_all(shown) if document["kind"] == "RuntimePolicy"]
        assert policies
        assert all("on" in rule for policy in policies for rule in policy["spec"]["rules"])  # quoted: a bare one is read as true
