"""Tests on a real API server, or on a cluster. They need Go once, to build Kubernetes; where that can't be had they say so."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from tests.support.api_server import ApiServer
from tests.support.cluster.kubebox import NoKubernetesError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def api_server() -> Iterator[ApiServer]:
    """A real API server without nodes, controllers or audit, one for all tests: use names and namespaces of your own.

    A test that needs other flags, an audit webhook or controllers starts an `ApiServer` itself: that takes seconds.
    """
    with contextlib.ExitStack() as running:
        try:
            server = running.enter_context(ApiServer())
        except NoKubernetesError as reason:
            pytest.skip(str(reason))
        yield server
