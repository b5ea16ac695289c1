"""Ordinary work on a host raises nothing of P2 or worse with the shipped library; with containers see test_docker.py."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.bench.host import sensor

SETTLE_SECONDS = 1.0


def compile_a_program(folder):
    source = folder / "a.c"
    source.write_text('#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n')
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang") or shutil.which("clang-14")
    if compiler:
        subprocess.run([compiler, "-o", folder / "a", source], check=True)
        subprocess.run([folder / "a"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["make", "-v"], check=False, stdout=subprocess.DEVNULL)
    subprocess.run([sys.executable, "-c", "import json, ssl, ctypes, sqlite3"], check=True)
    subprocess.run(["tar", "-cf", folder / "a.tar", source], check=True)


def serve_the_web(folder):
    (folder / "page.html").write_text("x" * 4096)
    handler = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), lambda *arguments: handler(*arguments, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        for _ in range(200):
            with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/page.html") as answer:
                answer.read()
        server.shutdown()
        thread.join()


def ordinary_shell_work(folder):
    log = folder / "app.log"
    script = f"ls -la /etc >/dev/null; ps aux >/dev/null 2>&1; grep -r localhost /etc/hosts >/dev/null; echo x >> {log}; sed -i s/x/y/ {log}; cp {log} {log}.1; gzip -f {log}.1; rm {log}.1.gz; find /usr/share/doc -name copyright | head -5 >/dev/null; id >/dev/null; date >/dev/null; df >/dev/null"
    subprocess.run(["bash", "-c", script], check=True)
    socket.getaddrinfo("localhost", 80)


def install_a_package(_folder):
    """As apt-get does it: download, unpack, scripts, triggers. Skipped where no package can be had."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "install", "-qq", "-y", "--reinstall", "--no-install-recommends", "hostname"], check=False, env=environment, capture_output=True)


@pytest.mark.parametrize("work", [compile_a_program, serve_the_web, ordinary_shell_work, install_a_package], ids=lambda work: work.__name__)
def test_ordinary_work_raises_nothing_that_somebody_would_be_paged_for(work, tmp_path):
    output = tmp_path / "detections"
    ours = {os.getpid()}
    with output.open("wb") as stdout, sensor("--severity", "P2", stdout=stdout) as running:
        work(tmp_path)
        time.sleep(SETTLE_SECONDS)
        running.send_signal(signal.SIGTERM)
        assert running.wait(20) == 0, running.stderr.read()
    found = [json.loads(line) for line in output.read_bytes().splitlines()]
    of_ours = [one for one in found if one.get("act") is None or ours & {one["act"]["process_id"], *one["act"]["ancestor_process_ids"]}]
    assert [(one["policy"], one["rule"], one["message"]) for one in of_ours] == []
