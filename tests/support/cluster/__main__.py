"""python -m tests.support.cluster up|down|build: what make cluster-up and cluster-down run."""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.api_server import free_port
from tests.support.cluster import audit, local, plain
from tests.support.cluster.configuration import configuration
from tests.support.cluster.engine import RUN
from tests.support.cluster.kubebox import components
from tests.support.cluster.node_image import name
from tests.support.cluster.running import STATE, Cluster, running, write
from tests.support.cluster.steps import CACHE, NoKubernetesError, UnableError, step

if TYPE_CHECKING:
    from collections.abc import Callable


ASKED = {"WATCHKEEPER_WORKERS": "1", "WATCHKEEPER_AUDIT_WEBHOOK": "", "WATCHKEEPER_AUDIT_POLICY": ""}  # variable → where it is not set
UNABLE = 3  # exit status: this machine lacks what the message says


def is_local() -> bool:
    """WATCHKEEPER_KIND=local or plain decides; else whether an engine can pull kind's image."""
    wanted = os.environ.get("WATCHKEEPER_KIND", "")
    if wanted not in ("", "local", "plain"):
        raise NoKubernetesError(f"WATCHKEEPER_KIND is {wanted}: local or plain, or leave it out")
    return wanted == "local" or (wanted != "plain" and not plain.possible())


def up() -> None:
    """Makes the cluster, unless it is there and made from the same. What is not asked for stays as it is."""
    began = time.monotonic()
    cluster = running()
    asked = {name: os.environ.get(name) or (cluster.asked[name] if cluster else default) for name, default in ASKED.items()}
    here = cluster.local if cluster and not os.environ.get("WATCHKEEPER_KIND") else is_local()
    if here:
        local.require_machine()
    made_from = _digest(asked, local_path=here)
    if cluster and cluster.made_from == made_from:
        print(f"cluster: is up; export KUBECONFIG={cluster.kubeconfig}", file=sys.stderr)
        return
    if RUN.exists():
        down()
    components()
    RUN.mkdir(parents=True)
    flags = audit.prepare(RUN, policy=asked["WATCHKEEPER_AUDIT_POLICY"], webhook=asked["WATCHKEEPER_AUDIT_WEBHOOK"])
    made = Cluster(local=here, port=free_port(), asked=asked, made_from=made_from)
    configured = configuration(run=RUN, workers=int(asked["WATCHKEEPER_WORKERS"]), port=made.port, flags=flags, local=here)
    if here:
        local.create(made, configured)
    else:
        plain.create(configured)
    write(made)
    print(f"cluster: ready after {time.monotonic() - began:.0f} s; export KUBECONFIG={made.kubeconfig}", file=sys.stderr)


def _digest(asked: dict[str, str], *, local_path: bool) -> str:
    """Of what a cluster is made from: it is made anew when that changed."""
    shape = configuration(run=RUN, workers=0, port=0, flags=audit.FLAGS, local=local_path)
    policy = Path(asked["WATCHKEEPER_AUDIT_POLICY"] or audit.POLICY).read_text()
    parts = [asked, shape, policy, *([local.POLICIES.read_text(), name()] if local_path else [plain.IMAGE])]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def down() -> None:
    """Removes the cluster, and what it changed on this machine."""
    if not RUN.exists():
        print("cluster: none is up", file=sys.stderr)
        return
    with step("cluster removed"):
        if STATE.exists() and not json.loads(STATE.read_text())["local"]:
            plain.delete()
        else:
            local.delete()
        shutil.rmtree(RUN)


def build() -> None:
    """What a cluster is made from, ahead of time."""
    here = is_local()
    if here:
        local.require_machine()
    components()
    if here:
        local.build()


COMMANDS: dict[str, Callable[[], None]] = {"up": up, "down": down, "build": build}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.support.cluster", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    command = COMMANDS[parser.parse_args().command]
    CACHE.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that folders half made are removed
    with (CACHE / "cluster-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            command()
        except NoKubernetesError as reason:
            print(f"cluster: {reason}", file=sys.stderr)
            return UNABLE if isinstance(reason, UnableError) else 1
        except KeyboardInterrupt:
            print("cluster: interrupted; the next cluster-up or cluster-down clears up", file=sys.stderr)
            return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
