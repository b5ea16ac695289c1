"""No shipped rule makes the kernel tell every open, every new file or every first write of a host."""

import pytest

from watchkeeper_cli.policy_set import library_program
from watchkeeper_detection.program import Program
from watchkeeper_sensor.kernel.filters import BY_PATH, filters_of

TOO_WIDE = {
    "file.open": (
        *("/", "/bin/", "/dev/", "/etc/", "/home/", "/lib/", "/opt/", "/proc/", "/root/", "/run/", "/srv/", "/sys/", "/tmp/"),
        *("/usr/", "/usr/bin/", "/usr/lib/", "/var/", "/var/lib/"),
    ),
    "file.write": ("/", "/usr/", "/var/", "/var/lib/", "/home/", "/root/", "/opt/", "/srv/", "/tmp/", "/run/", "/proc/", "/sys/", "/dev/"),
    "file.create": ("/", "/proc/", "/sys/"),
}
"""Folders below which an ordinary host opens, writes or makes files all the time."""


@pytest.mark.parametrize("kind", sorted(BY_PATH))
def test_every_rule_on_files_names_paths_or_names_that_the_kernel_can_filter_by(kind):
    library = library_program()
    unfiltered = [
        rule.name for rule in library.rules if kind in rule.kinds and kind in filters_of(Program(rules=(rule,), lists=library.lists)).prefixes.get(b"", ())
    ]
    assert unfiltered == []


@pytest.mark.parametrize("kind", sorted(BY_PATH))
def test_no_rule_asks_for_all_files_below_a_folder_that_everybody_works_in(kind):
    library = library_program()
    wide = {}
    for rule in library.rules:
        prefixes = filters_of(Program(rules=(rule,), lists=library.lists)).prefixes
        if found := sorted(folder for folder in TOO_WIDE[kind] if kind in prefixes.get(folder.encode(), ())):
            wide[rule.name] = found
    assert wide == {}
