"""The sensor's half of what node and collector say, against a real HTTPS server."""

import pytest
from tests.support.collector_server import CollectorServer

from watchkeeper_sensor.cluster.channel import Channel
from watchkeeper_sensor.cluster.credentials import Credentials
from watchkeeper_sensor.cluster.settings import Settings


@pytest.fixture
def collector(tmp_path):
    folder = tmp_path / "collector"
    folder.mkdir()
    with CollectorServer(folder) as server:
        yield server


@pytest.fixture
def settings(collector, tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    return Settings(collector=collector.url, ca=collector.ca, token=collector.token_file, node_name="node-a", state=state)


@pytest.fixture
def credentials(settings):
    made = Credentials(settings)
    yield made
    made.close()


@pytest.fixture
def channel(settings, credentials):
    made = Channel(settings.collector, settings.ca, credentials.identity)
    yield made
    made.close()
