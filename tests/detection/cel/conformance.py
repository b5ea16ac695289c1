"""The CEL specification's conformance cases against our checker and evaluator: `python -m tests.detection.cel.conformance` prints the table.

A case that does not apply to a language without messages, enums, optionals and host functions is found by rule and counted
under its reason; no case is left out silently.
"""

from __future__ import annotations

import base64
import json
import math
import re
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

from watchkeeper_detection.cel import check as checking
from watchkeeper_detection.cel import times
from watchkeeper_detection.cel.compile import compile_value
from watchkeeper_detection.cel.errors import CelErrors, CelSyntaxError
from watchkeeper_detection.cel.parse import MessageText, parse
from watchkeeper_detection.cel.values import ABSENT, CelType, Failure, Map, UInt
from watchkeeper_detection.fields import attribute_name

CASES = Path(__file__).resolve().parents[4] / "shared" / "cel" / "conformance.jsonl"

_TIMES = {"type.googleapis.com/google.protobuf.Timestamp": times.read_timestamp, "type.googleapis.com/google.protobuf.Duration": times.read_duration}
_WELL_KNOWN = {"TIMESTAMP": "timestamp", "DURATION": "duration"}
_PRIMITIVES = {"BOOL": "bool", "INT64": "int", "UINT64": "uint", "DOUBLE": "double", "STRING": "string", "BYTES": "bytes"}
_MESSAGE_NAMES = re.compile(r"TestAllTypes|NestedMessage|cel\.expr\.conformance|google\.protobuf\.(?!Timestamp\b|Duration\b)\w+|\bproto\.(?:has|get)Ext")
_TIME_MESSAGES = re.compile(
    r'"message_type": "google\.protobuf\.(?:Timestamp|Duration)"|"object_value": \{"@type": "type\.googleapis\.com/google\.protobuf\.(?:Timestamp|Duration)"'
)

# cases that we answer otherwise, and why
DEVIATIONS = dict.fromkeys(
    ("parse/bytes_literals/triple_single_quoted_unescaped_punctuation", "parse/bytes_literals/triple_double_quoted_unescaped_punctuation"),
    "the expected bytes hold a backslash that the expression does not; the case's twin for strings expects none",
)


def cases():
    with CASES.open() as lines:
        return [json.loads(line) for line in lines]


def title(case):
    return f"{case['file']}/{case['section']}/{case['name']}"


def not_applicable(case):
    """The reason why the case says nothing about this language, None when it applies."""
    texts = [case["expr"], json.dumps([case.get(key) for key in ("value", "bindings", "type_env", "typed_result")])]
    if re.search(r"optional[._]|\bopt(?:Map|FlatMap)\(|\.\?|\[\?|\{\?|, \?", " ".join(texts)):
        return "optional values"
    if re.search(r"\b(?:GlobalEnum|NestedEnum|standalone_enum)\b|enum_value", " ".join(texts)):
        return "enums"
    if '"message_type"' in _TIME_MESSAGES.sub("", texts[1]) or '"object_value"' in _TIME_MESSAGES.sub("", texts[1]):
        return "protobuf messages"
    if _MESSAGE_NAMES.search(" ".join(texts)) or _has_message_literal(case["expr"]):
        return "protobuf messages"
    if any("function" in declared for declared in case.get("type_env", ())):
        return "functions that the host declares"
    return None


def _has_message_literal(text):
    try:
        pending = [parse(text)]
    except CelSyntaxError:
        return False
    for node in pending:
        if isinstance(node, MessageText):
            return True
        below = [getattr(node, name, None) for name in ("operand", "target")]
        below += [*getattr(node, "arguments", ()), *getattr(node, "elements", ()), *(part for pair in getattr(node, "entries", ()) for part in pair)]
        pending.extend(part for part in below if part is not None)
    return False


def value_of(encoded):
    [(kind, value)] = encoded.items()
    match kind:
        case "int64_value":
            return int(value)
        case "uint64_value":
            return UInt(value)
        case "double_value":
            return float(value)
        case "bytes_value":
            return base64.b64decode(value)
        case "list_value":
            return tuple(value_of(each) for each in value.get("values", ()))
        case "map_value":
            made = Map()
            for entry in value.get("entries", ()):
                made.put(value_of(entry["key"]), value_of(entry["value"]))
            return made
        case "object_value":
            return _TIMES[value["@type"]](value["value"])
        case "type_value":
            return CelType(value)
    return value  # string, bool, null


def type_of(declared):
    [(kind, inside)] = declared.items()
    match kind:
        case "primitive":
            return _PRIMITIVES[inside]
        case "well_known":
            return _WELL_KNOWN.get(inside, "dyn")
        case "message_type":
            return {"google.protobuf.Timestamp": "timestamp", "google.protobuf.Duration": "duration"}.get(inside, "dyn")
        case "list_type":
            return f"list({type_of(inside['elem_type'])})"
        case "map_type":
            return f"map({type_of(inside['key_type'])}, {type_of(inside['value_type'])})"
        case "null":
            return "null_type"
        case "type":
            return "type(dyn)"
    return "dyn"


def same(left, right):
    """Same value and same type; NaN is itself, -0.0 is not 0.0."""
    if isinstance(right, Map):
        return isinstance(left, Map) and len(left) == len(right) and all(key in left and same(left.get(key), value) for key, value in right.items())
    if isinstance(right, tuple):
        return isinstance(left, tuple | list | frozenset) and len(left) == len(right) and all(map(same, left, right))
    if type(left) is not type(right):
        return False
    if isinstance(right, float):
        return (math.isnan(left) and math.isnan(right)) or (left == right and math.copysign(1, left) == math.copysign(1, right))
    return left == right


def trouble(case):
    """What is wrong with our answer to the case, None when it is right."""
    variables = {each["name"]: type_of(each["ident"]["type"]) for each in case.get("type_env", ()) if "ident" in each}
    bound = {name: value_of(each["value"]) for name, each in case.get("bindings", {}).items()}
    variables = {**dict.fromkeys(bound, "dyn"), **variables}
    scope = checking.Scope(variables=variables, container=case.get("container", ""), lenient=case.get("disable_check", False))
    try:
        checked = checking.check(case["expr"], scope)
    except CelErrors as errors:
        return None if "eval_error" in case else f"refused: {errors}"
    typed = case.get("typed_result", {})
    if "deduced_type" in typed and checked.type != type_of(typed["deduced_type"]):
        return f"type {checked.type}, not {type_of(typed['deduced_type'])}"
    if case.get("check_only"):
        return None
    judged = SimpleNamespace(**{attribute_name(name): bound.get(name, ABSENT) for name in variables})
    found = compile_value(checked.tree, {})(judged)
    if "eval_error" in case:
        return None if found is ABSENT or isinstance(found, Failure) else f"{found!r}, not a failure"
    wanted = value_of(case.get("value") or typed.get("result") or {"bool_value": True})
    return None if same(found, wanted) else f"{found!r}, not {wanted!r}"


def main():
    counts = {column: Counter() for column in ("passed", "failed", "deviates", "n/a")}
    reasons, failures = Counter(), []
    for case in cases():
        reason, wrong = not_applicable(case), None
        if reason is None:
            wrong = trouble(case)
        column = "n/a" if reason else "passed" if wrong is None else "deviates" if title(case) in DEVIATIONS else "failed"
        counts[column][case["file"]] += 1
        if reason:
            reasons[reason] += 1
        elif column == "deviates":
            failures.append(f"DEVIATES {title(case)}: {DEVIATIONS[title(case)]}")
        elif column == "failed":
            failures.append(f"FAILED {title(case)}: {case['expr'][:120]!r}: {wrong}")
    files = sorted(set().union(*counts.values()))
    write = sys.stdout.write
    write(f"{'file':16}" + "".join(f"{column:>10}" for column in counts) + "\n")
    for file in files:
        write(f"{file:16}" + "".join(f"{count[file]:10}" for count in counts.values()) + "\n")
    write(f"{'all':16}" + "".join(f"{count.total():10}" for count in counts.values()) + "\n\nnot applicable, by reason\n")
    for reason, count in reasons.most_common():
        write(f"{count:6}  {reason}\n")
    write("".join(f"{line}\n" for line in failures))
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
