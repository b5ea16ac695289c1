"""What of a program is the sensor's."""

import pytest
from tests.support.events import a_policy, a_program

from watchkeeper_detection.vocabulary import kernel
from watchkeeper_sensor.asking import kernel_part


@pytest.mark.parametrize("kind", [kind.name for kind in kernel.KINDS])
def test_a_rule_on_any_kind_of_a_kernel_is_in_force(kind):
    program = a_program(a_policy(f"- name: seen\n  on: [{kind}]\n  when: has(node.name)\n  severity: P3"))
    assert [rule.rule for rule in kernel_part(program).rules] == ["seen"]


def test_a_rule_on_logs_alone_is_not():
    program = a_program(a_policy("- name: seen\n  on: [audit.request]\n  when: 'true'\n  severity: P3"))
    assert not kernel_part(program).rules
