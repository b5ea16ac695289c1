"""Threads: which one acted, whose user id it was, and that a process ends once."""

import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest
from tests.bpf.agents import a_rule
from tests.bpf.calls import call

NOBODY = 65534

ENDING = r"""
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_barrier_t all;

static void *end(void *unused)
{
	pthread_barrier_wait(&all);
	syscall(SYS_exit, 0);
	return unused;
}

int main(void)
{
	for (int round = 0; round < 300; round++) {
		pid_t child = fork();
		if (!child) {
			pthread_t other;
			pthread_barrier_init(&all, 0, 2);
			pthread_create(&other, 0, end, 0);
			end(0);
		}
		waitpid(child, 0, 0);
	}
	return 0;
}
"""


def test_the_end_of_a_process_is_its_own_whichever_thread_is_last(watch, in_child):
    watching = watch("process.exit")

    def act():
        def outlives():
            call("setresuid", NOBODY, NOBODY, NOBODY)
            time.sleep(0.2)
            call("exit", 0)

        threading.Thread(target=outlives).start()
        time.sleep(0.1)
        call("exit", 0)

    pid, _ = in_child(act)
    (end,) = watching.events("process.exit", process=pid)
    assert end.process.uid == 0


COMPILER = shutil.which("cc") or shutil.which("clang") or shutil.which("clang-14")
HOSTNAME = "/etc/hostname"


@pytest.mark.skipif(COMPILER is None, reason="no C compiler")
def test_a_process_whose_threads_end_at_the_same_time_ends_once(watch, tmp_path):
    source, program = tmp_path / "ending.c", tmp_path / "ending"
    source.write_text(ENDING)
    subprocess.run([COMPILER, "-O2", "-pthread", "-o", program, source], check=True)
    watching = watch("process.exit")
    ran = subprocess.Popen([program])
    ran.wait()
    watching.events("process.exit", process=ran.pid)
    ended = [event.process.process_id for event in watching.seen if event.kind == "process.exit" and event.process.parent.process_id == ran.pid]
    assert len(ended) == len(set(ended)) == 300


def test_the_thread_that_acted_is_named(watch, tmp_path):
    place = tmp_path / "opened"
    place.touch()
    watching = watch("file.open")
    threads = []

    def act():
        threads.append(threading.get_native_id())
        place.read_bytes()

    acting = threading.Thread(target=act)
    acting.start()
    acting.join()
    place.read_bytes()
    by_thread, by_main = (event for event in watching.events("file.open", process=os.getpid(), count=2) if event.file.path == str(place))
    assert (by_thread.process.process_id, by_thread.process.thread_id) == (os.getpid(), threads[0])
    assert (by_main.process.process_id, by_main.process.thread_id) == (os.getpid(), os.getpid())


def test_ids_that_nobody_told_of_are_found_by_the_next_act(watch, in_child, tmp_path):
    place = tmp_path / "opened"
    place.touch()
    tmp_path.chmod(0o755)
    watching = watch("file.open")

    def act():
        place.read_bytes()
        os.setresuid(NOBODY, NOBODY, NOBODY)
        Path(HOSTNAME).read_bytes()

    pid, _ = in_child(act)
    as_root, as_nobody = watching.events("file.open", process=pid, count=2)
    assert (as_root.process.uid, as_root.process.euid) == (0, 0)
    assert as_nobody.process.uid == NOBODY
    assert as_nobody.process.euid in (NOBODY, None)  # None: it was gone before anybody looked
    assert as_nobody.process.capabilities.effective in ([], None)


def test_what_an_exec_gains_is_told_by_what_the_process_held_until_then(judging, in_child):
    """Nobody asks for changes of credentials, but without them it would look as if the process had been root all along."""
    agent = judging(a_rule("gained", "has(exec.gained_capabilities) && 'CAP_SYS_ADMIN' in exec.gained_capabilities"))
    su = shutil.which("su")

    def act():
        os.setresuid(NOBODY, NOBODY, NOBODY)
        os.execv(su, [su, "--version"])

    pid, _ = in_child(act)
    assert agent.found("gained")[0].act.process_id == pid


@pytest.mark.parametrize("told", [("file.open",), ("file.open", "credentials.change")])
def test_a_thread_with_ids_of_its_own_changes_nothing_for_the_others(watch, told):
    watching = watch(*told)

    def act():
        call("setresuid", NOBODY, -1, -1)  # by the system call: this thread alone
        Path(HOSTNAME).read_bytes()

    acting = threading.Thread(target=act)
    acting.start()
    acting.join()
    Path(HOSTNAME).read_bytes()
    of_thread, of_main = watching.events("file.open", process=os.getpid(), count=2, where=lambda event: event.file.path == HOSTNAME)
    assert (of_thread.process.uid, of_main.process.uid) == (NOBODY, 0)
