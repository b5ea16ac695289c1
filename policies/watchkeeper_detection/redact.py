"""One redactor for everything that goes out: command lines, environments, request parameters, bodies of Secrets.

A secret is known by its form (keys, tokens, PEM) or by the name before it (`password=`, `"token": "…"`, `--secret x`).
RE2: linear time, whatever the text. What is too long to look at is cut, never let through.
"""

from __future__ import annotations

from typing import Any

import re2

MARK = "[redacted]"
TEXT_CHARACTERS = 65_536  # a longer text is cut here
DEPTH = 16  # of objects in objects; what is deeper is replaced
ITEMS = 1000  # members of one object or list that are put out

NAME = (
    r"(?:[\w.-]*(?:passw(?:or)?d|passwd|passphrase|secret|token|credential|api[_-]?key|apikey|access[_-]?key|private[_-]?key|signing[_-]?key|encryption[_-]?key|client[_-]?key"
    r"|auth[_-]?key|connection[_-]?string|sas[_-]?key|account[_-]?key|cookie|authorization|x-amz-signature|x-amz-security-token)[\w.-]*|pwd|pass|sig)"
)
VALUE = r"""(?:"(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s"',;&|]+)"""

PATTERN = re2.compile(
    r"(?is)"
    r"(?P<pem>-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]{0,40}-----|\z))"
    r"|(?P<scheme>\b(?:bearer|basic|digest|aws4-hmac-sha256)\s+)[A-Za-z0-9+/=._~:-]{8,}"
    r"|(?P<jwt>\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.?[A-Za-z0-9_-]*)"
    r"|(?P<url>\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"']{0,200}:)[^\s/@\"']+@"
    r"|(?P<form>\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{15,}|xox[abeoprs]-[\w-]{8,}|sk-[\w-]{16,}|sk_live_\w{10,}|AIza[\w-]{30,}|ya29\.[\w.-]{10,}"
    r"|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{20,}|hvs\.[\w-]{20,}|dop_v1_[a-f0-9]{40,}|SG\.[\w-]{16,}\.[\w-]{16,}))"
    r"|(?P<argument>(?:^|[\s\x22'\[,])--?" + NAME + r"""(?:\s*=\s*|["']?\s*,?\s+["']?))(?:"(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s"',;&|-][^\s"',;&|]*)"""
    r"|(?P<named>(?:\b|_)" + NAME + r"""["']?\s*(?:=|:)\s*)""" + VALUE
)
SECRET_NAME = re2.compile(r"(?i)" + NAME)
NOT_SECRET_NAME = re2.compile(
    r"(?i)(?:.*(?:name|id|arn|type|version|count|length|policy|status|time|date|expiry|expires|expiration|duration|path|mounts?|enabled|required|reset|ref|automount\w*)|secrets?|tokens?|accessKeys?)"
)
LONG_LIVED = re2.compile(r"\b(?:[A-Za-z0-9/+]{40})\b")


def redact(text: str) -> str:
    """`text` without secrets; at most TEXT_CHARACTERS of it."""
    cut = text[:TEXT_CHARACTERS]
    try:
        return str(PATTERN.sub(_replacement, cut))
    except UnicodeEncodeError:  # a lone surrogate is no text to RE2
        return str(PATTERN.sub(_replacement, cut.encode("utf-8", "replace").decode()))


def _replacement(match: Any) -> str:
    for name in ("scheme", "url", "argument", "named"):
        kept: str | None = match.group(name)
        if kept is not None:
            return kept + MARK + ("@" if name == "url" else "")
    return MARK


def is_secret_name(name: str) -> bool:
    """Whether a member of this name holds a secret, and not the name, id or age of one."""
    try:
        return SECRET_NAME.fullmatch(name) is not None and NOT_SECRET_NAME.fullmatch(name) is None
    except UnicodeEncodeError:
        return True


def redact_value(value: Any, *, depth: int = 0) -> Any:
    """A JSON value without secrets: the bodies of Kubernetes Secrets, members with a secret's name, secrets inside texts."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list | tuple):
        return MARK if depth >= DEPTH else [redact_value(one, depth=depth + 1) for one in value[:ITEMS]]
    if isinstance(value, dict):
        if depth >= DEPTH:
            return MARK
        is_secret = value.get("kind") == "Secret"
        return {name: _member(name, one, depth, is_secret=is_secret) for name, one in list(value.items())[:ITEMS]}
    return value


def _member(name: str, value: Any, depth: int, *, is_secret: bool) -> Any:
    if is_secret and name in ("data", "stringData") and isinstance(value, dict):
        return dict.fromkeys(list(value)[:ITEMS], MARK)
    if is_secret and name == "metadata" and isinstance(value, dict) and isinstance(value.get("annotations"), dict):
        kept = {key: one for key, one in value["annotations"].items() if key != "kubectl.kubernetes.io/last-applied-configuration"}
        value = {**value, "annotations": kept}
    if isinstance(value, str | int | float) and not isinstance(value, bool) and is_secret_name(name):
        return MARK
    return redact_value(value, depth=depth + 1)
