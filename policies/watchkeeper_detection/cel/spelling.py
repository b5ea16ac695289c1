"""A checked tree as text again: what `explain` shows, and one spelling for all ways of writing the same condition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchkeeper_detection.cel.formatting import number_text
from watchkeeper_detection.cel.paths import path_text
from watchkeeper_detection.cel.tree import (
    And,
    Bind,
    Call,
    Choice,
    Constant,
    Default,
    Field,
    ListName,
    ListOf,
    Local,
    Loop,
    MapOf,
    Not,
    Or,
    Present,
    Select,
    TypeName,
    Unknown,
    Variable,
)

if TYPE_CHECKING:
    from watchkeeper_detection.cel.tree import Node

# how tightly operators bind; an operand that binds less needs parentheses
_CHOICE, _OR, _AND, _RELATION, _SUM, _PRODUCT, _UNARY, _MEMBER = range(8)
_BINARY = {
    **dict.fromkeys(("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "_in_"), _RELATION),
    **dict.fromkeys(("_+_", "_-_"), _SUM),
    **dict.fromkeys(("_*_", "_/_", "_%_"), _PRODUCT),
}
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def spell(node: Node) -> str:
    return _spelled(node)[0]


def _within(node: Node, binding: int) -> str:
    text, binds = _spelled(node)
    return text if binds >= binding else f"({text})"


def _listed(nodes: tuple[Node, ...]) -> str:
    return ", ".join(map(spell, nodes))


def _spelled(node: Node) -> tuple[str, int]:
    match node:
        case Constant():
            return _constant(node)
        case Field(path=path, words=words, step=step):
            return (f"{step}." if step else "") + path_text(path, words), _MEMBER
        case Variable(name=name) | Local(name=name) | TypeName(name=name):
            return name, _MEMBER
        case ListName(name=name):
            return f"lists.{name}", _MEMBER
        case Unknown(name=name):
            return f"/* {name} */", _MEMBER
        case And(operands=operands):
            return " && ".join(_within(operand, _AND + 1) for operand in operands), _AND
        case Or(operands=operands):
            return " || ".join(_within(operand, _OR + 1) for operand in operands), _OR
        case Not(operand=operand):
            return f"!{_within(operand, _UNARY)}", _UNARY
        case Choice(condition=condition, then=then, otherwise=otherwise):
            return f"{_within(condition, _OR)} ? {_within(then, _OR)} : {spell(otherwise)}", _CHOICE
        case Call():
            return _call(node)
    return _composed(node), _MEMBER


def _composed(node: Node) -> str:
    match node:
        case Select(operand=operand, name=name):
            return path_text(_within(operand, _MEMBER), (name,))
        case Present(operand=operand):
            return f"has({spell(operand)})"
        case Default(operand=operand, default=default):
            return f"get({spell(operand)}, {spell(default)})"
        case ListOf(elements=elements):
            return f"[{_listed(elements)}]"
        case MapOf(entries=entries):
            return "{" + ", ".join(f"{spell(key)}: {spell(value)}" for key, value in entries) + "}"
        case Loop(macro=macro, over=over, names=names, predicate=predicate, result=result):
            steps = [spell(part) for part in (predicate, result) if part is not None]
            return f"{_within(over, _MEMBER)}.{macro}({', '.join((*names, *steps))})"
        case Bind(name=name, value=value, body=body):
            return f"cel.bind({name}, {spell(value)}, {spell(body)})"
    raise AssertionError(node)


def _call(node: Call) -> tuple[str, int]:
    function, arguments = node.function, node.arguments
    if function in _BINARY:
        binding = _BINARY[function]
        return f"{_within(arguments[0], binding)} {function.strip('_')} {_within(arguments[1], binding + 1)}", binding
    if function == "_[_]":
        return f"{_within(arguments[0], _MEMBER)}[{spell(arguments[1])}]", _MEMBER
    if function == "-_":
        return f"-{_within(arguments[0], _MEMBER)}", _UNARY
    if node.member:
        return f"{_within(arguments[0], _MEMBER)}{function}({_listed(arguments[1:])})", _MEMBER
    return f"{function}({_listed(arguments)})", _MEMBER


def _constant(node: Constant) -> tuple[str, int]:
    value = node.value
    if isinstance(value, str):
        return quoted(value), _MEMBER
    if isinstance(value, bytes):
        return 'b"' + "".join(f"\\x{byte:02x}" if byte < 32 or byte > 126 or byte in b'"\\' else chr(byte) for byte in value) + '"', _MEMBER
    if isinstance(value, bool):
        return ("true" if value else "false"), _MEMBER
    if isinstance(value, float):
        text = number_text(value)
        return (text if any(letter in text for letter in ".eNI") else f"{text}.0"), _MEMBER if value >= 0 else _UNARY
    if value is None:
        return "null", _MEMBER
    return f"{value}u" if node.type == "uint" else str(value), _MEMBER if value >= 0 else _UNARY


def quoted(text: str) -> str:
    return '"' + "".join(_ESCAPES.get(letter) or (letter if letter.isprintable() else _escaped(letter)) for letter in text) + '"'


def _escaped(letter: str) -> str:
    return f"\\u{ord(letter):04x}" if ord(letter) < 0x10000 else f"\\U{ord(letter):08x}"
