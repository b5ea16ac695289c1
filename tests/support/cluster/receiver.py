"""Receives audit events as the product's collector does, for tests of the cluster itself: TLS, and callers with a certificate of the authority.

`receiver.py AUTHORITY PORT OUT`: a line of OUT is [seconds since 1970, common name and organisation of the caller, event].
"""

from __future__ import annotations

import http.server
import json
import ssl
import sys
import time
from pathlib import Path


def serve(authority: Path, port: int, out: Path) -> None:
    class Receiver(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            caller = [value for ((_, value),) in self.connection.getpeercert()["subject"]]
            with out.open("a") as lines:
                lines.writelines(f"{json.dumps([time.time(), caller, event])}\n" for event in body["items"])
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority / "ca.crt"))
    context.load_cert_chain(authority / "server.crt", authority / "server.key")
    context.verify_mode = ssl.CERT_REQUIRED
    with http.server.ThreadingHTTPServer(("0.0.0.0", port), Receiver) as server:  # noqa: S104 (in the cluster's own network namespace)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
