"""A root is replaced without anybody losing whom to trust, and without a third root."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from watchkeeper_operator.authority import certificates, custody, keeping
from watchkeeper_operator.authority.certificates import AuthorityError, read_certificates, read_signer
from watchkeeper_operator.authority.secrets import held_texts, read_held

NOW = datetime(2026, 3, 12, tzinfo=UTC)
NAMES = ("collector.watchkeeper-system.svc",)


def verifies(chain: str, roots: str, at: datetime = NOW + custody.SPREAD) -> bool:
    """By a verifier that is not the one under test elsewhere."""
    leaf, *between = read_certificates(chain)
    verifier = PolicyBuilder().store(Store(read_certificates(roots))).time(at).build_server_verifier(x509.DNSName(NAMES[0]))
    try:
        verifier.verify(leaf, between)
    except VerificationError:
        return False
    return True


def rotated() -> tuple[custody.Held, custody.Held, custody.Held]:
    """Before, while the next root is but trusted, and after it has begun to sign."""
    first = custody.first(NOW)
    second = custody.advanced(first, NOW, asked="please")
    third = custody.advanced(second, NOW + custody.SPREAD)
    return first, second, third


def test_nothing_moves_while_nothing_is_due() -> None:
    held = custody.first(NOW)
    assert custody.advanced(held, NOW + timedelta(days=365)) is held
    assert custody.advanced(held, NOW, asked="") is held


def test_a_root_in_the_last_fifth_of_its_life_gets_a_successor() -> None:
    held = custody.first(NOW)
    assert custody.advanced(held, NOW + certificates.ROOT_LIFE * 0.79) is held
    assert custody.advanced(held, NOW + certificates.ROOT_LIFE * 0.81).next is not None


def test_the_next_root_is_trusted_before_it_signs() -> None:
    first, second, third = rotated()
    assert second.current == first.current
    assert len(read_certificates(second.trusted)) == 2
    assert custody.advanced(second, NOW + custody.SPREAD - timedelta(seconds=1)) is second
    assert third.current == second.next
    assert len(read_certificates(third.trusted)) == 2


def test_who_knows_one_root_alone_is_served_at_every_step() -> None:
    first, second, third = rotated()
    for held, knows in ((first, first), (second, first), (second, second), (third, first), (third, second), (third, third)):
        made = certificates.make_server(held.current, NAMES, NOW)
        assert verifies(made.chain + held.vouching, knows.trusted)
    alone = certificates.make_server(third.current, NAMES, NOW)
    assert not verifies(alone.chain, first.trusted), "the old root has to vouch for the new one"


def test_the_previous_root_keeps_no_key_and_goes_at_its_end_or_when_told() -> None:
    _, _, third = rotated()
    assert third.previous is not None
    assert sum("key" in name for name in held_texts(third)) == 1
    assert custody.advanced(third, NOW + timedelta(days=30)) is third
    told = custody.advanced(third, NOW, retire=custody.fingerprint(third.previous).upper())
    assert (told.previous, told.vouching) == (None, "")
    assert custody.advanced(third, NOW, retire="00" * 32) is third
    assert custody.advanced(third, NOW + certificates.ROOT_LIFE * 1.01, asked="please").previous is None


def test_one_wish_is_one_rotation() -> None:
    _, _, third = rotated()
    assert custody.advanced(third, NOW, asked="please") is third
    assert custody.advanced(third, NOW, asked="once more").next is not None


def test_what_is_held_is_read_back_as_it_was_written() -> None:
    for held in rotated():
        assert held_texts(read_held(held_texts(held))) == held_texts(held)


@pytest.mark.parametrize("damage", [{"ca.key": ""}, {"ca.crt": "x"}, {"ca.key": certificates.key_pem(certificates.make_root(NOW).key)}])
def test_a_damaged_authority_is_refused_and_not_replaced(damage: dict[str, str]) -> None:
    with pytest.raises(AuthorityError):
        read_held(held_texts(custody.first(NOW)) | damage)


def test_the_collector_gets_what_it_needs_once_and_never_the_root_key() -> None:
    held = custody.first(NOW)
    texts = keeping.collector_needs(held, {}, NAMES, NOW)
    assert keeping.collector_needs(held, texts, NAMES, NOW) == texts
    root = certificates.key_pem(held.current.key)
    assert all(root not in text for text in texts.values())


def test_certificates_are_renewed_when_a_third_of_their_life_is_left() -> None:
    held = custody.first(NOW)
    texts = keeping.collector_needs(held, {}, NAMES, NOW)
    soon = keeping.collector_needs(held, texts, NAMES, NOW + certificates.SERVER_LIFE * 0.6)
    assert soon == texts
    later = keeping.collector_needs(held, texts, NAMES, NOW + certificates.SERVER_LIFE * 0.7)
    assert later["tls.crt"] != texts["tls.crt"]
    assert later["sensors.key"] == texts["sensors.key"]
    much_later = keeping.collector_needs(held, texts, NAMES, NOW + certificates.SENSORS_LIFE * 0.7)
    assert much_later["sensors.key"] != texts["sensors.key"]


def test_a_new_root_and_a_new_name_make_new_certificates() -> None:
    first, _, third = rotated()
    texts = keeping.collector_needs(first, {}, NAMES, NOW)
    assert keeping.collector_needs(first, texts, (*NAMES, "192.0.2.7"), NOW)["tls.crt"] != texts["tls.crt"]
    after = keeping.collector_needs(third, texts, NAMES, NOW)
    assert verifies(after["tls.crt"], first.trusted)
    assert read_signer(after["sensors.crt"], after["sensors.key"]).certificate.issuer == third.current.certificate.subject


def test_a_sensors_certificate_lives_an_hour_whatever_clocks_say() -> None:
    from tests.support.collectors import a_request

    authority = certificates.make_sensors_authority(certificates.make_root(NOW), NOW)
    leaf = read_certificates(certificates.sign_sensor(authority, a_request()[0], "uid", NOW))[0]
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= timedelta(hours=1)
    assert leaf.not_valid_after_utc > NOW + timedelta(minutes=50)
    with pytest.raises(AuthorityError):
        certificates.sign_sensor(authority, a_request()[0], "uid", NOW + certificates.SENSORS_LIFE)
