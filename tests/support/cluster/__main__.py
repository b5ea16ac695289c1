"""python -m tests.support.cluster up|down|build: what make cluster-up and cluster-down run."""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import sys
import time
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


UNABLE = 3  # exit status: this machine lacks what the message says


def is_local() -> bool:
    """WATCHKEEPER_KIND=local or plain decides; else whether an engine can pull kind's image."""
    wanted = os.environ.get("WATCHKEEPER_KIND", "")
    if wanted not in ("", "local", "plain"):
        raise NoKubernetesError(f"WATCHKEEPER_KIND is {wanted}: local or plain, or leave it out")
    return wanted == "local" or (wanted != "plain" and not plain.possible())


def up() -> None:
    """Makes the cluster, unless it is there from the same settings."""
    began = time.monotonic()
    cluster = running()
    workers = int(os.environ.get("WATCHKEEPER_WORKERS", "1"))
    here = is_local()
    settings = _settings(workers, local_path=here)
    if cluster and cluster.settings == settings:
        print(f"cluster: is up; export KUBECONFIG={cluster.kubeconfig}", file=sys.stderr)
        return
    if RUN.exists():
        down()
    components()
    RUN.mkdir(parents=True)
    flags = audit.prepare(RUN)
    made = Cluster(local=here, settings=settings, port=free_port())
    configured = configuration(run=RUN, workers=workers, port=made.port, flags=flags, local=here)
    if here:
        local.create(made, configured)
    else:
        plain.create(configured)
    write(made)
    print(f"cluster: ready after {time.monotonic() - began:.0f} s; export KUBECONFIG={made.kubeconfig}", file=sys.stderr)


def _settings(workers: int, *, local_path: bool) -> str:
    """Digest of what a cluster is made from: it is made anew when that changed."""
    asked = {name: os.environ.get(name, "") for name in ("WATCHKEEPER_AUDIT_WEBHOOK", "WATCHKEEPER_AUDIT_POLICY")}
    shape = configuration(run=RUN, workers=workers, port=0, flags=audit.FLAGS, local=local_path)
    files = [path.read_text() for path in (audit.POLICY, local.POLICIES)]
    return hashlib.sha256(json.dumps([asked, shape, files, name() if local_path else plain.IMAGE]).encode()).hexdigest()


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
    components()
    if is_local():
        local.build()


COMMANDS: dict[str, Callable[[], None]] = {"up": up, "down": down, "build": build}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.support.cluster", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    command = COMMANDS[parser.parse_args().command]
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "cluster-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            command()
        except NoKubernetesError as reason:
            print(f"cluster: {reason}", file=sys.stderr)
            return UNABLE if isinstance(reason, UnableError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
