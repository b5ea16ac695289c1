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

BARE, SPEC, RULE, EXCEPTION, LIST = (bytes([number]) for number in (0, 1, 3, 4, 5))
SEEDS = (
    BARE + (HEAD.format(kind="RuntimePolicy") + RULES).encode(),
    BARE + b'{"apiVersion": "watchkeeper.dev/v1alpha1", "kind": "PolicyList", "metadata": {"name": "a"}, "spec": {"values": ["x", "y"]}}',
    SPEC
    + b"  title: &t A title\n  description: *t\n  scope: {namespaces: {exclude: [kube-*]}, podSelector: {matchExpressions: [{key: a, operator: In, values: [b]}]}}\n"
    + RULES.encode(),
    SPEC + b"  respond:\n  - {when: severity == 'P1', action: IsolatePod, target: process.pod, ttl: 1h}\n" + RULES.encode(),
    RULE
    + b"'on': [audit.request]\n    when: |\n      a &&\n      b\n    unless:\n    - {name: c, when: d}\n    threshold: {count: 20, within: 5m, by: [identity.id]}\n    attack: [T1609]\n",
    RULE
    + b"sequence:\n      within: 10m\n      steps:\n      - {name: a, 'on': [b.c], when: d, by: [e]}\n      - {name: f, 'on': [g.h], when: i, by: [j]}\n    message: '{identity.id} {{x}}'\n",
    RULE + b"'on': [b.c]\n    when: d\n    firstSeen: {of: [a], per: [b], learn: 14d}\n    suppress: {by: [a], for: 1h}\n    kill: true\n",
    EXCEPTION + b"override: {enabled: yes, severity: P3, threshold: {count: 0x10}}\n  until: 2026-12-31T00:00:00Z\n",
    EXCEPTION + b'when: "identity.id in lists.x"\n---\n# next\n---\nkind: List\nitems: []\n',
    LIST + b"a, 'b', \"\\u0041\", !!str 7, 1_000, 2026-01-01, ~]\n",
)


def one_input(data: bytes) -> None:
    """One input of a fuzzer; raises AssertionError when what comes out is not as promised."""
    front, body = (FRONTS[data[0] % len(FRONTS)], data[1:]) if data else (b"", b"")
    for file in ("input.yaml", "input.json"):
        documents, errors = load_policies(front + body if file.endswith(".yaml") else body, file)
        assert len(errors) <= MOST_ERRORS + 1
        assert all(str(error).isprintable() for error in errors)
        assert all(document.object.name for document in documents)
