"""Builders of matches with good defaults."""

from watchkeeper_detection.detection import Place
from watchkeeper_detection.match import Match

SECOND = 1_000_000_000


def a_match(at: float = 0, key: str | None = "alice", *, value: str | None = None, step: int = 0, number: int | None = None, **kept: str) -> Match:
    number = int(at * 1000) if number is None else number
    return Match(
        rule="rule",
        step=step,
        observed_at=int(at * SECOND),
        event_id=f"log:{number}:{step}",
        provider_id="",
        source="k8s-audit",
        kind="audit.request",
        place=Place("log", number, -1),
        about=(key, key, None, None),
        keys=(key,),
        value=(value,) if value is not None else (),
        suppress=(key,),
        kept=dict(kept),
    )
