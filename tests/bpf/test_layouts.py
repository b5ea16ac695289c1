"""The mirror of records.h in Python is what the object's BTF says."""

import json
import shutil
import subprocess

import pytest
from tests.bpf.conftest import OBJECT

from watchkeeper_sensor.decoding import EVENTS, LAYOUTS
from watchkeeper_sensor.kernel.records import KINDS, RECORD

BPFTOOL = shutil.which("bpftool") or "/usr/sbin/bpftool"


@pytest.fixture(scope="module")
def btf():
    dump = subprocess.run([BPFTOOL, "btf", "dump", "file", str(OBJECT), "-j"], check=True, capture_output=True)
    return {one["id"]: one for one in json.loads(dump.stdout)["types"]}


def resolved(btf, number):
    while btf[number]["kind"] in ("TYPEDEF", "CONST", "VOLATILE"):
        number = btf[number]["type_id"]
    return btf[number]


def flat(btf, struct, prefix="", start=0):
    """(name, offset in bytes) of every field, nested ones under their parents' names; a `text` is one field."""
    for member in struct["members"]:
        its = resolved(btf, member["type_id"])
        name, at = prefix + member["name"], start + member["bits_offset"] // 8
        if its["kind"] == "STRUCT" and its["name"] != "text":
            yield from flat(btf, its, f"{name}_", at)
        elif its["kind"] == "ARRAY" and resolved(btf, its["type_id"])["kind"] == "STRUCT":
            element = resolved(btf, its["type_id"])
            for number in range(its["nr_elems"]):
                yield from flat(btf, element, f"{name}_{number}_", at + number * element["size"])
        elif its["kind"] == "ARRAY" and resolved(btf, its["type_id"])["size"] > 1:
            for number in range(its["nr_elems"]):
                yield f"{name}_{number}", at + number * resolved(btf, its["type_id"])["size"]
        else:
            yield name, at


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_a_layout_is_what_the_kernel_writes(btf, layout):
    struct = next(one for one in btf.values() if one["kind"] == "STRUCT" and one["name"] == layout.name)
    fields = list(flat(btf, struct))
    assert [name for name, _ in fields] == list(layout.fields)
    assert [offset for _, offset in fields] == list(layout.offsets())
    tail = struct["size"] - layout.size
    assert 0 <= tail < 8  # padding that C adds at the end


def test_every_kind_number_is_the_kernels(btf):
    enum = next(one for one in btf.values() if one["kind"] == "ENUM" and one["name"] == "record_kind")
    numbers = {one["val"]: one["name"] for one in enum["values"]}
    assert {number: name.upper().replace(".", "_") for number, name in KINDS.items()} == {number: name for number, name in numbers.items() if name != "KINDS"}
    assert set(EVENTS) <= set(KINDS)
    assert RECORD.size == 64
