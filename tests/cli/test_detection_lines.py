import re

from tests.support.detections import a_detection

from watchkeeper_cli.output.detection_lines import full_lines, more_lines
from watchkeeper_cli.output.looks import Look
from watchkeeper_detection.detection import Act

PLAIN = Look(colours=False, moves=True)
ACT = Act(
    process="/dev/shm/x",
    process_id=77,
    command_line="x -v",
    user="root",
    ancestors=("/usr/bin/bash", None, "/usr/sbin/sshd"),
    ancestor_process_ids=(76, 70, 1),
    container_id="f" * 64,
    container="web",
    image="nginx:1.25",
    pod="shop/web",
)
RUNBOOK = "What it means: tools.\nWhat to check: the file\nand who started it.\nHow to contain: end it.\nHow to tune: by path."
HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202egpj\x9b31m\nP1 false line\r\u200b\ud800"


def lines_of(detection, **options):
    return full_lines(detection, PLAIN, **({"width": 2000, "indented": True} | options))


def test_a_detection_shows_what_happened_the_tree_the_container_and_what_to_do():
    detection = a_detection(title="Program run", message="/dev/shm/x ran", act=ACT, runbook=RUNBOOK, attack=("T1059.004", "TA0002"))
    assert lines_of(detection) == [
        "2026-03-12 02:30:00 P3 Program run  [T1059.004]",
        "    /dev/shm/x ran",
        "    /usr/sbin/sshd [1]",
        "      └ ? [70]",
        "        └ /usr/bin/bash [76]",
        "          └ /dev/shm/x [77] as root: x -v",
        "    container web (nginx:1.25) of pod shop/web",
        "    → check: the file and who started it.",
    ]
    assert more_lines(detection, PLAIN, columns=200) == [
        "    → watchkeeper detections show 00000000  → watchkeeper explain k8s-pod-exec/exec-in-pod",
    ]
    assert len(more_lines(detection, PLAIN, columns=60)) == 2


def test_the_tree_is_a_chain_where_lines_are_read_by_other_programs():
    lines = lines_of(a_detection(act=ACT), indented=False)
    assert lines[0].endswith("[k8s-pod-exec/exec-in-pod T1609]")
    assert lines[2:4] == ["    /usr/sbin/sshd > ? > /usr/bin/bash > /dev/shm/x[77]  as root", "    $ x -v"]


def test_the_same_process_is_not_told_twice_in_a_row():
    assert lines_of(a_detection(act=ACT), with_act=False)[2:] == ["    by the process above"]


def test_a_container_that_no_file_describes_is_called_blind():
    act = Act(process="/x", process_id=1, container_id="f" * 64)
    lines = lines_of(a_detection(act=act, unresolved=("process.exe_hash",)))
    assert "    container ffffffffffff" in lines
    assert lines[-1] == ("    BLIND: name, image and pod of the container are not known: no runtime's file describes it; not known in time: process.exe_hash")


def test_nothing_that_an_attacker_chose_reaches_a_terminal_as_it_is():
    act = Act(
        process=HOSTILE,
        process_id=1,
        command_line=HOSTILE * 1000,
        user=HOSTILE,
        ancestors=(HOSTILE,) * 9,
        ancestor_process_ids=(2,) * 9,
        container_id=HOSTILE,
        container=HOSTILE,
        image=HOSTILE,
        pod=HOSTILE,
    )
    detection = a_detection(title=HOSTILE, message=HOSTILE, act=act, runbook=HOSTILE, unresolved=(HOSTILE,))
    for indented in (True, False):
        for line in lines_of(detection, indented=indented, width=300):
            assert not re.search("[\x00-\x1f\x7f-\x9f\u202e\u200b\ud800-\udfff]", line)
            assert len(line) < 1100
