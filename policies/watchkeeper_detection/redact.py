"""One redactor for everything that goes out: command lines, environments, request parameters, bodies of Secrets.

A secret is known by its form (tokens, keys in PEM, passwords in URLs) or by the name before it (`password=`, `"token": "…"`,
`--secret x`). Ids of keys (AKIA…), names and ARNs of secrets are no secrets: they say what was touched. Linear time, whatever the text (RE2
finds where a secret begins; where it ends is one pass). What is too long to look at is cut, never let through.
"""

from __future__ import annotations

import re
from typing import Any

import re2

MARK = "[redacted]"
TEXT_BYTES = 65_536  # a longer text is cut here
DEPTH = 16  # of objects in objects; what is deeper is replaced
MEMBERS = 1000  # of one object or list that are put out

WORD = (
    r"(?:passw(?:or)?ds?|passphrases?|secrets?|tokens?|credentials?|api[_-]?keys?|access[_-]?keys?|private[_-]?keys?|signing[_-]?keys?|encryption[_-]?keys?|client[_-]?keys?"
    r"|auth[_-]?keys?|shared[_-]?keys?|account[_-]?keys?|connection[_-]?strings?|cookies?|authorization|x-amz-signature|signature)"
)
NAME = r"(?:[\w.-]{0,100}" + WORD + r"(?:[_-]?(?:values?|data|hash|base64|b64|plain|plaintext|text|raw|\d{1,3}))?|pwd|pass|sig)"

WHOLE = re2.compile(
    rb"(?is)-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]{0,40}-----|\z)"
    rb"|\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)?"
    rb"|\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{15,}|xox[abeoprs]-[\w-]{8,}|sk-[\w-]{20,}|[rs]k_live_\w{10,}|AIza[\w-]{30,}|ya29\.[\w.-]{10,}"
    rb"|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{20,}|hvs\.[\w-]{20,}|dop_v1_[a-f0-9]{40,}|SG\.[\w-]{16,}\.[\w-]{16,})"
)
"""Secrets known by their form."""

HEAD = re2.compile(
    (
        r"(?i)(\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"']{0,200}:)"
        r"|(\b(?:bearer|basic)\s+)"
        r"|((?:^|[\s\"'\[,=])--?" + NAME + r"""(?:\s*=\s*|\s+|["']\s*,\s*))"""
        r"|(\b(?:sshpass|docker\s+login|podman\s+login|az\s+login|mysql\w{0,10}|mariadb\w{0,10}|redis-cli|ldap\w{2,10}|curl)\b[^\n|;&]{0,200}?\s-(?:p|a|w|u\s*[^\s:]{1,100}:)\s*)"
        r"|(\b" + NAME + r"""\\?["']?\s*[=:]\s*)"""
    ).encode()
)
"""What stands before a secret."""
URL, SCHEME, NAMED = 1, 2, 5  # its groups

VALUE = re.compile(
    rb"""(?:(?:bearer|basic|digest|negotiate|token)\s+)?(?:\\"[^"\\]*+(?:\\")?|"(?:[^"\\]|\\.)*+"?|'[^']*+'?|[^\s"',;&|\\]++)""", re.IGNORECASE | re.DOTALL
)
URL_PASSWORD = re.compile(rb"[^\s/@\"']{1,200}@")
SCHEME_VALUE = re.compile(rb"[A-Za-z0-9+/=._~:-]{8,}+")
SECRET_NAME = re2.compile("(?i)" + NAME)
PLURALS = frozenset(("secrets", "tokens", "credentials", "cookies", "passwords", "accesskeys"))  # lists of names, or counts


def redact(text: str) -> str:
    """`text` without secrets; at most TEXT_BYTES of it."""
    content = text[:TEXT_BYTES].encode("utf-8", "replace")[:TEXT_BYTES]
    return _without_named(WHOLE.sub(MARK.encode(), content)).decode("utf-8", "replace")


def _without_named(content: bytes) -> bytes:
    kept: list[bytes] = []
    done = 0
    for head in HEAD.finditer(content):
        start, end = head.span()
        if start < done or (head.group(NAMED) is not None and not _names_a_secret(content, start, end)):
            continue
        is_url = head.group(URL) is not None
        ending = URL_PASSWORD if is_url else SCHEME_VALUE if head.group(SCHEME) is not None else VALUE
        value = ending.match(content, end)
        if value is not None:
            kept += (content[done:end], MARK.encode(), b"@" if is_url else b"")
            done = value.end()
    return b"".join((*kept, content[done:]))


def _names_a_secret(content: bytes, start: int, end: int) -> bool:
    """Not in an id (`arn:…:secret:x`, `system:serviceaccount:token:x`), nor a file's name before an error (`/run/token: …`)."""
    return (start == 0 or content[start - 1] not in b":/") and content[end : end + 1] != b":"


def is_secret_name(name: str) -> bool:
    """Whether a member of this name holds a secret, and not the name, id or number of some."""
    try:
        return SECRET_NAME.fullmatch(name) is not None and name.lower() not in PLURALS
    except UnicodeEncodeError:  # a lone surrogate is no text to RE2
        return True


def redact_value(value: Any, *, depth: int = 0) -> Any:
    """A JSON value without secrets: bodies of Kubernetes Secrets, members with a secret's name, secrets inside texts."""
    if isinstance(value, str):
        return redact(value)
    if not isinstance(value, dict | list | tuple):
        return value
    if depth >= DEPTH:
        return MARK
    if not isinstance(value, dict):
        return [redact_value(one, depth=depth + 1) for one in value[:MEMBERS]]
    is_secret = value.get("kind") == "Secret"
    named = value.get("name")
    is_variable = isinstance(named, str) and "value" in value and is_secret_name(named)  # {"name": "DB_PASSWORD", "value": …}
    return {
        name: MARK if is_variable and name == "value" else _member(str(name), one, depth, is_secret=is_secret) for name, one in list(value.items())[:MEMBERS]
    }


def _member(name: str, value: Any, depth: int, *, is_secret: bool) -> Any:
    if is_secret and name in ("data", "stringData") and isinstance(value, dict):
        return dict.fromkeys(list(value)[:MEMBERS], MARK)
    if name == "kubectl.kubernetes.io/last-applied-configuration":  # the whole object once more, Secrets too
        return MARK
    if isinstance(value, str | int | float) and not isinstance(value, bool) and is_secret_name(name):
        return MARK
    return redact_value(value, depth=depth + 1)
