"""`watchkeeper audit-config`: what makes an API server send its audit log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from watchkeeper_cli.ending import USAGE, CommandError

if TYPE_CHECKING:
    from datetime import datetime

    from watchkeeper_operator.audit.configuring import File
    from watchkeeper_operator.authority.certificates import Signer

ROOT_FILES = ("ca.crt", "ca.key")
MANIFEST = "secret.yaml"
ON_NODES = "/etc/kubernetes/watchkeeper"


def audit_config(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write to; made where it is missing.")],
    address: Annotated[
        str, typer.Option(help="Where API servers reach the collector: the Service's cluster IP and port. API servers don't use the cluster's DNS.")
    ] = "10.96.0.210:8443",
    authority: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder with the authority's ca.crt and ca.key; made anew where it holds neither. DIR/authority if not given."),
    ] = None,
    source: Annotated[str, typer.Option(help="Name of the LogSource, as the certificate will say.", metavar="NAME")] = "control-plane",
    on_nodes: Annotated[str, typer.Option(help="Where the files will be on control-plane nodes, and in the API server's pod.", metavar="PATH")] = ON_NODES,
) -> None:
    """Write audit policy, webhook kubeconfig, certificates, and the API server's flags for kubeadm and kind.

    \b
    DIR/node/             goes to each control-plane node as it is: policy, kubeconfig, certificates, key
    DIR/kubeadm.yaml      what to merge into kubeadm's ClusterConfiguration
    DIR/kind.yaml         a kind cluster that has all of it
    DIR/authority/        the certificate authority: kubectl create -f DIR/authority/secret.yaml before the operator, then keep it away from nodes

    \b
    A certificate that is about to end is replaced by running this again and copying node/ anew: the API server takes it up within two minutes,
    without a restart. Flags need one.

    \b
      watchkeeper audit-config ./audit && kind create cluster --config ./audit/kind.yaml
    """
    from datetime import UTC, datetime

    from watchkeeper_operator.audit import configuring
    from watchkeeper_operator.authority import certificates
    from watchkeeper_operator.authority.roles import Role

    now = datetime.now(UTC)
    root = _authority(authority or folder / "authority", now)
    identity = certificates.make_client(root, Role.AUDIT, source, now, certificates.AUDIT_LIFE)
    node = folder / "node"
    _write(node, configuring.files(address, certificates.pem(root.certificate), identity, on_nodes))
    beside = (
        configuring.File(configuring.KUBEADM, configuring.kubeadm(on_nodes)),
        configuring.File(configuring.KIND, configuring.kind(str(node.resolve()), on_nodes)),
    )
    _write(folder, beside)
    print(f"Copy {node}/ to {on_nodes} on each control-plane node, and give the API server these flags ({folder / configuring.KUBEADM} has them for kubeadm):")
    for name, value in configuring.flags(on_nodes).items():
        print(f"  --{name}={value}")
    print(f"The collector's Service needs the address {address}. Certificate for {source}: valid {certificates.AUDIT_LIFE.days} days.")


def _authority(folder: Path, now: datetime) -> Signer:
    """The authority in the folder; a new one where there is none."""
    from watchkeeper_operator.audit.configuring import File
    from watchkeeper_operator.authority import certificates

    certificate, key = (folder / name for name in ROOT_FILES)
    if certificate.exists() != key.exists():
        raise CommandError(f"{folder} holds one of {' and '.join(ROOT_FILES)}, not both", USAGE)
    if certificate.exists():
        try:
            return certificates.read_signer(certificate.read_text(), key.read_text())
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"can't read the authority in {folder}: {error}", USAGE) from None
        except certificates.AuthorityError as error:
            raise CommandError(f"{folder} holds no authority: {error}", USAGE) from None
    root = certificates.make_root(now)
    _write(folder, (File(ROOT_FILES[0], certificates.pem(root.certificate)), File(ROOT_FILES[1], certificates.key_pem(root.key), secret=True)))
    _write(folder, (File(MANIFEST, _secret(root, now), secret=True),))  # not again: later the cluster's own is ahead of it
    return root


def _secret(root: Signer, now: datetime) -> str:
    """The Secret that the operator takes its authority from, where it is there first."""
    import yaml

    from watchkeeper_operator.authority.custody import first
    from watchkeeper_operator.authority.secrets import held_texts, secret_body
    from watchkeeper_operator.names import CA_SECRET

    return yaml.safe_dump({"apiVersion": "v1", "kind": "Secret", **secret_body(CA_SECRET, held_texts(first(now, root)))}, sort_keys=False)


def _write(folder: Path, files: tuple[File, ...]) -> None:
    """Whole files, by rename: an API server may read them at any moment. Keys are never readable by others, not for a moment."""
    import os

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            beside = folder / f".{file.name}.new"
            beside.unlink(missing_ok=True)
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if file.secret else 0o644), "w", encoding="utf-8") as opened:
                opened.write(file.text)
            beside.rename(folder / file.name)
    except OSError as error:
        raise CommandError(f"can't write to {folder}: {error.strerror}", USAGE) from None
