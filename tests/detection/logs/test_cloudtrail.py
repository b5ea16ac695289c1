"""CloudTrail events: who, what, to what, with what outcome."""

import pytest
from tests.support.raw_records import a_cloudtrail_event
from tests.support.streams import events_of, json_lines

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
