from tests.support.detections import a_detection

from watchkeeper_cli.output.table import GROUPS, Table


def printed(capsys, *detections):
    table = Table()
    for detection in detections:
        table.add(detection)
    table.finish()
    return capsys.readouterr().out.splitlines()


def test_equal_detections_are_one_row_with_a_count_first_and_last_time(capsys):
    (row,) = printed(capsys, a_detection(at=60, line=9), a_detection(at=0, line=4), a_detection(at=90, line=12))
    assert "×3" in row
    assert "2026-03-12 02:30:00 – 02:31:30" in row
    assert "audit.log:4" in row


def test_detections_of_different_people_are_different_rows(capsys):
    assert len(printed(capsys, a_detection(identity="alice"), a_detection(identity="bob"))) == 2


def test_the_worst_come_first_then_the_most_frequent(capsys):
    rows = printed(
        capsys, a_detection(severity="P3", identity="rare"), *[a_detection(severity="P3", identity="often")] * 2, a_detection(severity="P1", identity="worst")
    )
    assert [row.split()[5] for row in rows] == ["worst", "often", "rare"]


def test_what_an_attacker_chose_can_not_move_the_cursor_or_use_markup(capsys):
    (row,) = printed(capsys, a_detection(identity="\x1b[2J[bold]eve[/bold]", message="line\nline\u202e"))
    assert "\x1b" not in row
    assert "\\x1b[2J[bold]eve[/bold]" in row
    assert "line\\nline\\u202e" in row


def test_the_number_of_groups_is_bounded_and_the_rest_is_counted(capsys):
    table = Table()
    for number in range(GROUPS + 5):
        table.add(a_detection(identity=f"user-{number}", severity="P2"))
    table.finish()
    assert "5 P2 detections of further actors" in capsys.readouterr().out


def test_nothing_found_is_said(capsys):
    assert printed(capsys) == ["No detections."]
