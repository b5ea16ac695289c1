"""Run by test_shared_kernel.py as a process of a pid namespace of its own: an agent as a kind node's sensor is. Writes a line for each detection.

Argument: the program of the test. Ends when a file `end` lies beside it.
"""

import json
import os
import sys
from pathlib import Path

from tests.bpf.agents import a_rule
from tests.bpf.conftest import OBJECT
from tests.support.events import a_policy, a_program

from watchkeeper_sensor.agent import Agent
from watchkeeper_sensor.surroundings import shared_kernel

program = sys.argv[1]
name = Path(program).parent
RULES = (
    a_rule("ran", f'process.exe == "{program}"', more='  message: "{process.command_line}"\n'),
    a_rule("opened", f'file.path.startsWith("{name}/secret")', on="file.open", more='  message: "{file.name}"\n'),
    a_rule("connected", "connection.remote_port == 4711", on="network.connect", more='  message: "{process.command_line}"\n'),
    a_rule("signalled", "signal.number == 10", on="process.signal", more='  message: "{signal.number} {target_process.process_id}"\n'),
    a_rule("made", 'file.name == "new-folder"', on="file.mkdir"),
    a_rule("traced", "true", on="process.ptrace"),
    a_rule("found", "bpf.of_sensor == false", on="bpf.discovered"),
)
agent = Agent(OBJECT, a_program(*(a_policy(rule, name=f"policy-{number}") for number, rule in enumerate(RULES))), pid_namespace=shared_kernel())
print(json.dumps({"rule": "ready", "process_id": os.getpid(), "blind": [str(spot) for spot in agent.kernel.blind_spots]}), flush=True)
is_over = False
while not is_over:
    is_over = (name / "end").exists()
    found = [detection for event in agent.events(0.05) for detection in agent.judge(event)]
    for one in found + agent.advance():
        act = one.act
        fields = {
            "rule": one.rule,
            "message": one.message,
            "process_id": act.process_id if act else None,
            "parents": list(act.ancestor_process_ids) if act else [],
        }
        print(json.dumps(fields), flush=True)
print(json.dumps({"rule": "over", "lost": dict(agent.health.lost), "unknown": agent.stream.tree.unknown}), flush=True)
agent.close()
