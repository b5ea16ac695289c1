"""CloudTrail events: who, what, to what, with what outcome."""

import json

import pytest
from tests.support.raw_records import a_cloudtrail_event
from tests.support.streams import events_of, json_lines

from watchkeeper_detection.cel.functions import opened
from watchkeeper_detection.logs import text_objects

ROLE = "arn:aws:iam::492817365042:role/team/deploy"
SESSION = "arn:aws:sts::492817365042:assumed-role/deploy/ci-run-7"


def the_event(**fields):
    (event,) = events_of(json_lines({**a_cloudtrail_event(), **fields}))
    return event


def by(**user):
    return the_event(userIdentity=user)


IDENTITIES = {
    "an IAM user, by ARN": ({"type": "IAMUser", "arn": "arn:aws:iam::4:user/bob", "userName": "bob"}, "arn:aws:iam::4:user/bob", "user"),
    "root": ({"type": "Root", "arn": "arn:aws:iam::4:root", "accountId": "4"}, "arn:aws:iam::4:root", "root"),
    "a session, by its role": ({"type": "AssumedRole", "arn": SESSION, "sessionContext": {"sessionIssuer": {"type": "Role", "arn": ROLE}}}, ROLE, "role"),
    "a session without its issuer, by what its ARN tells": ({"type": "AssumedRole", "arn": SESSION}, "arn:aws:iam::492817365042:role/deploy", "role"),
    "a session in China": (
        {"type": "AssumedRole", "arn": "arn:aws-cn:sts::4:assumed-role/r/s/with/slashes"},
        "arn:aws-cn:iam::4:role/r",
        "role",
    ),
    "a service": ({"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}, "ec2.amazonaws.com", "service"),
    "a service without a type": ({"accountId": "4", "invokedBy": "ec2.amazonaws.com"}, "ec2.amazonaws.com", "service"),
    "a pod that asks for a role": (
        {
            "type": "WebIdentityUser",
            "principalId": "arn:aws:iam::4:oidc-provider/x:sts.amazonaws.com:system:serviceaccount:shop:web",
            "userName": "system:serviceaccount:shop:web",
        },
        "system:serviceaccount:shop:web",
        "service_account",
    ),
    "a pod named in the principal only": (
        {
            "type": "WebIdentityUser",
            "principalId": "arn:aws:iam::4:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/A:sts.amazonaws.com:system:serviceaccount:shop:web",
        },
        "system:serviceaccount:shop:web",
        "service_account",
    ),
    "a web identity of another kind": (
        {"type": "WebIdentityUser", "principalId": "x", "userName": "repo:org/app:ref:refs/heads/main"},
        "repo:org/app:ref:refs/heads/main",
        "federated",
    ),
    "a pod's role session keeps the role": (
        {"type": "AssumedRole", "arn": SESSION, "userName": "system:serviceaccount:shop:web", "sessionContext": {"sessionIssuer": {"arn": ROLE}}},
        ROLE,
        "role",
    ),
    "another account": ({"type": "AWSAccount", "accountId": "777", "principalId": "AROAX:s"}, "AROAX:s", "unknown"),
    "nobody": ({"type": "AWSAccount", "principalId": "", "accountId": "anonymous"}, "anonymous", "anonymous"),
    "nothing is told": ({}, None, "unknown"),
}


@pytest.mark.parametrize("who", IDENTITIES)
def test_identity_of(who):
    user, identity, kind = IDENTITIES[who]
    event = by(**user)
    assert (event.identity.id, event.identity.type) == (identity, kind)


def test_the_actor_of_a_session_is_the_session():
    event = by(type="AssumedRole", arn=SESSION, accountId="492817365042")
    assert (event.actor.id, event.actor.name, event.actor.account) == (SESSION, "deploy/ci-run-7", "492817365042")


OUTCOMES = {
    None: "success",
    "AccessDenied": "denied",
    "AccessDeniedException": "denied",
    "Client.UnauthorizedOperation": "denied",
    "UnrecognizedClientException": "denied",
    "TrailNotFoundException": "failure",
    "Client.DryRunOperation": "failure",
}


@pytest.mark.parametrize("code", OUTCOMES)
def test_outcome_follows_the_error_code(code):
    event = the_event(errorCode=code)
    assert (event.outcome.status, event.outcome.code) == (OUTCOMES[code], code)


def test_a_failed_sign_in_has_a_message_and_no_code():
    assert the_event(eventName="ConsoleLogin", errorMessage="Failed authentication").outcome.status == "denied"
    assert the_event(eventName="ConsoleLogin").outcome.status == "success"


TARGETS = {
    "the resource the event names": (
        {"resources": [{"type": "AWS::IAM::Role", "ARN": ROLE}], "requestParameters": {"bucketName": "b"}},
        ("AWS::IAM::Role", "deploy", ROLE),
    ),
    "an object in a bucket": ({"requestParameters": {"bucketName": "b", "key": "a/c.txt"}}, ("AWS::S3::Object", "a/c.txt", "arn:aws:s3:::b/a/c.txt")),
    "a user": ({"requestParameters": {"userName": "eve", "policyArn": "arn:aws:iam::aws:policy/X"}}, ("AWS::IAM::User", "eve", "eve")),
    "a secret by ARN": (
        {"requestParameters": {"secretId": "arn:aws:secretsmanager:eu-central-1:4:secret:prod/db-a1"}},
        ("AWS::SecretsManager::Secret", "db-a1", "arn:aws:secretsmanager:eu-central-1:4:secret:prod/db-a1"),
    ),
    "nothing": ({"requestParameters": None}, (None, None, None)),
    "resources that are no list": ({"resources": 5, "requestParameters": "x"}, (None, None, None)),
}


@pytest.mark.parametrize("what", TARGETS)
def test_the_target_is(what):
    fields, expected = TARGETS[what]
    target = the_event(**fields).target
    assert (target.type, target.name, target.id) == expected


def test_an_origin_is_an_address_never_a_service():
    assert the_event(sourceIPAddress="2001:db8::1").origin.ip == "2001:db8::1"
    for name in ("cloudtrail.amazonaws.com", "AWS Internal", "", None):
        assert the_event(sourceIPAddress=name).origin.ip is None


def test_an_action_is_service_and_call():
    event = the_event()
    assert event.action.name == "cloudtrail.amazonaws.com:StopLogging"
    assert event.observed_at == 1_773_283_560 * 10**9
    assert event.event.observed_at == "2026-03-12T02:46:00Z"


def test_an_insights_event_is_an_event():
    insight = {
        "eventVersion": "1.07",
        "eventTime": "2026-03-12T02:46:00Z",
        "eventType": "AwsCloudTrailInsight",
        "eventCategory": "Insight",
        "eventID": "e-1",
        "insightDetails": {"state": "Start", "eventSource": "iam.amazonaws.com", "eventName": "AttachUserPolicy", "insightType": "ApiCallRateInsight"},
    }
    (event,) = events_of(json_lines({"Records": [insight]}))
    assert (event.kind, event.cloudtrail.eventCategory, event.action.name) == ("cloudtrail.event", "Insight", "AwsCloudTrailInsight")


def test_a_record_trimmed_to_a_few_fields_is_taken_when_the_source_is_named():
    (event,) = events_of(json_lines({"errorMessage": "x", "requestParameters": {"a": 1}}), source="cloudtrail")
    assert (event.kind, event.observed_at, event.identity.id) == ("cloudtrail.event", 0, None)


def test_numbers_where_text_is_expected_are_taken_at_their_word():
    user = {"type": "Root", "accountId": 492817365042, "arn": None}
    event = the_event(userIdentity=user, readOnly="false", recipientAccountId=7)
    assert event.cloudtrail.userIdentity.accountId == "492817365042"
    assert (event.cloudtrail.readOnly, event.cloudtrail.recipientAccountId) == (False, "7")


def test_only_what_is_read_is_decoded():
    (event,) = events_of(json_lines(a_cloudtrail_event()), source="cloudtrail", reads={"cloudtrail": frozenset(("cloudtrail.awsRegion",))})
    assert event.cloudtrail.awsRegion == "eu-central-1"
    assert not hasattr(event.cloudtrail, "eventVersion")
    assert event.identity.id == "arn:aws:iam::492817365042:user/bob"


# rows of tables

POLICY = {"bucketName": "shop-invoices", "bucketPolicy": {"Statement": [{"Effect": "Allow", "Principal": "*"}]}, "note": 'a "quoted" \\ word'}
ANSWER = {"credentials": {"accessKeyId": "ASIAIOSFODNN7EXAMPLE"}}


def a_put(number=1, **fields):
    return a_cloudtrail_event(number, name="PutBucketPolicy", source="s3.amazonaws.com", requestParameters=POLICY, responseElements=ANSWER, **fields)


def as_row(trail, *names, indent=None):
    return {**trail, **{name: json.dumps(trail[name], indent=indent) for name in names}}


def is_whole(event):
    return (
        (opened(event.cloudtrail, "requestParameters"), opened(event.cloudtrail, "responseElements")) == (POLICY, ANSWER)
        and (event.target.type, event.target.id) == ("AWS::S3::Bucket", "shop-invoices")
        and event.identity.id == "arn:aws:iam::492817365042:user/bob"
    )


TEXTS = ("requestParameters", "responseElements")
ROWS = {
    "parameters and answer as text": as_row(a_put(), *TEXTS),
    "text over several lines": as_row(a_put(), *TEXTS, indent=2),
    "the answer alone": as_row(a_put(), "responseElements"),
    "the identity too": as_row(a_put(), *TEXTS, "userIdentity", "tlsDetails"),
}


@pytest.mark.parametrize("source", [None, "cloudtrail"])
@pytest.mark.parametrize("kind", ROWS)
def test_objects_that_a_table_holds_as_text_are_objects(kind, source):
    native, row = a_put(), ROWS[kind]
    mixed = [native, row, native, *[row] * 40, *[native] * 40, row]
    for content in (json_lines(*mixed), json.dumps({"Records": mixed}).encode(), json.dumps(mixed, separators=(",", ":")).encode()):
        events = events_of(content, source=source)
        assert [event.kind for event in events] == ["cloudtrail.event"] * len(mixed)
        assert all(map(is_whole, events))
        assert [event.number for event in events] == list(range(1, len(mixed) + 1))


def test_rows_are_found_among_more_escaped_texts_than_are_looked_at(monkeypatch):
    monkeypatch.setattr(text_objects, "ESCAPED_TEXTS", 20)
    native = a_put(userAgent='agent "x"')
    events = events_of(json.dumps([*[native] * 50, as_row(native, *TEXTS), native]).encode(), source="cloudtrail")
    assert all(map(is_whole, events))


def test_text_that_is_no_object_stays_text():
    for text in ('aws s3 "ls"', '{"cut": "of', "{}", "{a=1, b=2}"):
        for trail in events_of(json_lines(*[{**a_put(), "requestParameters": text}] * 2), source="cloudtrail"):
            assert opened(trail.cloudtrail, "requestParameters") == text


def lowered(value):
    return {key.lower(): lowered(below) for key, below in value.items()} if isinstance(value, dict) else value


def test_athenas_columns_in_lower_case_are_read():
    session = {"attributes": {"mfaAuthenticated": "false"}, "sessionIssuer": {"type": "Role", "arn": ROLE}}
    trail = a_put(userIdentity={"type": "AssumedRole", "arn": SESSION, "accountId": "492817365042", "sessionContext": session})
    row = {**lowered(trail), **{name.lower(): json.dumps(trail[name]) for name in TEXTS}}
    for event in events_of(json_lines(row, trail, row)):
        assert (event.identity.id, event.actor.account, event.action.name) == (ROLE, "492817365042", "s3.amazonaws.com:PutBucketPolicy")
        assert (event.origin.ip, event.target.id) == ("192.88.99.77", "shop-invoices")
        assert opened(event.cloudtrail, "responseElements") == ANSWER
        assert event.observed_at == 1_773_283_560 * 10**9
