"""Kubernetes audit events: which stages are judged, what is normalised and what is derived."""

import pytest
from tests.support.raw_records import an_audit_event
from tests.support.shapes import aks_diagnostics, aks_row, azure_diagnostics_row, gke_entry
from tests.support.streams import events_of, json_lines, reasons

from watchkeeper_detection.cel.functions import opened
from watchkeeper_detection.logs import kubernetes_audit
from watchkeeper_detection.logs.kubernetes_shapes import object_of


def audited(*records, **options):
    return events_of(json_lines(*records), **options)


def the_event(**fields):
    (event,) = audited(an_audit_event(**fields))
    return event


def undecoded(**fields):
    """The event as the typed path makes it: its bodies are text still."""
    (event,) = audited(an_audit_event(**fields), source="k8s-audit")
    return event


WATCH = an_audit_event(verb="watch", stage="ResponseStarted")
STAGES = {
    "the end of a request whose start was judged is not": ([WATCH, {**WATCH, "stage": "ResponseComplete"}], ["ResponseStarted"]),
    "the end of a request without a start is": ([{**WATCH, "stage": "ResponseComplete"}], ["ResponseComplete"]),
    "an end with the id of another request is": ([WATCH, an_audit_event(minute=31, stage="ResponseComplete")], ["ResponseStarted", "ResponseComplete"]),
    "what was only received is not": ([an_audit_event(stage="RequestReceived"), an_audit_event()], ["ResponseComplete"]),
    "a panic is": ([an_audit_event(stage="Panic")], ["Panic"]),
    "a record without a stage is": ([an_audit_event(stage=None)], [None]),
}


@pytest.mark.parametrize("source", [None, "k8s-audit"])
@pytest.mark.parametrize("rule", STAGES)
def test_each_request_is_judged_once(rule, source):
    records, judged = STAGES[rule]
    assert [event.audit.stage for event in audited(*records, source=source)] == judged


def test_stages_are_told_apart_in_the_general_path_too():
    started, complete = (aks_diagnostics({**WATCH, "stage": stage}) for stage in ("ResponseStarted", "ResponseComplete"))
    assert [event.audit.stage for event in audited(started, complete, WATCH)] == ["ResponseStarted", "ResponseStarted"]


def test_the_memory_of_long_requests_is_bounded(monkeypatch):
    monkeypatch.setattr(kubernetes_audit, "STARTED_REQUESTS", 2)
    started = [an_audit_event(number, verb="watch", stage="ResponseStarted") for number in (1, 2, 3)]
    ended = [{**record, "stage": "ResponseComplete"} for record in started]
    assert [event.audit.auditID[-1] for event in audited(*started, *ended)] == ["1", "2", "3", "1"]


IDENTITIES = {
    "system:serviceaccount:shop:web": ("service_account", "shop/web"),
    "system:node:worker-1": ("node", "worker-1"),
    "system:anonymous": ("anonymous", "system:anonymous"),
    "system:kube-scheduler": ("service", "system:kube-scheduler"),
    "alice@example.com": ("user", "alice@example.com"),
}


@pytest.mark.parametrize("username", IDENTITIES)
def test_an_identity_is_the_user_name_and_its_type_is_told_by_what_only_the_server_gives(username):
    event = the_event(user=None) if username is None else audited({**an_audit_event(), "user": {"username": username}})[0]
    assert event.identity.id == username
    assert (event.identity.type, event.actor.name) == IDENTITIES[username]


def test_impersonation_does_not_change_who_holds_the_credential():
    event = the_event(impersonatedUser={"username": "system:admin", "groups": ["system:masters"]})
    assert event.identity.id == "alice"
    assert event.audit.impersonatedUser.username == "system:admin"


OUTCOMES = {200: "success", 101: "success", 404: "failure", 403: "denied", 401: "denied", 500: "failure"}


@pytest.mark.parametrize("code", OUTCOMES)
def test_outcome_follows_the_status_code(code):
    event = the_event(code=code)
    assert (event.outcome.status, event.outcome.code) == (OUTCOMES[code], str(code))


def test_without_a_code_only_a_refusal_is_known():
    assert the_event(responseStatus=None).outcome.status == "unknown"
    assert the_event(responseStatus=None, annotations={"authorization.k8s.io/decision": "forbid"}).outcome.status == "denied"


def test_subresources_are_part_of_the_action():
    event = the_event(verb="create", objectRef={"resource": "pods", "subresource": "exec", "namespace": "shop", "name": "web-1"})
    assert event.action.name == "create pods/exec"
    assert (event.target.type, event.target.name, event.target.id) == ("pods", "web-1", "namespaces/shop/pods/web-1")


@pytest.mark.parametrize("read", [False, True])
def test_of_a_pod_whose_name_the_server_makes_up_the_beginning_is_told(read):
    reference = {"resource": "pods", "namespace": "shop"}
    event = the_event(verb="create", objectRef=reference, requestObject={"metadata": {"generateName": "web-5d4f9c8b7-"}})
    if read:
        assert event.kubernetes.object
    assert (event.target.name, event.target.id) == ("web-5d4f9c8b7-*", "namespaces/shop/pods/web-5d4f9c8b7-*")
    for sent in (None, [], {"metadata": None}, {"metadata": {"generateName": 7}}, {"metadata": {"generateName": ""}}):
        assert the_event(verb="create", objectRef=reference, requestObject=sent).target.id == "namespaces/shop/pods"


def test_a_request_to_no_resource_has_its_path_as_target():
    event = the_event(objectRef=None, requestURI="/metrics/cadvisor?x=1")
    assert (event.action.name, event.target.type, event.target.id) == ("get /metrics/cadvisor", "url", "/metrics/cadvisor")


def test_times_have_microseconds_and_old_records_their_own_time():
    assert the_event(number=7).observed_at % 10**9 == 7000
    old = an_audit_event(requestReceivedTimestamp=None, stageTimestamp=None, timestamp="2017-09-11T20:27:42Z")
    assert audited(old)[0].observed_at == 1_505_161_662 * 10**9
    assert audited(an_audit_event(requestReceivedTimestamp=None, stageTimestamp=None))[0].observed_at == 0


def test_a_core_event_object_is_no_audit_event():
    event = {"kind": "Event", "apiVersion": "v1", "involvedObject": {"kind": "Pod"}, "reason": "Scheduled"}
    assert [number for number, _ in reasons(audited(event))] == [1]


# what a request is about

SPEC = {"containers": [{"name": "web", "image": "nginx:1"}], "initContainers": [{"name": "init", "image": "busybox:2"}], "hostPID": True}
POD_SPECS = {
    "a Pod": ("pods", {"kind": "Pod", "spec": SPEC}),
    "a Deployment": ("deployments", {"kind": "Deployment", "spec": {"replicas": 2, "template": {"spec": SPEC}}}),
    "a CronJob": ("cronjobs", {"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": {"spec": SPEC}}}}}),
    "a PodTemplate": ("podtemplates", {"kind": "PodTemplate", "template": {"spec": SPEC}}),
    "a patch without a kind": ("daemonsets", {"spec": {"template": {"spec": SPEC}}}),
    "a pod's patch without a kind": ("pods", {"spec": SPEC}),
    "a custom resource with a template": ("rollouts", {"kind": "Rollout", "spec": {"template": {"spec": SPEC}}}),
    "a JSON patch": (
        "deployments",
        [
            {"op": "test", "path": "/spec/template/spec/hostPID", "value": False},
            {"op": "add", "path": "/spec/template/spec/hostPID", "value": True},
            {"op": "replace", "path": "/spec/template/spec/initContainers/0/image", "value": "busybox:2"},
            {"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "web", "image": "nginx:1"}},
        ],
    ),
}


@pytest.mark.parametrize("what", POD_SPECS)
def test_the_pod_spec_is_found_wherever_the_kind_keeps_it(what):
    resource, body = POD_SPECS[what]
    event = the_event(verb="patch", resource=resource, requestObject=body)
    assert event.kubernetes.pod_spec["hostPID"] is True
    assert event.kubernetes.images == ["busybox:2", "nginx:1"]
    assert [container["image"] for container in event.kubernetes.containers] == ["busybox:2", "nginx:1"]


NO_POD_SPECS = {
    "level Metadata": ("pods", None),
    "a Deployment scaled": ("deployments", {"spec": {"replicas": 3}}),
    "a list": ("pods", {"kind": "PodList", "items": [{"spec": SPEC}]}),
    "a Service": ("services", {"kind": "Service", "spec": {"ports": []}}),
    "text": ("pods", "x"),
    "a patch that only removes": ("pods", [{"op": "remove", "path": "/spec/hostPID"}]),
}


@pytest.mark.parametrize("what", NO_POD_SPECS)
def test_there_is_no_pod_spec_in(what):
    resource, body = NO_POD_SPECS[what]
    event = the_event(verb="patch", resource=resource, requestObject=body)
    assert event.kubernetes.pod_spec is None
    assert event.kubernetes.containers is None
    assert event.kubernetes.images is None


def test_the_object_is_the_responses_unless_that_is_only_a_status():
    sent, answered = {"kind": "Pod", "metadata": {"name": "a"}}, {"kind": "Pod", "metadata": {"name": "b"}}
    assert the_event(requestObject=sent, responseObject=answered).kubernetes.object == answered
    assert the_event(requestObject=sent, responseObject={"kind": "Status", "code": 403}).kubernetes.object == sent
    assert the_event(requestObject=sent).kubernetes.object == sent
    assert the_event().kubernetes.object is None


@pytest.mark.parametrize("body", [{"kind": "Pod", "metadata": {"name": "a"}, "spec": SPEC}, {"metadata": {"name": "\ud800"}, "spec": SPEC}])
def test_the_object_is_whole_whether_its_containers_are_asked_for_before_or_after(body):
    before, after = undecoded(requestObject=body).kubernetes, undecoded(requestObject=body).kubernetes
    assert (before.containers, before.object) == (after.object and after.containers, body)
    assert before.containers


def test_containers_are_those_sent_when_the_response_is_only_a_status():
    status = {"@type": "core.k8s.io/v1.Status", "spec": {"containers": []}}
    assert undecoded(resource="pods", requestObject={"spec": SPEC}, responseObject=status).kubernetes.images == ["busybox:2", "nginx:1"]


def test_rules_and_subjects_come_from_rbac_objects_only():
    rules, subjects = [{"verbs": ["*"]}], [{"kind": "User", "name": "bob"}]
    body = {"rules": rules, "subjects": subjects}
    role = the_event(resource="clusterroles", requestObject=body).kubernetes
    assert (role.rules, role.subjects) == (rules, None)
    binding = the_event(resource="rolebindings", requestObject=body).kubernetes
    assert (binding.rules, binding.subjects) == (None, subjects)
    assert the_event(resource="ingresses", requestObject=body).kubernetes.rules is None


EXEC = {"resource": "pods", "subresource": "exec", "namespace": "shop", "name": "web-1"}


def test_a_command_is_decoded_from_the_uri():
    uri = "/api/v1/namespaces/shop/pods/web-1/exec?command=sh&command=-c&command=cat+%2Fetc%2Fpasswd%20%26%26%20%C3%A9%zz&container=web&stdin=true"
    assert the_event(objectRef=EXEC, requestURI=uri).kubernetes.command == ["sh", "-c", "cat /etc/passwd && é%zz"]
    assert the_event(objectRef=EXEC, requestURI="/x/exec?container=web").kubernetes.command is None
    assert the_event(requestURI="/api/v1/pods?labelSelector=command%3Dx").kubernetes.command is None


def test_the_callers_pod_comes_from_the_tokens_extra():
    extra = {
        "authentication.kubernetes.io/pod-name": ["web-1"],
        "authentication.kubernetes.io/pod-uid": ["u-1"],
        "authentication.kubernetes.io/node-name": ["node-1"],
        "authentication.kubernetes.io/credential-id": ["JTI=abc"],
    }
    (event,) = audited({**an_audit_event(), "user": {"username": "system:serviceaccount:shop:web", "extra": extra}})
    view = event.kubernetes
    assert (view.pod_name, view.pod_uid, view.node_name, view.credential_id) == ("web-1", "u-1", "node-1", "JTI=abc")
    assert the_event().kubernetes.pod_name is None


def test_decision_is_the_authorizers_else_told_by_403():
    assert the_event().kubernetes.decision == "allow"
    assert the_event(annotations=None, code=403).kubernetes.decision == "forbid"
    assert the_event(annotations=None).kubernetes.decision is None


def test_only_what_is_read_is_decoded_and_derived_fields_bring_what_they_are_made_of():
    record = an_audit_event(requestObject={"kind": "Pod", "spec": SPEC}, level="Request")
    (event,) = audited(record, source="k8s-audit", reads={"kubernetes": frozenset(("kubernetes.images",))})
    assert event.kubernetes.images == ["busybox:2", "nginx:1"]
    assert not hasattr(event.audit, "level")
    (event,) = audited(record, source="k8s-audit", reads={})
    assert not hasattr(event.audit, "requestObject")
    assert (event.identity.id, event.action.name, event.outcome.status, event.origin.ip) == ("alice", "get secrets", "success", "10.20.1.9")


# GKE and AKS

METHODS = {
    ("io.k8s.core.v1.pods.exec.create", "core/v1/namespaces/shop/pods/web-1/exec"): ("create", "pods", "exec", "shop", "web-1", None),
    ("io.k8s.core.v1.pods.list", "core/v1/namespaces/shop/pods"): ("list", "pods", None, "shop", None, None),
    ("io.k8s.core.v1.secrets.list", "core/v1/secrets"): ("list", "secrets", None, None, None, None),
    ("io.k8s.core.v1.namespaces.delete", "core/v1/namespaces/shop"): ("delete", "namespaces", None, "shop", "shop", None),
    ("io.k8s.authorization.rbac.v1.clusterroles.create", "rbac.authorization.k8s.io/v1/clusterroles/x"): (
        *("create", "clusterroles", None, None, "x"),
        "rbac.authorization.k8s.io",
    ),
    ("io.k8s.core.v1.nodes.proxy.get", "core/v1/nodes/n1/proxy/pods"): ("get", "nodes", "proxy", None, "n1", None),
    ("io.k8s.certificates.v1.certificatesigningrequests.approval.update", "certificates.k8s.io/v1/certificatesigningrequests/c/approval"): (
        *("update", "certificatesigningrequests", "approval", None, "c"),
        "certificates.k8s.io",
    ),
}


@pytest.mark.parametrize("call", METHODS)
def test_gke_names_are_taken_apart(call):
    target, verb = object_of(*call)
    found = (verb, *(target.get(key) for key in ("resource", "subresource", "namespace", "name", "apiGroup")))
    assert found == METHODS[call]


def test_a_gke_request_to_no_resource_has_its_path():
    assert object_of("io.k8s.readyz", "/readyz") == ({}, "get")


GKE_CODES = {
    "an empty status is OK": ({"status": {}}, "success", "200"),
    "no status, and granted": ({}, "success", "200"),
    "permission denied": ({"status": {"code": 7}}, "denied", "403"),
    "not found": ({"status": {"code": 5}}, "failure", "404"),
    "the answer's own code": ({"status": None, "response": {"code": 409}}, "failure", "409"),
    "no status, and not granted": ({"authorizationInfo": [{"granted": False}]}, "denied", "403"),
}


@pytest.mark.parametrize("what", GKE_CODES)
def test_gke_status_codes_become_http_codes(what):
    fields, status, code = GKE_CODES[what]
    entry = gke_entry(an_audit_event())
    payload = {key: value for key, value in entry["protoPayload"].items() if key != "status"}
    (event,) = audited({**entry, "protoPayload": {**payload, **fields}})
    assert (event.source, event.outcome.status, event.outcome.code) == ("gcp-audit", status, code)


def test_gke_bodies_and_commands_are_read():
    body = {"command": ["id"], "container": "web"}
    (event,) = audited(gke_entry(an_audit_event(verb="create", objectRef=EXEC, requestObject=body)))
    assert event.kubernetes.command == ["id"]
    assert opened(event.audit, "requestObject")["container"] == "web"


def test_gke_names_anonymous_callers_otherwise():
    entry = gke_entry(an_audit_event())
    entry["protoPayload"]["authenticationInfo"] = {"authoritySelector": "system:anonymous"}
    (event,) = audited(entry)
    assert (event.identity.id, event.identity.type) == ("system:anonymous", "anonymous")


BAD_AKS = {"cut off": '{"kind": "Event", "verb"', "no object": "[]", "text": "x"}


@pytest.mark.parametrize("what", BAD_AKS)
def test_an_aks_record_with_a_damaged_event_is_rejected(what):
    record = aks_diagnostics(an_audit_event())
    record["properties"]["log"] = BAD_AKS[what]
    ((number, reason),) = reasons(audited(record))
    assert number == 1
    assert reason.startswith("properties.log")


def test_aks_records_name_their_source():
    (event,) = audited(aks_diagnostics(an_audit_event()))
    assert (event.source, event.identity.id) == ("aks-audit", "alice")


@pytest.mark.parametrize("text", [True, False])
def test_a_row_of_aks_tells_all_that_the_event_did(text):
    user = {"username": "bob@example.com", "groups": ["ops", "system:authenticated"], "extra": {"oid": ["f3b1"]}}
    record = {**an_audit_event(verb="create", objectRef=EXEC, code=101, requestObject={"command": ["id"]}, impersonatedUser={"username": "root"}), "user": user}
    (event,) = audited(aks_row(record, text=text))
    assert (event.source, event.audit.user.username, event.audit.user.groups) == ("aks-audit", user["username"], user["groups"])
    assert (event.audit.impersonatedUser.username, event.audit.level, event.audit.stage) == ("root", "Metadata", "ResponseComplete")
    assert opened(event.audit.user, "extra") == user["extra"]
    assert (event.action.name, event.outcome.code, event.origin.ip, event.kubernetes.decision) == ("create pods/exec", "101", "10.20.1.9", "allow")
    assert event.kubernetes.command == ["id"]
    assert event.audit.annotations == record["annotations"]


def test_a_row_of_aks_without_its_times_has_the_tables():
    row = {**aks_row(an_audit_event()), "RequestReceivedTime": None, "StageReceivedTime": None, "TimeGenerated": "2026-03-12T02:30:00.0000090Z"}
    assert audited(row)[0].observed_at == 1_773_282_600_000_009_000


DAMAGED_COLUMNS = {"User": '{"username"', "ObjectRef": "[", "SourceIps": 7, "ResponseStatus": "{" * 5000, "RequestObject": "skipped-too-big-size-object"}


def test_a_damaged_column_of_aks_is_absent():
    (event,) = audited({**aks_row(an_audit_event()), **DAMAGED_COLUMNS})
    assert (event.kind, event.audit.verb, event.audit.user.username, event.outcome.status) == ("audit.request", "get", None, "unknown")


def test_rows_of_other_logs_of_the_control_plane_are_no_events():
    row = {**azure_diagnostics_row(an_audit_event()), "Category": "kube-scheduler", "log_s": "I0312 ..."}
    assert audited(row, {"category": "guard", "properties": '{"log": "I0312 ..."}'}) == []
