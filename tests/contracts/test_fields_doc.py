"""The vocabulary is well formed, and docs/fields.md says what it says."""

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import get_args

from watchkeeper_detection import vocabulary
from watchkeeper_detection.event import Event
from watchkeeper_detection.fields import FieldType, attribute_name, branches, fields, kinds, roots_of
from watchkeeper_detection.fields_doc import document
from watchkeeper_detection.record_types import NO_RAW, record_type

PAGE = Path(__file__).parents[2] / "docs" / "fields.md"
EVENT_ATTRIBUTES = {*Event.__annotations__, "fills"}
NAMED_IN_THE_DESIGN = (
    "audit.responseStatus.code",
    "container.drift",
    "container.id",
    "container.image_digest",
    "container.privileged",
    "file.path",
    "file.under_service_account",
    "identity.id",
    "node.ip",
    "node.name",
    "origin.ip",
    "pod.ip",
    "pod.labels",
    "pod.name",
    "pod.namespace",
    "process.args",
    "process.cwd",
    "process.exe",
    "process.uid",
    "setns.target_is_host",
)


def test_the_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == document(), "run: python -m watchkeeper_detection.fields_doc > docs/fields.md"


def test_the_module_prints_the_page():
    printed = subprocess.run([sys.executable, "-m", "watchkeeper_detection.fields_doc"], capture_output=True, check=True, text=True, encoding="utf-8")
    assert printed.stdout == document()


def test_every_kind_and_field_is_on_the_page():
    page = PAGE.read_text(encoding="utf-8")
    missing = [name for name in (*kinds(), *fields()) if f"| `{name}` |" not in page]
    assert not missing


def test_every_link_of_the_page_leads_to_a_heading():
    page = PAGE.read_text(encoding="utf-8")
    headings = [line.lstrip("#").strip().lower().replace(" ", "-") for line in page.splitlines() if line.startswith("##")]
    assert [heading for heading, count in Counter(headings).items() if count > 1] == []
    links = {part.partition(")")[0] for part in page.split("](#")[1:]}
    assert links <= set(headings)


def test_every_kind_and_field_says_in_a_sentence_what_it_is():
    assert [row for row in (*vocabulary.KINDS, *vocabulary.FIELDS) if not is_sentence(row.doc)] == []


def is_sentence(doc):
    return doc.endswith((".", "…")) and len(doc) >= 6 and doc == doc.strip() and "\n" not in doc and doc.count("`") % 2 == 0 and "``" not in doc


def test_paths_and_kinds_are_unique():
    assert [path for path, count in Counter(field.path for field in vocabulary.FIELDS).items() if count > 1] == []
    assert [name for name, count in Counter(kind.name for kind in vocabulary.KINDS).items() if count > 1] == []


def test_types_are_those_that_conditions_know():
    assert {field.type for field in vocabulary.FIELDS} <= set(get_args(FieldType))


def test_only_open_fields_are_of_a_dynamic_type():
    odd = [field.path for field in vocabulary.FIELDS if field.open != (field.type in ("dyn", "list(dyn)"))]
    assert odd == []


def test_no_path_is_both_a_field_and_an_object_of_fields():
    assert sorted(branches() & set(fields())) == []


def test_fields_of_one_object_have_distinct_keys_and_attributes():
    keys: dict[str, list[str]] = {}
    attributes: dict[str, list[str]] = {}
    for field in fields().values():
        parent, _, word = field.path.rpartition(".")
        keys.setdefault(parent, []).append(field.key)
        attributes.setdefault(parent, []).append(attribute_name(word))
    for branch in branches():
        parent, dot, word = branch.rpartition(".")
        if dot:
            keys.setdefault(parent, []).append(word)
            attributes.setdefault(parent, []).append(attribute_name(word))
    doubles = [(parent, name) for names in (keys, attributes) for parent, words in names.items() for name, count in Counter(words).items() if count > 1]
    assert doubles == []


def test_every_object_has_fields_and_every_field_an_event_that_carries_it():
    roots = {field.root for field in fields().values()}
    carried = {root for name in kinds() for root in roots_of(name)}
    assert carried == roots


def test_no_object_hides_an_attribute_of_the_event():
    assert {field.root for field in fields().values()} & EVENT_ATTRIBUTES == set()


def test_every_object_becomes_a_record_type_with_all_its_fields():
    for field in fields().values():
        value = record_type(field.root)()
        for word in field.path.split(".")[1:]:
            value = getattr(value, attribute_name(word))
        assert value in (None, NO_RAW), field.path


def test_what_a_policy_may_kill_upon_is_never_open_and_late_only_of_a_container_which_is_not_acted_upon_before_it_is_known():
    exact = [field for field in fields().values() if field.exact]
    assert [field.path for field in exact if field.open or (field.late and field.root not in ("container", "pod"))] == []


def test_fields_named_in_the_design_are_there():
    assert [path for path in NAMED_IN_THE_DESIGN if path not in fields()] == []


def test_pod_labels_owner_and_hashes_are_late():
    assert [path for path in ("pod.labels", "pod.owner_name", "process.exe_hash", "file.hash") if not fields()[path].late] == []


def test_what_an_attacker_chooses_is_marked():
    chosen = ("process.args", "process.env", "process.name", "process.command_line", "file.path", "dns.question", "memfd.name", "pod.labels", "exec.path")
    assert [path for path in chosen if not fields()[path].untrusted] == []
