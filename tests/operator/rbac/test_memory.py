"""What was told outlives the process, and who leads no more can't write it."""

from __future__ import annotations

import pytest
from tests.operator.rbac.objects import AT, cluster_binding, cluster_role, made, made_account, rule, user

from watchkeeper_operator.rbac.memory import Asked, Memory
from watchkeeper_operator.store.documents import FencedError, put_document
from watchkeeper_operator.store.engine import writing

OBJECTS = dict(
    [
        cluster_role("system:one:two", rule("list", "secrets"), labels={"a": "b"}),
        cluster_binding("b", "system:one:two", user("maria")),
        made_account("shop", "cart"),
        made("ValidatingWebhookConfiguration", "engine", webhooks=[{"name": "one", "failurePolicy": "Fail"}]),
        made("CertificateSigningRequest", "asked", spec={"username": "maria", "signerName": "example.com/ca"}),
    ]
)


def test_nothing_is_known_at_first(engine):
    assert Memory(engine, 1).load() == ({}, Asked())


def test_what_was_told_is_known_again(engine):
    asked = Asked({"Role"}, {"watchkeeper/policy/rule:key"}, AT)
    Memory(engine, 1).save(OBJECTS, asked, AT)
    assert Memory(engine, 2).load() == (OBJECTS, asked)


def test_what_is_gone_is_forgotten(engine):
    memory = Memory(engine, 1)
    memory.save(OBJECTS, Asked(), AT)
    gone = next(iter(OBJECTS))
    memory.save({gone: None}, Asked(), AT)
    assert memory.load()[0] == {key: one for key, one in OBJECTS.items() if key != gone}


def test_an_older_leader_does_not_write(engine):
    Memory(engine, 2).save({}, Asked(), AT)
    with pytest.raises(FencedError):
        Memory(engine, 1).save(OBJECTS, Asked(), AT)
    assert Memory(engine, 2).load()[0] == {}


def test_what_another_version_kept_is_not_read_and_goes_away(engine):
    with writing(engine) as connection:
        put_document(connection, "rbac-0", "Role/shop/one", b"of other shapes", now=AT)
    memory = Memory(engine, 1)
    assert memory.load() == ({}, Asked())
    memory.save({}, Asked(), AT)
    with writing(engine) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM documents WHERE kind = 'rbac-0'").scalar_one() == 0
