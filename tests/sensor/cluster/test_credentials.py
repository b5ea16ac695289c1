"""Token → certificate, renewed in time; what is refused, and what a thief can't do."""

import ssl
import time

import pytest
from tests.support.collector_server import Authority

from watchkeeper_sensor.cluster.channel import Channel, ChannelError, Identity
from watchkeeper_sensor.cluster.credentials import Credentials
from watchkeeper_sensor.cluster.pauses import LONGEST_SECONDS, pause_seconds, renewal_seconds
from watchkeeper_sensor.cluster.settings import Settings, SettingsError

STATE = b"{}"


def test_a_token_is_traded_for_a_certificate_that_opens_the_rest(collector, credentials, channel):
    credentials.trade()
    assert channel.ask("GET", "/v1/feed?since=").status == 200
    assert collector.requests == [("POST", "/v1/certificates", ""), ("GET", "/v1/feed?since=", "node-1")]


def test_nothing_is_asked_before_there_is_a_certificate(collector, channel):
    with pytest.raises(ChannelError, match="no certificate yet"):
        channel.ask("GET", "/v1/feed?since=")
    assert not collector.requests


def test_a_refused_token_gives_no_certificate_and_says_so(collector, credentials, settings):
    settings.token.write_text("another pod's")
    with pytest.raises(ChannelError, match="HTTP 401"):
        credentials.trade()
    assert not collector.issued


def test_the_token_is_read_at_each_trade(collector, credentials, settings):
    credentials.trade()
    collector.token = "rotated by the kubelet"  # noqa: S105 (made up)
    settings.token.write_text(collector.token)
    credentials.trade()
    assert collector.issued == 2


def test_a_key_is_on_no_disk_and_in_no_words(credentials, settings):
    credentials.trade()
    found = credentials.identity()
    for path in [path for path in settings.state.parent.rglob("*") if path.is_file()]:
        assert found.key.splitlines()[1] not in path.read_text(errors="replace"), path
    assert "PRIVATE" not in repr(found)


def test_who_asks_again_before_the_time_has_the_same_key(credentials):
    credentials.trade()
    first = credentials.identity()
    credentials.trade()
    second = credentials.identity()
    assert first.key == second.key
    assert first.certificate != second.certificate


def test_a_renewed_certificate_has_a_new_key(collector, credentials):
    collector.renew_after = 1.0
    credentials.start()
    assert credentials.wait(10)
    first = credentials.identity()
    collector.waited(lambda: credentials.identity().number == 2)
    assert credentials.identity().key != first.key


def test_a_collector_of_another_authority_is_not_given_the_token(collector, tmp_path):
    other = tmp_path / "other.crt"
    other.write_text(Authority("a stranger").pem)
    state = tmp_path / "state"
    credentials = Credentials(Settings(collector=collector.url, ca=other, token=collector.token_file, node_name="a", state=state))
    with pytest.raises(ChannelError, match="not trusted"):
        credentials.trade()
    assert not collector.requests


def test_a_collector_under_another_name_is_not_given_the_token(collector, tmp_path):
    collector.stop()
    collector.host = "127.0.0.2"  # which is not in its certificate
    collector.start()
    credentials = Credentials(Settings(collector=collector.url, ca=collector.ca, token=collector.token_file, node_name="a", state=tmp_path))
    with pytest.raises(ChannelError, match="not trusted"):
        credentials.trade()
    assert not collector.requests


def test_a_certificate_is_renewed_before_it_ends(collector, credentials, channel):
    collector.lifetime, collector.renew_after = 30.0, 1.0
    credentials.start()
    assert credentials.wait(10)
    collector.waited(lambda: collector.issued >= 3)
    assert channel.ask("GET", "/v1/feed?since=").status == 200
    assert collector.requests[-1][2] != "node-1"


def test_a_certificate_that_has_ended_is_refused_and_another_is_got(collector, credentials, channel):
    collector.lifetime = 1.0
    credentials.start()
    assert credentials.wait(10)
    time.sleep(1.5)
    collector.lifetime = 3600.0
    with pytest.raises(ChannelError) as refusal:
        channel.ask("GET", "/v1/feed?since=")
    assert refusal.value.is_of_credentials
    credentials.refused(credentials.identity())
    collector.waited(lambda: collector.issued == 2)
    collector.waited(lambda: credentials.identity().number == 2)
    assert channel.ask("GET", "/v1/feed?since=").status == 200


def test_a_certificate_without_its_key_is_useless(credentials, settings):
    credentials.trade()
    stolen = credentials.identity()
    other = Credentials(settings)
    other.trade()
    mixed = Identity(stolen.certificate, other.identity().key, 9)
    thief = Channel(settings.collector, settings.ca, lambda: mixed)
    with pytest.raises(ChannelError, match="can't be used"):
        thief.ask("PUT", "/v1/state", STATE)


def test_a_certificate_of_another_authority_is_refused(collector, settings):
    stranger = Authority("a stranger")
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    forged = Identity(stranger.issue(key.public_key(), {"O": "watchkeeper:sensors", "CN": "node-1"}, seconds=60), text, 1)
    with pytest.raises(ChannelError) as refusal:
        Channel(settings.collector, settings.ca, lambda: forged).ask("PUT", "/v1/state", STATE)
    assert refusal.value.is_of_credentials
    assert not collector.states


def test_a_new_authority_needs_no_restart(collector, credentials, channel):
    credentials.start()
    assert credentials.wait(10)
    assert channel.ask("GET", "/v1/feed?since=").status == 200
    collector.stop()
    collector.replace_authority()
    collector.start()
    with pytest.raises(ChannelError) as refusal:
        channel.ask("GET", "/v1/feed?since=")
    assert refusal.value.is_of_credentials
    credentials.refused(credentials.identity())
    collector.waited(lambda: credentials.identity().number == 2)
    assert channel.ask("GET", "/v1/feed?since=").status == 200


def test_a_connection_that_was_closed_meanwhile_is_opened_once_more(collector, credentials, channel):
    credentials.trade()
    assert channel.ask("GET", "/v1/feed?since=").status == 200
    collector.cut()
    assert channel.ask("GET", "/v1/feed?since=").status == 200


def test_a_redirect_is_not_followed(collector, credentials, channel):
    credentials.trade()
    collector.answers["/v1/state"] = 307
    assert channel.ask("PUT", "/v1/state", STATE).status == 307
    assert len(collector.requests) == 2


def test_nothing_older_than_tls_1_3_is_spoken(collector, credentials):
    collector.stop()
    collector.newest = ssl.TLSVersion.TLSv1_2
    collector.start()
    with pytest.raises(ChannelError, match="TLS"):
        credentials.trade()
    assert not collector.requests


@pytest.mark.parametrize("url", ["http://collector", "https://", "https://collector/path", "https://user@collector", "https://collector:port", "collector"])
def test_an_address_that_is_no_collectors_is_refused(url, tmp_path):
    with pytest.raises(SettingsError):
        Settings(collector=url, ca=tmp_path, token=tmp_path, node_name="a", state=tmp_path)


def test_pauses_grow_to_a_bound_and_spread():
    assert [pause_seconds(failures, 0.999) for failures in (1, 2, 3)] == pytest.approx([0.5, 1.0, 2.0], rel=0.01)
    assert pause_seconds(1000, 0.999) == pytest.approx(LONGEST_SECONDS, rel=0.01)
    assert pause_seconds(4, 0.0) == pytest.approx(2.0)
    assert pause_seconds(1, 0.0, asked=30) == 30


def test_renewal_is_never_before_the_time_that_the_collector_said():
    assert renewal_seconds(2400, 0.0) == 2400
    assert 2400 < renewal_seconds(2400, 0.9) < 2400 * 1.1
