"""Which certificate of a pod is in force: on SQLite and PostgreSQL, also where two replicas trade at once."""

import pytest

from watchkeeper_operator.collector.issued import Issued, IssuedCertificates, standing
from watchkeeper_operator.store.engine import open_engine


def an_issued(latest: str = "a", **fields: object) -> Issued:
    defaults = {"pod_uid": "pod", "node_uid": "node", "key": "k1", "authority": "ca1", "restarts": 0, "renew_at": 2400, "expires_at": 3300}
    return Issued(latest=latest, **(defaults | fields))


STANDINGS = {
    "the first one": (None, {}, "new"),
    "in time": (an_issued(used=True), {"now": 2400}, "renewal"),
    "too early, by another key": (an_issued(used=True), {}, "early"),
    "by the same key": (an_issued(used=True), {"key": "k1"}, "repeat"),
    "of one that nobody has shown": (an_issued(), {}, "unused"),
    "after a restart of the container": (an_issued(used=True), {"restarts": 1}, "restart"),
    "after the authority was replaced": (an_issued(used=True), {"authority": "ca2"}, "reissue"),
}


@pytest.mark.parametrize(("before", "asked", "expected"), STANDINGS.values(), ids=STANDINGS)
def test_why_a_certificate_is_asked_for(before: Issued | None, asked: dict, expected: str) -> None:
    usual = {"key": "k2", "authority": "ca1", "restarts": 0, "now": 100}
    assert standing(before, **(usual | asked)) == expected


@pytest.fixture
def certificates(url: str) -> IssuedCertificates:
    made = IssuedCertificates(open_engine(url))
    made.create()
    made.create()
    yield made
    made._engine.dispose()


def test_what_was_noted_is_in_force_and_nothing_else_is(certificates: IssuedCertificates) -> None:
    assert certificates.note(an_issued("a"), now=0, replacing="")
    assert certificates.show("a")
    assert not certificates.show("b")
    assert certificates.of_pod("pod", 100).used
    assert certificates.of_pod("pod", 3300) is None


def test_the_one_before_is_in_force_until_the_new_one_is_shown(certificates: IssuedCertificates) -> None:
    certificates.note(an_issued("a"), now=0, replacing="")
    certificates.note(an_issued("b", previous="a"), now=0, replacing="a")
    assert certificates.show("a")
    assert certificates.show("b")
    assert not certificates.show("a")


def test_of_two_who_trade_at_once_one_is_noted(certificates: IssuedCertificates) -> None:
    assert certificates.note(an_issued("a"), now=0, replacing="")
    assert not certificates.note(an_issued("b"), now=0, replacing="")
    assert certificates.note(an_issued("c"), now=0, replacing="a")
    assert not certificates.note(an_issued("d"), now=0, replacing="a")
    assert certificates.of_pod("pod", 0).latest == "c"


def test_what_has_expired_is_forgotten(certificates: IssuedCertificates) -> None:
    certificates.note(an_issued("a"), now=0, replacing="")
    assert certificates.note(an_issued("z", pod_uid="other", expires_at=9000), now=3300, replacing="")
    assert not certificates.show("a")
    assert certificates.note(an_issued("b", expires_at=9000), now=3300, replacing="")
