"""What is told of containers of a real Docker engine: who they are, how they begin and end, and who came in later. Ordinary work with them pages nobody."""

import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.bench.host import sensor
from tests.support.docker_engine import IMAGE, DockerEngine, NoEngineError, unpacked

SETTLE_SECONDS = 1.0


@pytest.fixture(scope="module")
def engine():
    try:
        with DockerEngine() as engine:
            yield engine
    except NoEngineError as reason:
        pytest.skip(str(reason))


def test_a_container_is_told_with_its_name_and_image_from_its_first_program_to_its_end(engine, watch):
    watching = watch("process.exec", "container.start", "container.stop", "cgroup.attach")

    def is_its(event):
        return event.container.name == "first"

    words = ("run", "--rm", "--name", "first", "--read-only", "--cap-drop", "ALL", "--volume", "/etc:/host:ro", IMAGE, "echo", "hello")
    with ThreadPoolExecutor(1) as other:  # the agent reads while a container lives
        run = other.submit(engine.docker, *words)
        (executed,) = watching.events("process.exec", where=is_its)
        run.result()
    (started,) = watching.events("container.start", where=is_its)
    (stopped,) = watching.events("container.stop", where=is_its)
    assert executed.process.args == ["echo", "hello"]
    assert (executed.process.is_container_entry, executed.process.entered_container, executed.process.container_process_id) == (True, False, 1)
    container = started.container
    assert (container.image, container.runtime, container.resolved) == (IMAGE, "docker", True)
    assert container.image_digest.startswith("sha256:")
    assert (container.privileged, container.read_only, container.host_network, container.capabilities) == (False, True, False, [])
    assert container.mount_targets[0] == "/host"
    assert "/etc" in container.mount_sources
    assert "/etc" not in container.writable_mount_sources
    assert container.id == executed.container.id == stopped.container.id


def test_who_enters_a_running_container_is_told_apart_from_its_own_processes(engine, watch):
    engine.docker("run", "--detach", "--name", "entered", IMAGE, "sleep", "60")
    watching = watch("process.exec")
    watching.stream.tree.seed()  # as at a start
    engine.docker("exec", "entered", "sh", "-c", "/bin/id; true")
    shell, its = watching.events("process.exec", where=lambda event: event.container.name == "entered", count=2)
    assert (shell.process.args, its.process.args) == (["sh", "-c", "/bin/id; true"], ["/bin/id"])
    assert (shell.process.is_container_entry, shell.process.entered_container) == (False, True)
    assert its.process.parent.id == shell.process.id
    assert "runc" in shell.process.ancestors.names
    engine.docker("rm", "--force", "entered")


def test_a_container_older_than_the_sensor_is_known(engine, watch):
    engine.docker("run", "--detach", "--name", "older", IMAGE, "sh", "-c", "while :; do id >/dev/null; sleep 0.1; done")
    watching = watch("process.exec")
    watching.stream.tree.seed()
    event = watching.events("process.exec", where=lambda event: event.container.name == "older")[0]
    assert (event.container.image, event.process.container_process_id > 1) == (IMAGE, True)
    engine.docker("rm", "--force", "older")


def test_ordinary_work_with_containers_raises_nothing_that_somebody_would_be_paged_for(engine, tmp_path):
    (tmp_path / "Dockerfile").write_text(f'FROM {IMAGE}\nRUN mkdir /srv && echo x > /srv/x\nCOPY file /bin/new\nUSER 1000\nCMD ["sleep", "0.1"]\n')
    (tmp_path / "file").write_bytes((unpacked() / "usr" / "bin" / "busybox").read_bytes())
    output = tmp_path / "detections"
    with output.open("wb") as stdout, sensor("--severity", "P2", stdout=stdout) as running:
        engine.docker("run", "--detach", "--name", "web", "--publish", "8080:80", IMAGE, "httpd", "-f")
        engine.docker("exec", "web", "ls", "/")
        engine.docker("exec", "web", "wget", "-q", "-O", "-", "http://127.0.0.1/", check=False)
        engine.docker("cp", "web:/bin/busybox", str(tmp_path / "copied"))
        engine.docker("logs", "web")
        engine.docker("build", "--quiet", "--tag", "built", str(tmp_path))
        engine.docker("run", "--rm", "--memory", "64m", "built")
        engine.docker("restart", "--time", "1", "web")
        engine.docker("stop", "--time", "1", "web")
        engine.docker("rm", "web")
        engine.docker("system", "prune", "--force")
        time.sleep(SETTLE_SECONDS)
        running.send_signal(signal.SIGTERM)
        assert running.wait(20) == 0, running.stderr.read()
    found = [json.loads(line) for line in output.read_bytes().splitlines()]
    its = [one for one in found if one.get("act") and (one["act"]["container"] or {"dockerd", "containerd", "runc"} & {*one["act"]["process"].split("/")})]
    assert [(one["policy"], one["rule"], one["message"]) for one in its] == []
