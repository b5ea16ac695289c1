"""Programs are attached as kinds are wanted, and nothing is missed while that changes."""

import dataclasses
import subprocess

from tests.bpf.conftest import OBJECT
from tests.support.events import a_policy, a_program

from watchkeeper_sensor.agent import Agent
from watchkeeper_sensor.decoding import PROGRAMS
from watchkeeper_sensor.kernel.programs import DISPATCH, BpfProgram, KernelSensor
from watchkeeper_sensor.kernel.tracepoints import has_tracepoint


def failing(*programs):
    for program in programs:
        subprocess.run(["/bin/sh", "-c", program], check=False, stderr=subprocess.DEVNULL)


def test_a_kind_that_nobody_wants_costs_no_system_call_anything(watch):
    watching = watch("process.exec")
    assert not watching.sensor.is_attached(DISPATCH)
    failing("/nonexistent/one")
    watching.nothing("process.exec_failed")


def test_a_kind_is_attached_when_it_is_wanted_and_detached_when_it_is_not():
    sensor = KernelSensor(OBJECT, {"process.exec"}, PROGRAMS)
    try:
        sensor.hook({"process.exec", "process.exec_failed"})
        assert sensor.is_attached(DISPATCH)
        failing("/nonexistent/one")
        assert sensor.sent().get("process.exec_failed") == 1
        sensor.hook({"process.exec"})
        assert not sensor.is_attached(DISPATCH)
        failing("/nonexistent/one")
        assert sensor.sent().get("process.exec_failed") == 1
    finally:
        sensor.close()


def test_what_a_handler_needs_is_attached_with_it_and_goes_with_it():
    programs = [dataclasses.replace(one, kinds=("network.connect",)) if one.name == "network_open" else one for one in PROGRAMS]
    sensor = KernelSensor(OBJECT, {"network.accept"}, programs)
    try:
        assert sensor.is_attached("network_open")
        sensor.hook({"process.exec"})
        assert not sensor.is_attached("network_open")
    finally:
        sensor.close()


def test_a_program_that_the_kernel_refuses_is_named_and_takes_no_other_with_it():
    absent = f"io_uring_named{'_before' if has_tracepoint('io_uring_submit_req') else ''}"
    programs = [
        *(one for one in PROGRAMS if "process.exec" in one.kinds or "process.exec_failed" in one.kinds),
        BpfProgram(absent, "tracepoint", ("file.rename",)),
    ]
    for place in range(len(programs)):
        ordered = [*programs[:place], programs[-1], *programs[place:-1]]
        sensor = KernelSensor(OBJECT, {"process.exec_failed", "file.rename"}, ordered)
        try:
            failing("/nonexistent/one")
            assert sensor.sent().get("process.exec_failed") == 1
            assert [(one.program, one.kinds) for one in sensor.blind_spots] == [(absent, ("file.rename",))]
        finally:
            sensor.close()


def test_a_handler_is_blind_without_what_it_needs():
    failed = [dataclasses.replace(one, needs=("io_uring_named_before", "io_uring_named")) for one in PROGRAMS if "process.exec_failed" in one.kinds]
    assert failed
    sensor = KernelSensor(OBJECT, {"process.exec_failed"}, [*(one for one in PROGRAMS if one.name == "process_exec"), *failed])
    try:
        assert {kind for one in sensor.blind_spots for kind in one.kinds} == {"process.exec_failed"}
    finally:
        sensor.close()


def rule(kind, when):
    return a_program(a_policy(f"\n- name: r\n  \"on\": [{kind}]\n  when: '{when}'\n  severity: P3\n"))


def test_other_policies_are_in_force_at_once_and_need_no_restart():
    agent = Agent(OBJECT, rule("process.exec", 'process.exe == "/nowhere"'))
    try:
        assert "process.exec_failed" not in agent.kernel.kinds
        agent.reload(rule("process.exec_failed", 'exec.path == "/nonexistent/two"'))
        failing("/nonexistent/two")
        found = [detection for _ in range(20) for event in agent.events(0.1) for detection in agent.judge(event)]
        assert [detection.kind for detection in found] == ["process.exec_failed"]
    finally:
        agent.close()
