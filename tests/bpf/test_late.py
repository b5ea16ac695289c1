"""Rules that read what is known only after the act: hashes, containers whose files appear late, what the cluster tells of pods."""

import hashlib
import json
import os
import subprocess
import time
from datetime import datetime
from pathlib import Path

import pytest
from tests.bpf.agents import a_rule
from tests.bpf.patience import SLOWER
from tests.bpf.test_containers import BUNDLE, ID, POD, cgroup, start_in

from watchkeeper_sensor.containers.runtimes import Runtimes
from watchkeeper_sensor.late.feed import NAME

POD_CGROUP = f"kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{POD.replace('-', '_')}.slice/cri-containerd-{ID}.scope"


def digest(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def test_a_rule_on_the_hash_of_a_program_holds_once_it_is_known_and_others_do_not_wait(judging, program):
    watching = judging(
        a_rule("hashed", f'process.exe == "{program}" && process.exe_hash == "{digest(program)}"'),
        a_rule("other-hash", f'process.exe == "{program}" && process.exe_hash == "{"0" * 64}"'),
        a_rule("plain", f'process.exe == "{program}"'),
    )
    with subprocess.Popen([program, "5"]) as process:
        (hashed,) = watching.found("hashed")
        (plain,) = watching.found("plain")
        process.kill()
    assert watching.at[plain.id] <= watching.at[hashed.id]
    assert hashed.unresolved == plain.unresolved == ()
    assert hashed.observed_at == plain.observed_at
    assert not [one for one in watching.seen if one.rule == "other-hash"]
    assert watching.agent.late.judged["known"] >= 1


def test_a_file_is_hashed_when_a_rule_about_it_needs_that(judging, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("content")
    os.stat(secret)
    watching = judging(a_rule("read", f'file.path == "{secret}" && file.hash == "{digest(secret)}"', on="file.open", more='  message: "{file.hash}"\n'))
    subprocess.run(["/bin/cat", secret], check=True, capture_output=True)
    (read,) = watching.found("read")
    assert (read.message, read.unresolved) == (digest(secret), ())


def test_a_file_that_is_gone_before_it_could_be_hashed_is_said_to_be_unresolved(judging, tmp_path):
    short = tmp_path / "short"
    watching = judging(a_rule("read", f'file.path == "{short}" && !has(file.hash)', on="file.open"))
    subprocess.run(["/bin/sh", "-c", f"echo content > {short}; cat {short}; rm {short}"], check=True, capture_output=True)
    assert watching.found("read")[-1].unresolved == ("file.hash",)


def test_a_burst_is_counted_by_hashes_that_come_late(judging, program):
    more = "  threshold: {count: 3, within: 1h, by: [process.exe_hash]}\n"
    watching = judging(a_rule("often", f'process.exe == "{program}"', more=more))
    for _ in range(3):
        subprocess.run([program, "0"], check=True)
    (often,) = watching.found("often")
    assert (often.count, often.unresolved, watching.agent.engine.late) == (3, (), 0)


@pytest.fixture
def runtime(tmp_path):
    """Folder of a containerd whose files are written later; `describe` writes them."""
    tasks = tmp_path / "run/containerd/io.containerd.runtime.v2.task/k8s.io"
    tasks.mkdir(parents=True)
    return tasks


def describe(tasks, bundle=BUNDLE):
    folder = tasks / ID
    folder.mkdir()
    (folder / "part").write_text(json.dumps(bundle))
    (folder / "part").rename(folder / "config.json")


NAMED = a_rule("named", 'has(container.id) && process.exe == "/usr/bin/sleep"', more='  message: "{container.name} of {pod.namespace}/{pod.name}"\n')
SHOP = a_rule("shop", 'process.exe == "/usr/bin/sleep" && pod.namespace == "shop"', more='  message: "{container.image}"\n')


def test_a_container_whose_files_appear_after_its_first_act_is_named_by_them(judging, runtime, tmp_path):
    watching = judging(NAMED, SHOP)
    watching.agent.around.containers.runtimes = Runtimes(tmp_path)
    with cgroup(POD_CGROUP) as folder, start_in([folder], "/bin/sleep", "30") as sleeping:
        end = time.monotonic() + 0.4
        while time.monotonic() < end:
            watching.round()
        assert (watching.seen, len(watching.agent.late)) == ([], 2)
        describe(runtime)
        (named,) = watching.found("named", patience=1.8)
        (shop,) = watching.found("shop", patience=1.8)
        sleeping.kill()
    assert (named.message, shop.message) == ("web of shop/web-0", "registry.example/web:1")
    assert named.unresolved == shop.unresolved == ()
    assert (named.act.container, named.act.pod) == ("web", "shop/web-0")


def test_a_container_that_nothing_describes_is_waited_for_two_seconds_once(judging, runtime, tmp_path):
    assert not (runtime / ID).exists()
    watching = judging(NAMED)
    watching.agent.around.containers.runtimes = Runtimes(tmp_path)
    with cgroup(POD_CGROUP) as folder:
        started = time.monotonic()
        with start_in([folder], "/bin/sleep", "30") as first:
            (named,) = watching.found("named")
            waited = time.monotonic() - started
            first.kill()
        started = time.monotonic()
        with start_in([folder], "/bin/sleep", "30") as second:
            again = watching.found("named", count=2)[1]
            waited_again = time.monotonic() - started
            second.kill()
    assert 1.9 < waited < 8.0 * SLOWER  # two seconds, and what a busy machine adds
    assert waited_again < 1.8
    assert named.message == "? of ?/?"
    assert named.unresolved == again.unresolved == ("container.name", "pod.name", "pod.namespace")


def test_where_no_runtime_leaves_files_nothing_is_waited_for(judging, tmp_path):
    watching = judging(NAMED)
    watching.agent.around.containers.runtimes = Runtimes(tmp_path)
    started = time.monotonic()
    with cgroup(POD_CGROUP) as folder, start_in([folder], "/bin/sleep", "30") as sleeping:
        watching.found("named")
        sleeping.kill()
    assert time.monotonic() - started < 1.8


LABELLED = a_rule("labelled", 'process.exe == "/usr/bin/sleep" && pod.labels["app"] == "web"', more='  message: "{identity.id} of {pod.owner_kind}"\n')
UNLABELLED = a_rule("unlabelled", 'has(container.id) && process.exe == "/usr/bin/sleep" && !has(pod.labels)')


def feed(state, pods):
    part = state / "part"
    part.write_text(json.dumps({"version": 1, "cluster": "test", "node": {"labels": {"pool": "a"}}, "pods": pods}))
    part.rename(state / NAME)


def test_what_the_cluster_knows_of_a_pod_is_waited_for_where_a_feed_tells_it(judging, runtime, tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    feed(state, {})
    watching = judging(LABELLED, UNLABELLED, state=state)
    watching.agent.around.containers.runtimes = Runtimes(tmp_path)
    describe(runtime)
    with cgroup(POD_CGROUP) as folder:
        with start_in([folder], "/bin/sleep", "30") as sleeping:
            end = time.monotonic() + 0.3
            while time.monotonic() < end:
                watching.round()
            assert watching.seen == []
            feed(state, {POD: {"labels": {"app": "web"}, "service_account": "web", "owner_kind": "Deployment"}})
            (labelled,) = watching.found("labelled", patience=1.8)
            sleeping.kill()
        with start_in([folder], "/bin/sleep", "30") as sleeping:
            assert watching.found("labelled", count=2, patience=1.8)[1].message == labelled.message
            sleeping.kill()
    assert labelled.message == "system:serviceaccount:shop:web of Deployment"
    assert not [one for one in watching.seen if one.rule == "unlabelled"]
    assert (watching.agent.around.node.cluster, watching.agent.around.node.labels) == ("test", {"pool": "a"})


def test_labels_are_absent_at_once_where_no_feed_is_there(judging, runtime, tmp_path):
    watching = judging(UNLABELLED)
    watching.agent.around.containers.runtimes = Runtimes(tmp_path)
    describe(runtime)
    started = time.monotonic()
    with cgroup(POD_CGROUP) as folder, start_in([folder], "/bin/sleep", "30") as sleeping:
        (unlabelled,) = watching.found("unlabelled")
        sleeping.kill()
    assert time.monotonic() - started < 1.8
    assert unlabelled.unresolved == ()


def test_what_waits_at_the_end_is_judged(judging, runtime, tmp_path):
    assert not (runtime / ID).exists()
    watching = judging(NAMED)
    watching.agent.around.containers.runtimes = Runtimes(tmp_path)
    with cgroup(POD_CGROUP) as folder, start_in([folder], "/bin/sleep", "30") as sleeping:
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            watching.round()
        assert watching.seen == []
        watching.take(watching.agent.finish())
        sleeping.kill()
    assert [one.rule for one in watching.seen] == ["named"]
    assert watching.agent.late.judged == {"ended": 1}


def test_the_package_of_a_program_is_known_and_that_of_one_from_nowhere_is_absent(judging, program):
    more = '  message: "{process.exe_package}"\n'
    watching = judging(
        a_rule("packaged", 'process.exe == "/usr/bin/sleep" && process.exe_package == "coreutils"'),
        a_rule("foreign", f'process.exe == "{program}" && !has(process.exe_package)', more=more),
    )
    end = time.monotonic() + 20 * SLOWER
    while not [one for one in watching.seen if one.rule == "packaged"] and time.monotonic() < end:  # the index is built when it is first asked
        subprocess.run(["/bin/sleep", "0"], check=True)
        watching.round()
    assert watching.found("packaged")[0].unresolved == ()
    while not [one for one in watching.seen if one.rule == "foreign" and not one.unresolved] and time.monotonic() < end:
        subprocess.run([program, "0"], check=True)
        watching.round()
    assert () in [one.unresolved for one in watching.found("foreign")]


def test_the_loader_of_a_program_is_read_from_its_file(judging, program):
    watching = judging(a_rule("loaded", f'process.exe == "{program}" && has(exec.loader)', more='  message: "{exec.loader}"\n'))
    subprocess.run([program, "0"], check=True)
    told = subprocess.run(["/usr/bin/readelf", "-l", program], capture_output=True, text=True, check=True).stdout
    assert f"[Requesting program interpreter: {watching.found('loaded')[0].message}]" in told


def test_a_process_tells_its_start_root_and_cgroup(judging, program):
    words = "{process.started_at} {process.root_path} {process.cgroup_path} {process.exe_changed_at}"
    watching = judging(a_rule("started", f'process.exe == "{program}"', more=f'  message: "{words}"\n'))
    before = time.time()
    with cgroup(POD_CGROUP) as folder, start_in([folder], program, "30") as sleeping:
        started, root, path, changed = watching.found("started")[0].message.split()
        sleeping.kill()
    assert abs(datetime.fromisoformat(started).timestamp() - before) < 2
    assert datetime.fromisoformat(changed).timestamp() == pytest.approx(program.stat().st_ctime, abs=0.001)
    assert (root, path.endswith(f"/{POD_CGROUP}")) == ("/", True)


def test_a_file_of_a_container_has_its_path_on_the_host(judging, runtime, tmp_path):
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "file").write_text("x")
    watching = judging(
        a_rule("mounted", f'file.path == "{volume}/file" && file.under_host_mount', on="file.open", more='  message: "{file.host_path}"\n'),
        a_rule("inside", 'file.path == "/etc/hostname" && has(container.id)', on="file.open", more='  message: "{file.host_path}"\n'),
    )
    watching.agent.around.containers.runtimes = Runtimes(tmp_path)
    mounts = [{"destination": str(volume), "type": "bind", "source": "/srv/data", "options": ["rbind"]}]
    with cgroup(POD_CGROUP) as folder:
        start_in([folder], "/bin/cat", volume / "file", "/etc/hostname", stdout=subprocess.DEVNULL).wait()
        describe(runtime, BUNDLE | {"mounts": mounts, "root": {"path": "rootfs"}})
        (mounted,) = watching.found("mounted")
        (inside,) = watching.found("inside")
    assert mounted.message == "/srv/data/file"
    assert inside.message == f"/run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/rootfs/etc/hostname"
