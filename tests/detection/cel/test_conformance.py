"""The specification's own cases, one test per file of its suite."""

import pytest
from tests.detection.cel.conformance import CASES, DEVIATIONS, cases, not_applicable, title, trouble

from watchkeeper_detection.cel.parse import parse

pytestmark = pytest.mark.skipif(not CASES.exists(), reason=f"the conformance cases are not at {CASES}")

FILES = sorted({case["file"] for case in cases()}) if CASES.exists() else []


@pytest.mark.parametrize("file", FILES)
def test_every_case_that_applies_is_answered_as_the_specification_says(file):
    wrong = {title(case): trouble(case) for case in cases() if case["file"] == file and not_applicable(case) is None}
    assert {name: what for name, what in wrong.items() if what is not None and name not in DEVIATIONS} == {}


def test_every_known_deviation_still_deviates():
    named = {title(case): case for case in cases()}
    assert [name for name in DEVIATIONS if trouble(named[name]) is None] == []


def test_only_messages_enums_optionals_and_host_functions_do_not_apply():
    files = {case["file"] for case in cases() if not_applicable(case) is not None}
    reasons = {not_applicable(case) for case in cases()}
    assert reasons == {None, "protobuf messages", "enums", "optional values", "functions that the host declares"}
    assert files.isdisjoint(
        {
            "basic",
            "fields",
            "fp_math",
            "integer_math",
            "lists",
            "logic",
            "macros",
            "macros2",
            "math_ext",
            "namespace",
            "network_ext",
            "string",
            "timestamps",
            "encoders_ext",
        }
    )


def test_message_literals_are_parsed_even_though_they_are_refused():
    for case in cases():
        if not_applicable(case) == "protobuf messages":
            parse(case["expr"])
