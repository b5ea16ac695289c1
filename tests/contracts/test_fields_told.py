"""Every field of the kernel's events is told by somebody, or the vocabulary says why not."""

import ast
from functools import cache
from pathlib import Path

import pytest

from watchkeeper_detection.fields import attribute_name, fields
from watchkeeper_detection.vocabulary import kernel
from watchkeeper_sensor.late.sources import LateFields
from watchkeeper_sensor.process_view import READERS
from watchkeeper_sensor.surroundings import Surroundings

SENSOR = Path(__file__).parents[2] / "sensor" / "watchkeeper_sensor"
MAKERS = {"file_part": "file", "connection_part": "connection", "target_part": "target_process"}
"""Functions that make an object for several modules."""
OF_CONTAINERS = {
    root: [*SENSOR.glob("containers/*.py"), SENSOR / "decoding/container.py", SENSOR / "decoding/kernel_event.py"] for root in ("container", "pod")
}
OF_NODE = [SENSOR / "surroundings.py", SENSOR / "late/feed.py"]
BRANCHES = {"capabilities", "namespaces", "host_namespaces", "parent", "ancestors", "stdin", "stdout", "stderr"}


@cache
def words(path):
    """Names that a module gives values to: keywords of calls, attributes that are assigned, keys and texts that are names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.keyword) and node.arg:
            found.add(node.arg)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.update(word for word in node.value.split() if word.isidentifier())
    return found


@cache
def modules(root):
    """Modules of the decoding that make this object."""
    text = {path: path.read_text() for path in (*SENSOR.glob("decoding/*.py"), SENSOR / "inventory.py", SENSOR / "lookout.py", SENSOR / "agent.py")}
    makers = [f'record_type("{root}")', *(f"{maker}(" for maker, made in MAKERS.items() if made == root)]
    return [path for path, content in text.items() if any(maker in content for maker in makers)]


def is_told(field, late):
    if field.path in late:
        return True
    root, *branch, name = field.path.split(".")
    if root == "process":
        return name in (words(SENSOR / "process_view.py") if branch else READERS.keys() | {"thread_id"})
    given = OF_CONTAINERS.get(root) or (OF_NODE if root == "node" else modules(root))
    if root == "sensor":
        given = [*given, SENSOR / "lookout.py", SENSOR / "tampering.py"]
    return any(attribute_name(name) in words(path) for path in given)


KERNEL = [field for field in fields().values() if field in kernel.FIELDS]


@pytest.fixture(scope="module")
def late():
    queue = LateFields(Surroundings())
    yield queue.paths
    queue.close()


def test_every_field_is_told_or_says_why_not(late):
    assert [field.path for field in KERNEL if not field.untold and not is_told(field, late)] == []


def test_what_is_said_to_be_untold_is(late):
    assert [field.path for field in KERNEL if field.untold and is_told(field, late)] == []


def test_late_fields_are_what_sources_give_and_nothing_else(late):
    assert sorted(field.path for field in KERNEL if field.late) == sorted(late)


def test_branches_of_the_process_are_made():
    assert READERS.keys() >= BRANCHES
