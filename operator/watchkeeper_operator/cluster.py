"""The one door to the API server: raw bytes in and out, decoded into the parts that the caller declares, errors of one vocabulary.

Nothing is retried here: callers know whether their question is still the right one.
"""

from __future__ import annotations

import os
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from urllib.parse import urlencode

import aiohttp
import msgspec
from kubernetes.aio import config
from kubernetes.aio.client import Configuration
from kubernetes.aio.client.rest import RESTClientObject

from watchkeeper_operator.cluster_answers import ANSWER_BYTES, LINES, PAGES, TAGS, TOKENS, Change, ChangeKind, Tag, Tagged, changed, decoded, lines, read_all
from watchkeeper_operator.cluster_errors import Unavailable, error_of, quoted
from watchkeeper_operator.kinds import SERVICE_ACCOUNTS
from watchkeeper_operator.names import EPOCH_ANNOTATION, FIELD_MANAGER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from watchkeeper_operator.kinds import Resource

PAGE = 500  # objects of one answer to a list
REQUEST_SECONDS = 30.0  # for an answer to begin and end
CONNECT_SECONDS = 10.0
WATCH_SECONDS = 40  # a watch ends and is taken up again, so that silence longer than this is known to be a fault
SILENCE_SECONDS = 50.0  # on a watch: its connection is given up
CONNECTIONS = 64
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON = "application/json"

T = TypeVar("T")
Objects: TypeAlias = list[T]  # within Cluster, `list` is the verb

__all__ = ["Change", "ChangeKind", "Cluster", "Tag"]


@dataclass(frozen=True, slots=True)
class Cluster:
    """Safe to share between tasks.

    epoch    of the leader, written to each object that goes out, so that a later leader's API server refuses it
    manager  whose fields those are that are written
    """

    _session: aiohttp.ClientSession
    _configuration: Configuration
    epoch: int | None = None
    manager: str = FIELD_MANAGER

    @staticmethod
    @asynccontextmanager
    async def connect(kubeconfig: Path | None = None, *, context: str | None = None) -> AsyncIterator[Cluster]:
        """As the pod's account where we run in one and no file is given; else by the file, `KUBECONFIG` or `~/.kube/config`, in its current context or another.

        Raises config.ConfigException.
        """
        configuration = Configuration()
        if kubeconfig is None and "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            file = str(kubeconfig) if kubeconfig else None
            await config.load_kube_config(config_file=file, context=context, client_configuration=configuration, persist_config=False)  # type: ignore[no-untyped-call]
        tls = RESTClientObject(configuration).ssl_context
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS, ssl=tls)) as session:
            yield Cluster(session, configuration)

    @property
    def configuration(self) -> Configuration:
        """Address and credentials, for a client that is not ours (Kopf's)."""
        return self._configuration

    def in_epoch(self, epoch: int) -> Cluster:
        """The same door, for what a leader writes."""
        return replace(self, epoch=epoch)

    def by(self, manager: str) -> Cluster:
        """The same door, for what a person writes."""
        return replace(self, manager=manager)

    async def list(
        self, resource: Resource, shape: type[T], *, namespace: str | None = None, labels: str | None = None, fields: str | None = None
    ) -> tuple[Objects[T], str]:
        """All objects, and the resourceVersion that they are of. Raises Gone when the pages went stale between two of them."""
        found, version = await self.list_tagged(resource, shape, namespace=namespace, labels=labels, fields=fields)
        return [one for _, one in found], version

    async def list_tagged(
        self, resource: Resource, shape: type[T], *, namespace: str | None = None, labels: str | None = None, fields: str | None = None
    ) -> tuple[Objects[tuple[Tag, T]], str]:
        """As `list`, with uid and resourceVersion of each object."""
        decoder = msgspec.json.Decoder(shape)
        found: Objects[tuple[Tag, T]] = []
        query = {"limit": str(PAGE)} | _selectors(labels, fields)
        while True:
            body = await self._ask("GET", resource.path(namespace=namespace), query)
            page = decoded(PAGES, body, resource)
            found += [(decoded(TAGS, raw, resource).metadata, decoded(decoder, raw, resource)) for raw in page.items or ()]
            if not page.metadata.continue_:
                return found, page.metadata.resource_version
            query["continue"] = page.metadata.continue_

    async def watch(
        self, resource: Resource, shape: type[T], *, since: str, namespace: str | None = None, labels: str | None = None, fields: str | None = None
    ) -> AsyncIterator[Change[T]]:
        """Changes since a resourceVersion, until the API server ends it (WATCH_SECONDS) or nothing is heard for SILENCE_SECONDS. Raises Gone."""
        decoder = msgspec.json.Decoder(shape)
        query = {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": since, "timeoutSeconds": str(WATCH_SECONDS)} | _selectors(labels, fields)
        async with self._open("GET", resource.path(namespace=namespace), query, silence=SILENCE_SECONDS) as answer:
            async for line in lines(answer.content, resource):
                yield changed(decoded(LINES, line, resource), decoder, resource)

    async def get(self, resource: Resource, shape: type[T], name: str, *, namespace: str | None = None, subresource: str | None = None) -> T:
        return decoded(msgspec.json.Decoder(shape), await self._ask("GET", resource.path(namespace=namespace, name=name, subresource=subresource)), resource)

    async def create(
        self, resource: Resource, body: Mapping[str, Any], *, name: str | None = None, subresource: str | None = None, dry_run: bool = False
    ) -> dict[str, Any]:
        """`name` and `subresource` for what is created below an object: a token of a ServiceAccount."""
        whole = self._whole(resource, body)
        path = resource.path(namespace=whole["metadata"].get("namespace"), name=name, subresource=subresource)
        return decoded(_object, await self._ask("POST", path, self._options(dry_run=dry_run), whole), resource)

    async def replace(self, resource: Resource, body: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """Update of an object that was read: Conflict when its resourceVersion has moved on."""
        whole = self._whole(resource, body)
        path = resource.path(namespace=whole["metadata"].get("namespace"), name=whole["metadata"]["name"])
        return decoded(_object, await self._ask("PUT", path, self._options(dry_run=dry_run), whole), resource)

    async def apply(self, resource: Resource, body: Mapping[str, Any], *, subresource: str | None = None, dry_run: bool = False) -> dict[str, Any]:
        """Server-side apply: the fields of `body` become as it says, those that we said before and no longer do go away."""
        whole = self._whole(resource, body, subresource)
        path = resource.path(namespace=whole["metadata"].get("namespace"), name=whole["metadata"]["name"], subresource=subresource)
        query = self._options(dry_run=dry_run) | {"force": "true"}
        return decoded(_object, await self._ask("PATCH", path, query, whole, content_type=APPLY), resource)

    async def merge(self, resource: Resource, body: Mapping[str, Any], *, subresource: str | None = None) -> dict[str, Any]:
        """JSON merge patch: what `body` says changes, all else stays. For single fields of objects that are not wholly ours."""
        whole = self._whole(resource, body, subresource)
        path = resource.path(namespace=whole["metadata"].get("namespace"), name=whole["metadata"]["name"], subresource=subresource)
        return decoded(_object, await self._ask("PATCH", path, self._options(dry_run=False), whole, content_type=MERGE), resource)

    async def remove(self, resource: Resource, name: str, *, namespace: str | None = None) -> None:
        """Delete as a leader: the object is stamped with the epoch, then deleted as just that revision. Raises Conflict when another was faster."""
        where = {"namespace": namespace} if namespace else {}
        stamped = msgspec.convert(await self.merge(resource, {"metadata": {"name": name, **where}}), Tagged).metadata
        await self.delete(resource, name, namespace=namespace, uid=stamped.uid, resource_version=stamped.resource_version)

    async def delete(
        self, resource: Resource, name: str, *, namespace: str | None = None, uid: str | None = None, resource_version: str | None = None, dry_run: bool = False
    ) -> None:
        """With `uid` and `resource_version`: Conflict unless it is still that object, unchanged."""
        preconditions = {word: value for word, value in (("uid", uid), ("resourceVersion", resource_version)) if value}
        body: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if preconditions:
            body["preconditions"] = preconditions
        query = {"dryRun": "All"} if dry_run else {}
        await self._ask("DELETE", resource.path(namespace=namespace, name=name), query, body)

    async def token_of(self, namespace: str, account: str, *, seconds: int) -> str:
        """A token of a ServiceAccount for the API server itself; it asks for 600 seconds at least."""
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": seconds}}
        path = SERVICE_ACCOUNTS.path(namespace=namespace, name=account, subresource="token")
        return decoded(TOKENS, await self._ask("POST", path, None, body), SERVICE_ACCOUNTS).status.token

    @asynccontextmanager
    async def session_of_nobody(self) -> AsyncIterator[aiohttp.ClientSession]:
        """Requests to the API server by path, under no credential of ours: for who brings another."""
        tls = ssl.create_default_context(cafile=self._configuration.ssl_ca_cert)
        async with aiohttp.ClientSession(self._configuration.host, connector=aiohttp.TCPConnector(ssl=tls)) as session:
            yield session

    async def read(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        """The answer to a GET of a path that is no kind's, such as `/version` or `/metrics`."""
        return await self._ask("GET", path, query)

    def _whole(self, resource: Resource, body: Mapping[str, Any], subresource: str | None = None) -> dict[str, Any]:
        """With kind and epoch; in a status this stands in the status, as the API server drops metadata that comes with one."""
        whole = {**body, "apiVersion": resource.api_version, "kind": resource.kind, "metadata": dict(body.get("metadata", {}))}
        if self.epoch is not None and subresource == "status":
            whole["status"] = {**whole["status"], "epoch": self.epoch}
        elif self.epoch is not None:
            whole["metadata"]["annotations"] = {**whole["metadata"].get("annotations", {}), EPOCH_ANNOTATION: str(self.epoch)}
        return whole

    def _options(self, *, dry_run: bool) -> dict[str, str]:
        return {"fieldManager": self.manager, "fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})

    async def _ask(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None, *, content_type: str = JSON
    ) -> bytes:
        async with self._open(method, path, query, body, content_type=content_type) as answer:
            return await read_all(answer.content, ANSWER_BYTES, path)

    @asynccontextmanager
    async def _open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        *,
        content_type: str = JSON,
        silence: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer that is no error. Every failure on the way, also while the caller reads, becomes a ClusterError."""
        headers = {"accept": JSON, "content-type": content_type, "user-agent": FIELD_MANAGER}
        if (token := await self._configuration.get_api_key_with_prefix("BearerToken", alias="authorization")) is not None:
            headers["authorization"] = token
        timeout = aiohttp.ClientTimeout(total=None if silence else REQUEST_SECONDS, sock_connect=CONNECT_SECONDS, sock_read=silence)
        url = self._configuration.host + path + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else msgspec.json.encode(body)
        ways: dict[str, Any] = {"proxy": self._configuration.proxy, "server_hostname": self._configuration.tls_server_name}
        try:
            async with self._session.request(method, url, headers=headers, data=data, timeout=timeout, allow_redirects=False, **ways) as answer:
                if answer.status >= 300:
                    said = await read_all(answer.content, ANSWER_BYTES, path)
                    raise error_of(f"{method} {path}", answer.status, said, answer.headers.get("retry-after", ""))
                yield answer
        except TimeoutError:
            raise Unavailable(f"{method} {path}: no answer in time", heard=False) from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"{method} {path}: {quoted(str(error)) or type(error).__name__}") from None


_object = msgspec.json.Decoder(dict[str, Any])


def _selectors(labels: str | None, fields: str | None) -> dict[str, str]:
    return {word: text for word, text in (("labelSelector", labels), ("fieldSelector", fields)) if text}
