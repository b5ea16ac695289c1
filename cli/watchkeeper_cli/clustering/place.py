"""Which cluster is meant, by kubectl's own rules: `--kubeconfig`, else KUBECONFIG, else ~/.kube/config, else the pod's account."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import yaml

from watchkeeper_cli.ending import UNREADABLE, USAGE, CommandError

if TYPE_CHECKING:
    from collections.abc import Mapping

ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
IN_CLUSTER = "the pod's own account"


@dataclass(frozen=True, slots=True)
class Place:
    """kubeconfig  files as KUBECONFIG lists them; None: the pod's own account
    context     the one that is used; empty in a pod
    name        what people call it
    namespace   the context's own
    """

    kubeconfig: Path | None
    context: str
    name: str
    namespace: str


class Context(msgspec.Struct, frozen=True):
    cluster: str = ""
    user: str = ""
    namespace: str | None = None


class NamedContext(msgspec.Struct, frozen=True):
    name: str
    context: Context = Context()


class User(msgspec.Struct, frozen=True, rename={"impersonated": "as"}):
    impersonated: str | None = None


class NamedUser(msgspec.Struct, frozen=True):
    name: str
    user: User | None = None


class Kubeconfig(msgspec.Struct, frozen=True, rename="kebab"):
    """What is needed of one to say where it leads; credentials are left to the client."""

    current_context: str | None = None
    contexts: tuple[NamedContext, ...] | None = None
    users: tuple[NamedUser, ...] | None = None


def place_of(kubeconfig: Path | None, context: str | None, environment: Mapping[str, str] = os.environ, home: Path | None = None) -> Place:
    """Ends the command when no cluster is named, or one that is not there."""
    files = str(kubeconfig) if kubeconfig else environment.get("KUBECONFIG", "")
    default = (home or Path.home()) / ".kube" / "config"
    if not files and context is None and not default.exists() and "KUBERNETES_SERVICE_HOST" in environment:
        return Place(None, "", IN_CLUSTER, _account_namespace())
    paths = [Path(name).expanduser() for name in (files or str(default)).split(os.pathsep) if name]
    found = [_read(path) for path in paths if path.exists()]
    if not found:
        named = " and ".join(map(str, paths)) or "KUBECONFIG is empty"
        raise CommandError(f"no cluster is named: {named}: no such file. Name a kubeconfig with --kubeconfig FILE or in KUBECONFIG", UNREADABLE)
    return _chosen(Path(os.pathsep.join(map(str, paths))), found, context)


def _account_namespace() -> str:
    try:
        return ACCOUNT_NAMESPACE.read_text(encoding="ascii").strip() or "default"
    except OSError:
        return "default"


def _read(path: Path) -> Kubeconfig:
    try:
        return msgspec.convert(yaml.safe_load(path.read_bytes()) or {}, Kubeconfig)
    except OSError as error:
        raise CommandError(f"the kubeconfig {path} can't be read: {error.strerror}", UNREADABLE) from None
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise CommandError(f"{path} is no kubeconfig: {' '.join(str(error).split())}", UNREADABLE) from None


def _chosen(files: Path, found: list[Kubeconfig], asked: str | None) -> Place:
    """As kubectl merges them: of what several files name, the first counts."""
    name = asked or next((one.current_context for one in found if one.current_context), "")
    contexts: dict[str, Context] = {}
    users: dict[str, User] = {}
    for one in found:
        contexts = {named.name: named.context for named in one.contexts or ()} | contexts
        users = {named.name: named.user or User() for named in one.users or ()} | users
    known = ", ".join(sorted(contexts)) or "none"
    if not name:
        raise CommandError(f"no cluster is named: the kubeconfig {files} has no current context. Give --context; there are: {known}", USAGE)
    if name not in contexts:
        raise CommandError(f"the kubeconfig {files} has no context {name!r}; there are: {known}", USAGE)
    if users.get(contexts[name].user, User()).impersonated:
        raise CommandError(f"context {name!r} acts as somebody else (`as`), which this command can't: name another --context", USAGE)
    return Place(files, name, name, contexts[name].namespace or "default")
