"""A rule whose matches come from several places, and such matches."""

from __future__ import annotations

from tests.support.detections import MARCH_12, SECOND
from tests.support.events import a_policy, a_program

from watchkeeper_detection.detection import Place
from watchkeeper_detection.match import Match

SPANNING = a_program(
    a_policy(
        """
        - name: many-denied
          on: [audit.request]
          when: audit.verb == "get"
          threshold: {count: 3, by: [identity.id], within: 5m}
          severity: P2
          confidence: high
          message: "{identity.id} was denied often"
        """,
        name="denied",
    )
)


def a_denial(at: float, number: int, *, who: str = "alice") -> Match:
    """A match `at` seconds past half past two on 12 March 2026."""
    (rule,) = SPANNING.rules
    place = Place("audit.log", number, -1)
    return Match(
        *(rule.state_key, 0, round((MARCH_12 + at) * SECOND), f"audit:{number}", f"provider-{number}", "k8s-audit", "audit.request", place),
        about=(who, who, None, "192.0.2.1"),
        keys=(who,),
        words=(who,),
    )
