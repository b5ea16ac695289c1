"""Detections posted to a receiver on loopback."""

import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import pytest
from tests.support.detections import a_detection

from watchkeeper_cli import notifying
from watchkeeper_cli.ending import CommandError
from watchkeeper_cli.notifying import Webhook


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


def test_a_detection_arrives_signed(receiver):
    url, got, _ = receiver
    webhook = Webhook(url, b"secret")
    webhook.post(a_detection())
    webhook.close()
    ((headers, body),) = got
    expected = hmac.new(b"secret", headers["X-Watchkeeper-Timestamp"].encode() + b"." + body, hashlib.sha256).hexdigest()
    assert headers["X-Watchkeeper-Signature"] == f"sha256={expected}"
    assert json.loads(body)["policy"] == a_detection().policy


def test_a_receiver_that_fails_once_is_tried_again(receiver, monkeypatch):
    monkeypatch.setattr(notifying, "FIRST_PAUSE_SECONDS", 0.01)
    url, got, answers = receiver
    answers.append(503)
    webhook = Webhook(url, b"secret")
    webhook.post(a_detection())
    webhook.close()
    assert len(got) == 2
    assert (webhook.failed, webhook.dropped) == (0, 0)


def test_what_a_receiver_never_takes_is_counted_and_order_is_kept(receiver, monkeypatch, capsys):
    monkeypatch.setattr(notifying, "FIRST_PAUSE_SECONDS", 0.001)
    url, got, answers = receiver
    answers += [500] * notifying.TRIES
    webhook = Webhook(url, b"secret")
    for number in range(3):
        webhook.post(msgspec.structs.replace(a_detection(), id=str(number)))
    webhook.close()
    assert [json.loads(body)["id"] for _, body in got] == ["0"] * notifying.TRIES + ["1", "2"]
    assert webhook.failed == 1
    assert "1 detections were not posted" in capsys.readouterr().err


def test_nothing_is_posted_unsigned(monkeypatch):
    monkeypatch.delenv(notifying.SECRET, raising=False)
    with pytest.raises(CommandError, match=notifying.SECRET):
        Webhook.from_environment("https://hooks.example.com")
