"""The shipped rules read metrics that our processes export, with labels and words that these have, and fire when they say, no sooner and for nothing else."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
import yaml
from tests.support.collectors import Authorities
from tests.support.debian_packages import NoPackagesError
from tests.support.promtool import check_rules, promtool, run_tests

from watchkeeper_operator import metrics as operator_metrics
from watchkeeper_operator.authority.files import Given
from watchkeeper_operator.bus.queue import Queue
from watchkeeper_operator.collector import metrics as collector_metrics
from watchkeeper_operator.collector.audit_states import AuditStates
from watchkeeper_operator.health import Health
from watchkeeper_operator.resources.conditions import TYPES, Reason
from watchkeeper_operator.store.engine import open_engine

COMPONENT = Path(__file__).parents[2] / "manifests" / "components" / "prometheus"
RULES = yaml.safe_load((COMPONENT / "rules.yaml").read_text())
GROUPS = RULES["spec"]["groups"]
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
FROM_ELSEWHERE = {  # of the kubelet
    "kubelet_volume_stats_available_bytes": {"namespace", "persistentvolumeclaim"},
    "kubelet_volume_stats_capacity_bytes": {"namespace", "persistentvolumeclaim"},
}
OF_THE_SCRAPE = {"pod", "namespace", "le"}
METRIC = re.compile(r"\b(watchkeeper_\w+|kubelet_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|=)\s*"([^"]*)"')
GROUPED = re.compile(r"\bby \(([^)]*)\)")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Sample's name → labels, of both processes."""
    operator, collector = operator_metrics.Metrics(), collector_metrics.Metrics()
    operator.measure_health(Health())
    collector.measure_health(Health())
    collector.measure_queue(Queue(open_engine(f"sqlite:///{tmp_path_factory.mktemp('queue')}/queue.db")))
    AuditStates("one", collector.registry, time.time_ns)
    authorities = Authorities()
    collector.measure_certificates(lambda: Given(authorities.server(), authorities.bundle, authorities.sensors, ""))
    operator.statuses.of("NodeSensor", lambda: [{"conditions": [{"type": "Seeing", "status": "False", "reason": "Blind"}]}])
    ends = next(one for one in collector.registry.collect() if one.name.endswith("end_timestamp_seconds"))
    certificates = {"certificates": {sample.labels["certificate"] for sample in ends.samples}}
    return labels_of(operator.registry) | labels_of(collector.registry) | certificates


def labels_of(registry):
    found: dict[str, set[str]] = {}
    for one in list(registry._collector_to_names):
        if isinstance(one, operator_metrics.Asked):
            found[one._about[0]] = {one._about[2]}
            continue
        declared = set(getattr(one, "_labelnames", ()))
        for family in one.collect():
            endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
            told = {label for sample in family.samples for label in sample.labels}
            found |= {family.name + ending: declared | told for ending in endings}
    return found


@pytest.mark.parametrize("alert", ALERTS)
def test_a_rule_reads_what_is_exported_with_labels_that_it_has(exported, alert):
    expression = ALERTS[alert]["expr"]
    read = [(name, MATCHER.findall(matchers)) for name, matchers in METRIC.findall(expression)]
    assert read
    known = set()
    for name, matchers in read:
        labels = {**exported, **FROM_ELSEWHERE}[name]
        assert {label for label, _, _ in matchers} <= labels, name
        known |= labels
    for group in GROUPED.findall(expression):
        assert {one.strip() for one in group.split(",")} <= known | OF_THE_SCRAPE
    texts = "".join(ALERTS[alert]["annotations"].values())
    assert set(re.findall(r"\$labels\.(\w+)", texts)) <= known | OF_THE_SCRAPE


def test_conditions_that_rules_ask_for_exist():
    asked = [
        {label: value for label, _, value in MATCHER.findall(matchers)}
        for rule in ALERTS.values()
        for name, matchers in METRIC.findall(rule["expr"])
        if name == "watchkeeper_conditions"
    ]
    assert len(asked) > 5
    for one in asked:
        assert one["type"] in map(str, TYPES[one["kind"]])
        assert one["status"] in ("True", "False", "Unknown")
        assert one.get("reason", Reason.BLIND) in set(Reason)


def test_certificates_that_rules_ask_for_are_measured(exported):
    asked = {value for rule in ALERTS.values() for label, _, value in MATCHER.findall(rule["expr"]) if label == "certificate"}
    assert asked == exported["certificates"]


@pytest.mark.parametrize("alert", ALERTS)
def test_a_rule_says_what_is_not_seen_and_how_bad_that_is(alert):
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert set(rule["annotations"]) == {"summary", "description"}


def test_who_scrapes_may_get_metrics_and_nothing_else():
    objects = {one["kind"]: one for one in yaml.safe_load_all((COMPONENT / "account.yaml").read_text())}
    assert objects["ClusterRole"]["rules"] == [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]
    monitor = yaml.safe_load((COMPONENT / "pod-monitors.yaml").read_text())
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["authorization"]["credentials"]["name"] == objects["Secret"]["metadata"]["name"]


# Rule → series while it fires, how long that has to last, and series like them for which it stays quiet.
DAY = 86400
NODES = 'watchkeeper_conditions{pod="operator-1", kind="NodeSensor", '
LOGS = 'watchkeeper_conditions{pod="operator-1", kind="LogSource", '
CERTIFICATES = 'watchkeeper_collector_certificate_end_timestamp_seconds{pod="collector-1", certificate='
VOLUMES = 'namespace="watchkeeper-system", persistentvolumeclaim="watchkeeper-operator"}'
LED = {'watchkeeper_operator_leading{pod="operator-1"}': "1x200"}
HEARD = {'watchkeeper_queue_limit_bytes{pod="collector-1"}': "1000x200"}

Series = dict[str, str]
FIRES: dict[str, tuple[Series, int, Series]] = {
    "WatchkeeperNoLeader": (
        {'watchkeeper_operator_leading{pod="operator-1"}': "0x200", 'watchkeeper_operator_leading{pod="operator-2"}': "0x200"},
        2,
        {'watchkeeper_operator_leading{pod="operator-1"}': "0x200", 'watchkeeper_operator_leading{pod="operator-2"}': "1x200"},
    ),
    "WatchkeeperTwoLeaders": (
        {'watchkeeper_operator_leading{pod="operator-1"}': "1x200", 'watchkeeper_operator_leading{pod="operator-2"}': "1x200"},
        1,
        {'watchkeeper_operator_leading{pod="operator-1"}': "1x200", 'watchkeeper_operator_leading{pod="operator-2"}': "0x200"},
    ),
    "WatchkeeperNoCollector": ({}, 2, {}),
    "WatchkeeperWatchStalled": (
        {'watchkeeper_operator_silent_seconds{pod="operator-1", part="watch of Pod"}': "70+30x200"},
        2,
        {'watchkeeper_operator_silent_seconds{pod="operator-1", part="watch of Pod"}': "70 _ _ _ 70 _ _"},
    ),
    "WatchkeeperNodeSilent": (
        {f'{NODES}type="Connected", status="False", reason="Silent"}}': "2x200"},
        5,
        {f'{NODES}type="Connected", status="True", reason="Reporting"}}': "2x200"},
    ),
    "WatchkeeperNodeNeverHeard": (
        {f'{NODES}type="Connected", status="Unknown", reason="NotYetSeen"}}': "1x200"},
        15,
        {f'{NODES}type="Connected", status="Unknown", reason="NotYetSeen"}}': "1x10"},
    ),
    "WatchkeeperNodeBlind": (
        {f'{NODES}type="Seeing", status="False", reason="Blind"}}': "1x200"},
        15,
        {f'{NODES}type="Seeing", status="True", reason="Unhindered"}}': "9x200"},
    ),
    "WatchkeeperPoliciesBehind": (
        {f'{NODES}type="InForce", status="False", reason="Refused"}}': "1x200"},
        15,
        {f'{NODES}type="InForce", status="False", reason="Behind"}}': "3x8", f'{NODES}type="InForce", status="True", reason="Current"}}': "3x200"},
    ),
    "WatchkeeperPolicyRefused": (
        {'watchkeeper_conditions{kind="RuntimePolicy", type="Accepted", status="False", reason="Invalid"}': "1x200"},
        15,
        {'watchkeeper_conditions{kind="RuntimePolicy", type="InForce", status="False", reason="Disabled"}': "1x200"},
    ),
    "WatchkeeperAuditSilent": (
        {f'{LOGS}type="Receiving", status="False", reason="Silent"}}': "1x200"},
        5,
        {f'{LOGS}type="Receiving", status="True", reason="Arriving"}}': "1x200"},
    ),
    "WatchkeeperAuditGap": (
        {f'{LOGS}type="Complete", status="False", reason="Gaps"}}': "1x200"},
        1,
        {f'{LOGS}type="Complete", status="Unknown", reason="NotYetSeen"}}': "1x200"},
    ),
    "WatchkeeperAuditUncovered": (
        {'watchkeeper_audit_blind_rules{pod="operator-1"}': "1x20", 'watchkeeper_audit_blind_rules{pod="operator-2"}': "_x10 40x200"},
        30,
        {'watchkeeper_audit_blind_rules{pod="operator-1"}': "1x20", 'watchkeeper_audit_blind_rules{pod="operator-2"}': "_x20 1x200"},
    ),
    "WatchkeeperAuditLate": (
        {f'watchkeeper_audit_lag_seconds_bucket{{source="audit", le="{le}"}}': f"0+{rate}x200" for le, rate in (("10", 1), ("30", 50), ("+Inf", 50))},
        11,
        {
            f'watchkeeper_audit_lag_seconds_bucket{{source="audit", le="{le}"}}': f"0+{rate}x200"
            for le, rate in (("1", 50), ("10", 50), ("30", 50), ("+Inf", 50))
        },
    ),
    "WatchkeeperQueueFilling": (
        {'watchkeeper_queue_bytes{pod="collector-1"}': "600x200", **HEARD},
        5,
        {'watchkeeper_queue_bytes{pod="collector-1"}': "600x8 100x200", **HEARD},
    ),
    "WatchkeeperQueueFull": (
        {'watchkeeper_queue_refused_total{topic="loss"}': "0x10 500x200"},
        6,
        {'watchkeeper_queue_refused_total{topic="loss"}': "500x200"},
    ),
    "WatchkeeperStoreFull": (
        {f"kubelet_volume_stats_available_bytes{{{VOLUMES}": "9x200", f"kubelet_volume_stats_capacity_bytes{{{VOLUMES}": "100x200"},
        5,
        {f"kubelet_volume_stats_available_bytes{{{VOLUMES}": "50x200", f"kubelet_volume_stats_capacity_bytes{{{VOLUMES}": "100x200"},
    ),
    "WatchkeeperCertificateEnds": (
        {f'{CERTIFICATES}"server"}}': f"{4 * DAY}x200"},
        10,
        {f'{CERTIFICATES}"server"}}': f"{9 * DAY}x200", f'{CERTIFICATES}"sensors"}}': f"{29 * DAY}x200", f'{CERTIFICATES}"root"}}': f"{300 * DAY}x200"},
    ),
    "WatchkeeperForgery": (
        {'watchkeeper_collector_discarded_total{reason="AnotherNodesPod"}': "0x10 3x200"},
        6,
        {'watchkeeper_collector_discarded_total{reason="AnotherNodesPod"}': "3x200"},
    ),
}


def about(alert: str, series: Series, minutes: float, *, firing: bool):
    """A test of promtool: that so much later the rule fires or not."""
    others = {**({} if "Leader" in alert else LED), **({} if alert == "WatchkeeperNoCollector" and firing else HEARD)}
    expression = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) or vector(0)'
    asked = {"expr": expression, "eval_time": f"{round(minutes * 60)}s", "exp_samples": [{"labels": "{}", "value": int(firing)}]}
    given = [{"series": name, "values": values} for name, values in {**others, **series}.items()]
    return {"name": f"{alert} after {minutes} minutes", "interval": "30s", "input_series": given, "promql_expr_test": [asked]}


@pytest.fixture(scope="module")
def prometheus():
    try:
        return promtool()
    except NoPackagesError as reason:
        pytest.skip(f"no promtool: {reason}")


@pytest.mark.usefixtures("prometheus")
def test_prometheus_accepts_the_rules(tmp_path):
    assert not check_rules(GROUPS, tmp_path)


@pytest.mark.usefixtures("prometheus")
def test_rules_fire_in_time_and_for_nothing_else(tmp_path):
    assert set(FIRES) == set(ALERTS)
    tests = []
    for alert, (firing, minutes, quiet) in FIRES.items():
        tests += [about(alert, firing, minutes + 1, firing=True), about(alert, quiet, minutes + 30, firing=False)]
        if "for" in ALERTS[alert]:
            tests.append(about(alert, firing, 0.5, firing=False))
    assert not run_tests(GROUPS, tests, tmp_path)


@pytest.mark.usefixtures("prometheus")
def test_a_wrong_expectation_would_be_noticed(tmp_path):
    firing, minutes, _ = FIRES["WatchkeeperNodeSilent"]
    assert "FAILED" in run_tests(GROUPS, [about("WatchkeeperNodeSilent", firing, minutes + 1, firing=False)], tmp_path)
