"""What the operator is told, and what it says of what is wrong."""

from __future__ import annotations

import pytest

from watchkeeper_operator.settings import Settings, SettingsError, incident_settings, listening_at, tenant_limits, timing_of

WRONG = {
    "a limit that there is not, with the one that was meant": (lambda: tenant_limits("polices=3", ""), "did you mean policies?"),
    "a limit that is no number": (lambda: tenant_limits("policies=many", ""), "policies is no number"),
    "a kind of event that there is not": (lambda: tenant_limits("", "process.exek"), "did you mean process.exec?"),
    "an address without port": (lambda: listening_at("localhost"), "HOST:PORT"),
    "a port that is none": (lambda: listening_at(":70000"), "HOST:PORT"),
    "a replica without name": (lambda: Settings(identity="", sensor_image="a:1", version="1"), "POD_NAME"),
    "an image that is none": (lambda: Settings(identity="a", sensor_image="a b", version="1"), "is no image"),
    "a lease that is no time": (lambda: Settings(identity="a", sensor_image="a", version="1", timing=timing_of(0)), "--lease-seconds 0"),
    "a webhook without secret": (lambda: incident_settings("", "https://hook.example", None, ""), "a secret"),
    "a collector that is no URL": (lambda: incident_settings("collector", "", None, ""), "no http or https URL"),
}


@pytest.mark.parametrize("case", WRONG)
def test_refused(case):
    make, words = WRONG[case]
    with pytest.raises(SettingsError) as refused:
        make()
    assert words in str(refused.value)


def test_everything_that_is_wrong_is_said_at_once():
    with pytest.raises(SettingsError) as refused:
        Settings(identity="", sensor_image="a b", version="1", log_level="loud")
    assert len(str(refused.value).splitlines()) == 3


def test_limits_that_are_not_named_stay_as_they_are():
    limits = tenant_limits("policies=3", "network.*,process.exec")
    assert (limits.policies, limits.rules) == (3, tenant_limits("", "").rules)
    assert "network.connect" in limits.event_kinds
    assert "process.exit" not in limits.event_kinds


def test_secrets_are_not_shown(tmp_path):
    (tmp_path / "secret").write_text("hunter2\n")
    settings = incident_settings("", "https://user:hunter3@hook.example", tmp_path / "secret", "")
    assert settings.secret == b"hunter2"
    assert "hunter" not in repr(settings)
