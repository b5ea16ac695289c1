"""Detections posted to a receiver on loopback."""

import hashlib
import hmac
import json
import socket
import threading
import time
import urllib.error
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import pytest
from tests.support.detections import a_detection

from watchkeeper_cli import notifying
from watchkeeper_cli.ending import CommandError
from watchkeeper_cli.notifying import Webhook
from watchkeeper_detection.wire import encode
from watchkeeper_sensor.spool.delivery import TRIES, Delivery


@pytest.fixture
def receiver():
    got, answers = [], []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(answers.pop(0) if answers else 204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", got, answers
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def posting():
    """`posting(url)` posts what it is given, from memory."""
    begun = []

    def begin(url):
        begun.append(Delivery(None, Webhook(url, b"secret"), first_pause=0.002, longest_pause=0.05))
        begun[-1].start()
        return begun[-1]

    yield begin
    for one in begun:
        one.close()


def ids(got):
    return [json.loads(body).get("id") for _, body in got]


def detections(*names):
    return [encode(msgspec.structs.replace(a_detection(), id=name)) for name in names]


def wait_for(holds):
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_detection_arrives_signed(receiver, posting):
    url, got, _ = receiver
    posting(url).keep("detection", [encode(a_detection())])
    wait_for(lambda: got)
    ((headers, body),) = got
    expected = hmac.new(b"secret", headers["X-Watchkeeper-Timestamp"].encode() + b"." + body, hashlib.sha256).hexdigest()
    assert headers["X-Watchkeeper-Signature"] == f"sha256={expected}"
    assert json.loads(body)["policy"] == a_detection().policy


@pytest.mark.parametrize("answer", [500, 503, 408, 429])
def test_a_receiver_in_trouble_is_tried_until_it_takes_it_and_order_is_kept(receiver, posting, answer):
    url, got, answers = receiver
    answers += [answer] * 12
    one = posting(url)
    one.keep("detection", detections("a", "b"))
    wait_for(lambda: one.delivered == 2)
    assert ids(got) == ["a"] * 13 + ["b"]
    assert (one.refused, one.lost) == (0, {})


@pytest.mark.parametrize("answer", [400, 404, 410, 302])
def test_what_a_receiver_refuses_for_good_is_given_up_and_counted(receiver, posting, answer):
    url, got, answers = receiver
    answers += [answer] * TRIES
    one = posting(url)
    one.keep("detection", detections("a", "b", "c"))
    wait_for(lambda: one.delivered == 2)
    assert ids(got) == ["a"] * TRIES + ["b", "c"]
    assert one.refused == 1
    assert any(f"HTTP {answer}" in text for text in one.news())


@pytest.mark.parametrize(("asked", "seconds"), [("7", 7), ("0", 0), ("999999", 3600), ("-1", 0), ("Fri, 13 Mar 2026 10:00:00 GMT", 0), ("", 0), ("²", 0)])
def test_a_receiver_that_asks_for_time_gets_it_within_bounds(asked, seconds):
    assert notifying._retry_after(urllib.error.HTTPError("", 429, "", {"Retry-After": asked}, None)) == seconds


def test_nobody_listening_is_said_and_what_waits_outlives_a_restart(receiver, tmp_path):
    url, got, _ = receiver
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        one = Delivery(tmp_path / "spool", Webhook(nowhere, b"secret"), first_pause=0.002, longest_pause=0.01)
        one.start()
        one.keep("detection", detections("a", "b"))
        wait_for(lambda: any("Connection refused" in text for text in one.troubles()))
        one.close()
    other = Delivery(tmp_path / "spool", Webhook(url, b"secret"))
    other.start()
    wait_for(lambda: other.waiting == 0)
    other.close()
    assert ids(got) == ["a", "b"]


def test_what_the_spool_had_to_give_up_is_told_to_the_receiver(receiver, tmp_path):
    url, got, _ = receiver
    one = Delivery(tmp_path / "spool", Webhook(url, b"secret"), limit_bytes=40_000)
    for number in range(100):
        one.keep("detection", detections(f"{number}"))
    one.start()
    wait_for(lambda: one.waiting == 0)
    one.close()
    bodies = [json.loads(body) for _, body in got]
    lost = sum(body["lost"]["detection"] for body in bodies if body["kind"] == "sensor.lost")
    assert lost > 0
    assert lost + sum("id" in body for body in bodies) == 100


def test_nothing_is_posted_unsigned(monkeypatch):
    monkeypatch.delenv(notifying.SECRET, raising=False)
    with pytest.raises(CommandError, match=notifying.SECRET):
        Webhook.from_environment("https://hooks.example.com")
