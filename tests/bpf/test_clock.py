"""The machine's clock is set while the agent watches: half a second on, a second back, half a second on. It is put right whatever happens."""

import subprocess
import sys
import time

import pytest
from tests.bpf.agents import a_rule

from watchkeeper_sensor.spool import Spool

STEPS = (0.5, -1.0, 0.5)
CLOSE_SECONDS = 0.2  # less than any step
SET = "import sys, time; time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME) + float(sys.argv[1]))"


def distance():
    """Of the wall's clock from the one that nobody can set, seconds."""
    return time.clock_gettime(time.CLOCK_REALTIME) - time.clock_gettime(time.CLOCK_BOOTTIME)


@pytest.fixture
def step():
    """Sets the machine's clock by some seconds, by a process of its own; afterwards it is where it would have been."""
    before = distance()
    try:
        time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME))
    except PermissionError as error:
        pytest.skip(f"this machine's clock can't be set: {error}")
    try:
        yield lambda seconds: subprocess.run([sys.executable, "-c", SET, str(seconds)], check=True)
    finally:
        time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_BOOTTIME) + before)


def rules(program):
    return (
        a_rule("ran", f'process.exe == "{program}"'),
        a_rule("often", f'process.exe == "{program}"', more="  threshold: {count: 4, within: 20s, by: [process.exe]}\n"),
        a_rule("set", "has(clock.step)", on="clock.set", more='  message: "{clock.step}"\n'),
        f"""- name: then-set
  sequence:
    within: 20s
    steps:
    - {{name: ran, "on": [process.exec], when: 'process.exe == "{program}"', by: [node.name]}}
    - {{name: was_set, "on": [clock.set], when: 'clock.id == "CLOCK_REALTIME"', by: [node.name]}}
  severity: P2
""",
    )


def test_times_windows_and_the_spool_survive_a_clock_that_goes_forth_and_back(judging, program, step, tmp_path):
    state, acts, numbers = tmp_path / "state", [], []
    watching = judging(*rules(program), state=state)
    spool = Spool(tmp_path / "spool")

    def act():
        before = time.time()
        subprocess.run([program, "0"], check=True)
        acts.append((before + time.time()) / 2)
        ran = watching.found("ran", count=len(acts))
        numbers.append(spool.append("detection", ran[-1].id.encode()))

    for seconds in STEPS:
        act()
        step(seconds)
        watching.found("set", count=len(acts))
    act()
    told = [float(one.message.removesuffix("s")) for one in watching.found("set", count=3)]
    assert told == pytest.approx(list(STEPS), abs=CLOSE_SECONDS)
    assert [one.observed_at / 1e9 for one in watching.found("ran", count=4)] == pytest.approx(acts, abs=CLOSE_SECONDS)
    (often,) = watching.found("often")
    assert (often.count, len(often.event_ids), watching.agent.engine.late) == (4, 4, 0)
    assert often.observed_at / 1e9 == pytest.approx(acts[-1], abs=CLOSE_SECONDS)
    assert len(watching.found("then-set", count=3)) == 3
    assert [entry.number for entry in spool.read(10)] == numbers == [1, 2, 3, 4]
    spool.close()
    with_what_was_kept = Spool(tmp_path / "spool")
    assert [entry.payload.decode() for entry in with_what_was_kept.read(10)] == [one.id for one in watching.found("ran", count=4)]
    with_what_was_kept.close()


def test_two_steps_between_two_looks_of_the_agent_are_both_told(watch, step):
    watching = watch("clock.set")
    step(0.5)
    step(-0.5)
    first, second = watching.events("clock.set", count=2)
    assert float(first.clock.step.removesuffix("s")) == pytest.approx(0.5, abs=CLOSE_SECONDS)
    assert second.clock.step is not None


def test_a_step_that_the_agent_saw_before_the_record_of_it_is_told_all_the_same(watch, step):
    watching = watch("clock.set")
    step(0.5)
    watching.stream.around.clock.tick()
    (event,) = watching.events("clock.set")
    assert float(event.clock.step.removesuffix("s")) == pytest.approx(0.5, abs=CLOSE_SECONDS)


def test_windows_that_were_kept_count_on_after_a_restart_and_a_step(judging, program, step, tmp_path):
    state = tmp_path / "state"
    first = judging(*rules(program), state=state)
    for count in (1, 2):
        subprocess.run([program, "0"], check=True)
        first.found("ran", count=count)
    step(-0.5)
    first.found("set")
    first.take(first.agent.finish())
    first.close()
    second = judging(*rules(program), state=state)
    for count in (1, 2):
        subprocess.run([program, "0"], check=True)
        second.found("ran", count=count)
    assert [one.count for one in second.found("often")] == [4]
