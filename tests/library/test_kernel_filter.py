"""No shipped rule makes the kernel tell every open, every new file or every first write of a host."""

import pytest

from watchkeeper_cli.policy_set import library_program
from watchkeeper_detection.program import Program
from watchkeeper_sensor.kernel.filters import BY_PATH, filters_of


@pytest.mark.parametrize("kind", sorted(BY_PATH))
def test_every_rule_on_files_names_paths_or_names_that_the_kernel_can_filter_by(kind):
    library = library_program()
    unfiltered = [
        rule.name for rule in library.rules if kind in rule.kinds and kind in filters_of(Program(rules=(rule,), lists=library.lists)).prefixes.get(b"", ())
    ]
    assert unfiltered == []
