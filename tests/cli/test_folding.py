from tests.support.detections import a_detection

from watchkeeper_cli.output.folding import KEPT, WINDOW_SECONDS, Folding, Telling
from watchkeeper_detection.detection import Act


def a_read(path="/etc/shadow", *, program="/usr/bin/cat", container=None, line=1):
    act = Act(process=program, process_id=line, container_id=container)
    return a_detection(line=line, policy="files", rule="read", message=f"{program} read {path}", act=act)


def test_the_first_is_told_in_full_and_repeats_are_counted():
    folding = Folding()
    assert [folding.take(a_read(line=line), 0.1 * line) for line in range(5)] == [Telling.FULL, *[Telling.NONE] * 4]
    (repeats,) = folding.due(WINDOW_SECONDS)
    assert repeats.count == 4
    assert repeats.latest.places[0].number == 4


def test_what_the_same_program_does_to_other_things_is_a_line_each_and_then_counted():
    folding = Folding()
    tellings = [folding.take(a_read(f"/etc/{name}"), 0) for name in "abcdef"]
    assert tellings == [Telling.FULL, Telling.LINE, Telling.LINE, Telling.NONE, Telling.NONE, Telling.NONE]
    assert [one.count for one in folding.due(WINDOW_SECONDS)] == [3]


def test_other_programs_and_containers_are_no_repeats():
    folding = Folding()
    found = (a_read(), a_read(program="/usr/bin/less"), a_read(container="a" * 64), a_read(container="b" * 64))
    assert [folding.take(one, 0) for one in found] == [Telling.FULL] * 4


def test_repeats_go_on_being_counted_until_there_are_none_for_a_while():
    folding = Folding()
    folding.take(a_read(), 0)
    folding.take(a_read(), 1)
    assert [one.count for one in folding.due(WINDOW_SECONDS)] == [1]
    assert folding.take(a_read(), WINDOW_SECONDS + 1) is Telling.NONE
    assert [one.count for one in folding.due(2 * WINDOW_SECONDS)] == [1]
    assert folding.due(3 * WINDOW_SECONDS) == []
    assert folding.take(a_read(), 3 * WINDOW_SECONDS) is Telling.FULL


def test_nothing_that_was_folded_goes_untold_at_the_end_or_when_there_are_too_many_sorts():
    folding = Folding()
    for _ in range(3):
        folding.take(a_read("first"), 0)
    for number in range(KEPT):
        folding.take(a_read(program=f"/bin/{number}"), 0)
    assert [one.count for one in folding.due(1)] == [2]
    folding.take(a_read(program="/bin/7"), 1)
    folding.take(a_read(program="/bin/7"), 1)
    assert [one.count for one in folding.rest()] == [2]
