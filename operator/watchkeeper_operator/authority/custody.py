"""The authority over time: what is held, what is trusted, and when the root is replaced. Pure.

A root is replaced in three steps, each after the one before has reached everybody: the next root is trusted; it signs, and the old one vouches for it
to whoever knows the old one alone; the old one is trusted no more. The last step waits for the old root's own end, or for a person who says that
no certificate below it is in use: those of API servers lie on control planes, where we replace nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes

from watchkeeper_operator.authority.certificates import Signer, cross_signed, make_root, pem

if TYPE_CHECKING:
    from cryptography import x509

RENEW_SHARE = 0.8  # of a root's life, after which the next one is made
SPREAD = timedelta(minutes=15)  # until a new bundle has reached every mounted volume and every process that reads it


@dataclass(frozen=True, slots=True)
class Held:
    """What the operator keeps, and nobody else.

    current   signs
    next      will sign; trusted already, since `next_since`
    previous  trusted still; its key is gone
    cross     the current root as the previous one names it
    asked     the last wish for a rotation that was granted
    """

    current: Signer
    next: Signer | None = None
    next_since: datetime | None = None
    previous: x509.Certificate | None = None
    cross: x509.Certificate | None = None
    asked: str = ""

    @property
    def trusted(self) -> str:
        """Roots that a certificate may end in, PEM."""
        roots = [self.current.certificate, self.next.certificate if self.next else None, self.previous]
        return pem(*(one for one in roots if one is not None))

    @property
    def vouching(self) -> str:
        """What a server sends after its certificate, for clients that know the previous root alone, PEM."""
        return pem(self.cross) if self.cross is not None else ""


def fingerprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()


def first(now: datetime, given: Signer | None = None) -> Held:
    """`given`: a root that was made before there was an operator, by `watchkeeper audit-config`."""
    return Held(given or make_root(now))


def advanced(held: Held, now: datetime, *, asked: str = "", retire: str = "", spread: timedelta = SPREAD) -> Held:
    """One step further where it is time; the same object where it is not.

    asked   any text that differs from the last one: rotate now
    retire  fingerprint (SHA-256, hex) of the previous root, to trust it no more
    """
    if held.previous is not None and (held.previous.not_valid_after_utc <= now or retire.replace(":", "").lower() == fingerprint(held.previous)):
        return replace(held, previous=None, cross=None)
    if held.next is not None and held.next_since is not None:
        return promoted(held, held.next, now) if now - held.next_since >= spread else held
    if (asked and asked != held.asked) or _is_old(held.current.certificate, now):
        return replace(held, next=make_root(now), next_since=now, asked=asked or held.asked)
    return held


def promoted(held: Held, following: Signer, now: datetime) -> Held:
    """A rotation during another one gives up the oldest root: two are trusted, never three."""
    cross = cross_signed(following, held.current, now)
    return replace(held, current=following, next=None, next_since=None, previous=held.current.certificate, cross=cross)


def _is_old(certificate: x509.Certificate, now: datetime) -> bool:
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return now >= certificate.not_valid_before_utc + life * RENEW_SHARE
