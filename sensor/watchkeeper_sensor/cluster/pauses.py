"""When to try again, and when to renew: pure, chance is passed in."""

from __future__ import annotations

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 15.0  # 500 nodes that wait for a collector ask it 50 times a second
ASKED_SECONDS = 60.0  # that the other side may ask for
RENEWAL_SPREAD = 0.1  # of the time until renewal, so that nodes that began together don't stay together
LEAST_RENEWAL_SECONDS = 1.0


def pause_seconds(failures: int, chance: float, *, asked: float = 0.0) -> float:
    """Before the next attempt after so many failures in a row; `chance` in [0, 1); `asked`: what the other side wants at least."""
    grown = min(FIRST_SECONDS * 2.0 ** min(failures - 1, 16), LONGEST_SECONDS)
    return max(grown * (0.5 + chance / 2), min(asked, ASKED_SECONDS))


def renewal_seconds(renew_after: float, chance: float) -> float:
    """From a trade to the next. Never before `renew_after`: a request that comes earlier is reported as another holder's."""
    return max(renew_after, LEAST_RENEWAL_SECONDS) * (1 + RENEWAL_SPREAD * chance)
