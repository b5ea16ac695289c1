"""What goes out tells no secrets, and still says what was touched."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper_detection.redact import MARK, TEXT_BYTES, is_secret_name, redact, redact_value

SECRET = "S3cr3t+Value/9"  # noqa: S105 (what must not be seen)
WITH_A_SECRET = {
    "an option with =": f"db --password={SECRET} --host x",
    "an option with a space": f"app --api-key {SECRET} run",
    "an argument list in JSON": f'["app", "--client-secret", "{SECRET}"]',
    "an environment variable": f"AWS_SECRET_ACCESS_KEY={SECRET} aws s3 ls",
    "a numbered variable": f"DB_PASSWORD_2={SECRET}",
    "a header": f'curl -H "Authorization: Bearer {SECRET}" https://x',
    "basic authentication": f"Authorization: Basic {SECRET}",
    "JSON": f'{{"user": "bob", "password": "{SECRET}"}}',
    "JSON in text": f'{{\\"token\\":\\"{SECRET}\\"}}',
    "YAML": f"  clientSecret: {SECRET}",
    "a quoted value with spaces": f"password='{SECRET} and more'",
    "a URL's password": f"psql postgres://admin:{SECRET.replace('/', '')}@db/x",
    "a signed URL": f"https://x/y?X-Amz-Date=1&X-Amz-Signature={SECRET.replace('/', '')}&z=1",
    "a shared access signature": f"https://a.blob.core.windows.net/c?sv=1&sig={SECRET}",
    "a form": f"grant_type=x&client_secret={SECRET}&scope=y",
    "sshpass": f"sshpass -p {SECRET} ssh host",
    "mysql": f"mysql -u root -p{SECRET} shop",
    "docker login": f"docker login -u bob -p {SECRET} registry",
    "curl's user": f"curl -u bob:{SECRET} https://x",
    "a key in PEM": f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
    "a key in PEM that is cut off": f"x -----BEGIN PRIVATE KEY-----\n{SECRET}",
}


@pytest.mark.parametrize("where", WITH_A_SECRET)
def test_secrets_are_taken_out_of(where):
    shown = redact(WITH_A_SECRET[where])
    assert SECRET not in shown
    assert SECRET.replace("/", "") not in shown
    assert MARK in shown


FORMS = {
    "a JSON web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    "a GitHub token": "ghp_" + "a1B2" * 9,
    "a GitLab token": "glpat-" + "a1B2c3D4e5F6g7H8i9J0",
    "a Slack token": "xoxb-1234567890-abcdefghij",
    "a Google API key": "AIza" + "Sy0a" * 9,
}


@pytest.mark.parametrize("form", FORMS)
def test_secrets_are_known_by_their_form(form):
    assert redact(f"run {FORMS[form]} now") == f"run {MARK} now"


PLAIN = (
    "create secrets/token",
    "secretName: db-credentials",
    "tokenId=7",
    "AKIAIOSFODNN7EXAMPLE",
    "system:serviceaccount:vault:secret-store",
    "system:serviceaccount:token:x",
    "arn:aws:secretsmanager:eu-central-1:492817365042:secret:prod/db-a1b2c3",
    "/var/run/secrets/kubernetes.io/serviceaccount/token",
    "open /run/secrets/token: permission denied",
    "kubectl create token default -n shop",
    "aws sts get-session-token --serial-number arn:aws:iam::4:mfa/bob",
    "passwd -l root",
    "MaxSessionDuration=3600",
)


@pytest.mark.parametrize("text", PLAIN)
def test_what_only_names_a_secret_stays(text):
    assert redact(text) == text


def test_what_stands_around_a_secret_stays():
    assert redact("a --token=x b") == f"a --token={MARK} b"
    assert redact("postgres://bob:x@db:5432/shop") == f"postgres://bob:{MARK}@db:5432/shop"


def test_bodies_of_secrets_go_and_their_names_stay():
    secret = {
        "kind": "Secret",
        "metadata": {"name": "db", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": '{"data":{"k":"djE="}}', "team": "shop"}},
        "data": {"user": "djE=", "pass": "djI="},
        "stringData": {"k": "v"},
    }
    assert redact_value(secret) == {
        "kind": "Secret",
        "metadata": {"name": "db", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": MARK, "team": "shop"}},
        "data": {"user": MARK, "pass": MARK},
        "stringData": {"k": MARK},
    }


def test_members_with_a_secrets_name_go():
    body = {
        "masterUserPassword": "x",
        "secretId": "prod/db",
        "accessKeyId": "AKIA",
        "n": [{"sessionToken": "y", "count": 3}],
        "tokens": 5,
        "name": "DB_PASSWORD",
        "value": "z",
    }
    assert redact_value(body) == {
        "masterUserPassword": MARK,
        "secretId": "prod/db",
        "accessKeyId": "AKIA",
        "n": [{"sessionToken": MARK, "count": 3}],
        "tokens": 5,
        "name": "DB_PASSWORD",
        "value": MARK,
    }


def test_config_maps_keep_their_data():
    assert redact_value({"kind": "ConfigMap", "data": {"color": "blue"}})["data"] == {"color": "blue"}


def test_names():
    for name in ("password", "dbPassword", "AWS_SECRET_ACCESS_KEY", "client_secret", "x-api-key", "Authorization", "token"):
        assert is_secret_name(name), name
    for name in ("secretName", "secrets", "tokenType", "passwordLastUsed", "accessKeyId", "keyId", "compass", "\ud800"[:0]):
        assert not is_secret_name(name), name


@given(st.text(max_size=2000))
def test_any_text_is_redacted_within_its_bound(text):
    assert len(redact(text).encode()) <= 4 * TEXT_BYTES


@given(
    st.recursive(
        st.text(max_size=5) | st.integers() | st.none(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    )
)
def test_any_value_is_redacted(value):
    redact_value(value)


HOSTILE = (
    "password=" * 8000,
    'token:"\\' * 9000,
    "-----BEGIN PRIVATE KEY-----" * 3000,
    "a://b:" * 12000,
    "--token " * 9000,
    "curl -u " * 9000,
    "\ud800" * 70000,
)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:8]))
def test_hostile_text_costs_no_more_than_its_length(text):
    begun = time.perf_counter()
    redact(text)
    assert time.perf_counter() - begun < 30


def test_values_nested_without_end_are_cut():
    value: object = "x"
    for _ in range(100):
        value = {"a": value}
    assert MARK in str(redact_value(value))
