"""What is remembered of events that are alike changes no judgement."""

import subprocess

from watchkeeper_cli.policy_set import library_program
from watchkeeper_detection.matcher import Matcher
from watchkeeper_sensor.agent import kernel_part
from watchkeeper_sensor.decoding.kernel_event import KernelEvent

ACTS = """
for round in 1 2 3; do
    for name in a b; do
        cat /etc/passwd /etc/shadow /etc/hostname; grep -r x /etc/cron.d; id; true $name; sh -c "true; true"
        cp /bin/true ./$name; ./$name; chmod u+s ./$name; mv ./$name ./$name.moved; ln -s /etc/shadow ./link; rm -f ./link ./$name.moved
        touch -d 2001-01-01 old; rm old; base64 /dev/null; find / -maxdepth 1 -perm -4000
    done
    python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); c = socket.create_connection(s.getsockname()); s.accept()'
    HISTFILE=/dev/null LD_PRELOAD=/nowhere.so true
done
"""
KINDS = (
    *("process.exec", "file.open", "file.create", "file.write", "file.rename", "file.unlink", "file.symlink", "file.chmod", "file.utime"),
    *("network.connect", "network.accept", "network.listen", "network.close", "descriptor.duplicate", "memory.map"),
)


def outcome(found):
    """What a judgement gave: detections, matches, and which rules wait for late fields."""
    detections, matches, later = found
    return [detection.id for detection in detections], [match.rule for match in matches], [(unit.rule.name, unit.step) for unit in later]


def test_events_are_judged_the_same_with_and_without_what_is_remembered(watch, tmp_path, monkeypatch):
    watching = watch(*KINDS)
    subprocess.run(["sh", "-c", ACTS], cwd=tmp_path, capture_output=True, check=False)
    watching.drain()
    events = [event for event in watching.seen if event.kind in KINDS]
    program = kernel_part(library_program())
    remembering = Matcher(program, late=frozenset({"process.exe_hash"}))
    first, again = ([outcome(remembering.match_now(event)) for event in events] for _ in range(2))
    monkeypatch.setattr(KernelEvent, "likeness", classmethod(lambda _cls, _paths: None))
    plain = Matcher(program, late=frozenset({"process.exe_hash"}))
    expected = [outcome(plain.match_now(event)) for event in events]
    assert first == expected
    assert again == expected
    assert len(events) > 1000
    assert any(detections for detections, _, _ in expected)
