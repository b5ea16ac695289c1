"""`watchkeeper sensor`: the sensor of one node of a cluster."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from watchkeeper_cli.ending import UNREADABLE, USAGE, CommandError

TOKEN = Path("/var/run/secrets/watchkeeper/token")
CA = Path("/etc/watchkeeper/ca/ca.crt")


def sensor(
    collector: Annotated[str, typer.Option(envvar="WATCHKEEPER_COLLECTOR", help="Address of the collector.", metavar="https://HOST[:PORT]")],
    node_name: Annotated[str, typer.Option(envvar="NODE_NAME", help="Name of this node (spec.nodeName of the pod).", metavar="NAME")],
    ca: Annotated[Path, typer.Option(envvar="WATCHKEEPER_CA", help="Certificates that the collector's is checked by.", metavar="FILE")] = CA,
    token: Annotated[Path, typer.Option(envvar="WATCHKEEPER_TOKEN", help="Projected token of audience watchkeeper-collector.", metavar="FILE")] = TOKEN,
    state: Annotated[Path, typer.Option(envvar="WATCHKEEPER_STATE", help="Folder for what outlives a restart.", metavar="DIR")] = Path("/var/lib/watchkeeper"),
    root: Annotated[Path, typer.Option(envvar="WATCHKEEPER_ROOT", help="Where the node's files are mounted.", metavar="DIR")] = Path("/"),
) -> None:
    """Watch this node of a cluster: judge by the policies that the collector tells, and deliver what is found to it.

    Run by the operator's DaemonSet. It has no rights in the cluster: its token is traded for a certificate of an hour at most, and it listens nowhere.

    \b
    Exit status: 0 ended by SIGTERM, 2 wrong settings, 3 the sensor can't run here.
    """
    from watchkeeper_sensor.cluster.node import Node
    from watchkeeper_sensor.cluster.settings import Settings, SettingsError
    from watchkeeper_sensor.cluster.slots import own_slot
    from watchkeeper_sensor.keeping import FolderInUseError
    from watchkeeper_sensor.kernel.libbpf import BpfError, BpfUnavailableError
    from watchkeeper_sensor.kernel.privileges import see_host_cgroups

    try:
        settings = Settings(collector=collector, ca=ca, token=token, node_name=node_name, state=state, root=root)
        slot = own_slot(state)  # until the process ends
        if unseen := see_host_cgroups():
            _say(f"containers that run already are known when they act: {unseen}")
        node = Node(settings, slot, _say)
    except (SettingsError, FolderInUseError) as error:
        raise CommandError(str(error), USAGE) from None
    except (BpfUnavailableError, BpfError) as error:
        raise CommandError(f"the sensor can't run here: {error}", UNREADABLE) from None
    except OSError as error:
        raise CommandError(f"the state folder {state} can't be used: {error.strerror}", USAGE) from None
    node.run()


def _say(text: str) -> None:
    """A line of JSON, for whoever collects the pod's log: nothing in it is unescaped."""
    import msgspec

    line = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "component": "sensor", "message": text}
    print(msgspec.json.encode(line).decode(), file=sys.stderr, flush=True)
