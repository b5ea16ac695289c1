"""Any bytes as a policy file: errors, never an exception, a hang or an error that is not one printable line."""

from __future__ import annotations

from watchkeeper_detection.policy_loading import MOST_ERRORS, load_policies

HEAD = "apiVersion: watchkeeper.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: a, namespace: watchkeeper}}\nspec:\n"
RULES = "  rules:\n  - {name: r, on: [audit.request], when: a, severity: P1}\n"
# What the first byte chooses to put before the rest, so that inputs reach the models and not only the scanner.
FRONTS = (
    b"",
    HEAD.format(kind="RuntimePolicy").encode(),
    (HEAD.format(kind="RuntimePolicy") + RULES).encode(),
    HEAD.format(kind="RuntimePolicy").encode() + b"  rules:\n  - name: r\n    severity: P1\n    ",
    HEAD.format(kind="PolicyException").encode() + b"  policy: a\n  reason: b\n  owner: c\n  ",
    HEAD.format(kind="PolicyList").encode() + b"  values: [",
    b"apiVersion: v1\nkind: List\nitems:\n- ",
)


def one_input(data: bytes) -> None:
    """One input of a fuzzer; raises AssertionError when what comes out is not as promised."""
    front, body = (FRONTS[data[0] % len(FRONTS)], data[1:]) if data else (b"", b"")
    for file in ("input.yaml", "input.json"):
        documents, errors = load_policies(front + body if file.endswith(".yaml") else body, file)
        assert len(errors) <= MOST_ERRORS + 1
        assert all(str(error).isprintable() for error in errors)
        assert all(document.object.name for document in documents)
