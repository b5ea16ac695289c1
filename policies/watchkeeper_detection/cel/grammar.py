"""The grammar: cel-python's, with definitions of our own where its are narrower, wider or ambiguous against the
specification (https://github.com/google/cel-spec/blob/master/doc/langdef.md).
"""

from __future__ import annotations

import importlib.util
import re
from typing import Any

from lark import Lark, Token

# name of a rule or terminal of cel.lark → its definition here
_REDEFINED = {
    # selectors may be reserved words or quoted; lists, maps and messages may end in a comma
    "member_dot": 'member "." (IDENT | QUOTED)',
    "list_lit": '"[" [exprlist [","]] "]"',
    "map_lit": '"{" [mapinits [","]] "}"',
    "member_object": 'member "{" [fieldinits [","]] "}"',
    "fieldinits": '(IDENT | QUOTED) ":" expr ("," (IDENT | QUOTED) ":" expr)*',
    "relation_in": "relation _IN",
    # digits on both sides of a point, or none before it
    "FLOAT_LIT": r"/-?[0-9]*\.[0-9]+(?:[eE][+-]?[0-9]+)?/ | /-?[0-9]+[eE][+-]?[0-9]+/",
    "INT_LIT": "/-?0x[0-9a-fA-F]+/ | /-?[0-9]+/",
    # a backslash always takes the next letter along, except in raw text; escapes are judged in literals.py
    "STRING_LIT": r"""/"(?:[^"\\\r\n]|\\.)*"/ | /'(?:[^'\\\r\n]|\\.)*'/ | /[rR]"[^"\r\n]*"/ | /[rR]'[^'\r\n]*'/""",
    "MLSTRING_LIT": r'''/"""(?:[^\\]|\\[\s\S])*?"""/ | /\'\'\'(?:[^\\]|\\[\s\S])*?\'\'\'/ | /[rR]"""[\s\S]*?"""/ | /[rR]\'\'\'[\s\S]*?\'\'\'/'''.replace(
        "\\'", "'"
    ),
    "BYTES_LIT": "/[bB]/ MLSTRING_LIT | /[bB]/ STRING_LIT",
}
_ADDED = r"""
_IN    : /in(?![_a-zA-Z0-9])/
QUOTED : /`[a-zA-Z0-9_.\-\/ ]+`/
"""
_PRIORITIES = {"BYTES_LIT": 4, "MLSTRING_LIT": 3, "STRING_LIT": 2, "FLOAT_LIT": 3, "UINT_LIT": 2, "INT_LIT": 1}


# rules that only pass a single part on: no call for those
_PASSED_ON = ("expr", "conditionalor", "conditionaland", "relation", "addition", "multiplication", "unary", "member", "primary")


def grammar(builder: Any) -> Lark:
    """A parser that calls the method of `builder` named like each rule, from the leaves up, with all its tokens and parts."""
    spec = importlib.util.find_spec("celpy")  # only located: its evaluator would take 90 ms to import and is never used
    if spec is None or spec.origin is None:
        raise ImportError("cel-python is not installed")
    text = spec.loader.get_data(spec.origin.replace("__init__.py", "cel.lark")).decode()  # type: ignore[union-attr]
    for name, definition in _REDEFINED.items():
        text, found = re.subn(rf"(?m)^{name}\s*:.*\n(?:^[ \t]+\|.*\n)*", lambda _, name=name, definition=definition: f"{name} : {definition}\n", text)  # type: ignore[misc]
        if found != 1:
            raise ImportError(f"cel-python's grammar has no single definition of {name}")
    for name, priority in _PRIORITIES.items():
        text = re.sub(rf"(?m)^{name}\s*:", f"{name}.{priority} :", text)
    for name in _PASSED_ON:
        text = re.sub(rf"(?m)^{name}\s*:", f"?{name} :", text)
    return Lark(
        text + _ADDED, parser="lalr", start="expr", transformer=builder, keep_all_tokens=True, maybe_placeholders=False, lexer_callbacks={"IDENT": _keyword}
    )


def _keyword(token: Token) -> Token:
    if token.value in ("true", "false"):
        return Token.new_borrow_pos("BOOL_LIT", token.value, token)
    return Token.new_borrow_pos("NULL_LIT", token.value, token) if token.value == "null" else token
