"""Logins, permissions, roles, keys and requests: a change and its event are one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from trunkline.errors import InvalidInput, NotFound
from trunkline.services.iam import queries
from trunkline.services.iam.desk import ATTEMPTS_MAX, LOCK, IamEraser
from trunkline.services.iam.state import state_digest
from trunkline.services.iam.tables import METADATA
from trunkline.services.kit.ending import End, TenantEnded, ended
from trunkline.services.kit.ending.ends import Erasure, end_tenant
from trunkline.testing.offices import at_once, differences

GRANT = ("u-17", "query.execute", "urn:schema:sales")


def log_in(office: Any, *, verified: bool) -> Any:
    return office.do(
        lambda tx, desk: desk.log_in(
            tx, "acme", "u-17", method="password", verified=verified, source_ip="192.0.2.1"
        )
    )


def types(office: Any) -> list[str]:
    return [event.type for event in office.told()]


def test_failures_are_counted_until_a_success(office: Any) -> None:
    assert [log_in(office, verified=False).attempts for _ in range(3)] == [1, 2, 3]
    assert log_in(office, verified=True).allowed
    assert log_in(office, verified=False).attempts == 1
    assert [getattr(event.data, "attempts", None) for event in office.told()] == [1, 2, 3, None, 1]
    with office.store.read() as tx:
        account = queries.account(tx, "acme", "u-17")
    assert account is not None
    assert (account.logins, account.attempts, account.last_login_at) == (1, 1, office.clock.now)


def test_an_account_is_locked_after_too_many_failures_whatever_comes_then(office: Any) -> None:
    for _ in range(ATTEMPTS_MAX):
        last = log_in(office, verified=False)
    assert last.locked_until == office.clock.now + LOCK
    refused = log_in(office, verified=True)
    assert (refused.allowed, refused.reason, refused.attempts) == (False, "locked", ATTEMPTS_MAX)
    assert office.told()[-1].data.reason == "locked"
    office.clock.pass_(LOCK)
    assert log_in(office, verified=False).locked_until == office.clock.now + LOCK
    office.do(lambda tx, desk: desk.unlock(tx, "acme", "u-17"))
    assert log_in(office, verified=True).allowed


def test_of_many_that_grant_the_same_at_once_one_does_and_tells(office: Any) -> None:
    """On PostgreSQL they run side by side, and all see at first that there is nothing to lock."""
    for permission in ("read", "write", "share"):

        def grant(number: int, wanted: str = permission) -> Any:
            given = ("u-17", wanted, "urn:schema:sales")
            return office.do(lambda tx, desk: desk.grant(tx, "acme", *given, actor=f"u-{number}"))

        assert sorted(at_once(grant)) == [False] * 7 + [True]
    assert len(office.told()) == 3
    assert len({event.id for event in office.told()}) == 3


def test_a_time_without_an_offset_is_refused(office: Any) -> None:
    naive = datetime(2027, 1, 1)  # noqa: DTZ001 - as a caller may send it
    for ask in (
        lambda tx, desk: desk.grant(tx, "acme", *GRANT, actor="u-1", expires_at=naive),
        lambda tx, desk: desk.create_key(tx, "acme", actor="u-1", expires_at=naive),
        lambda tx, desk: desk.request_erasure(tx, "acme", "c-1", actor="u-1", due_at=naive),
    ):
        with pytest.raises(InvalidInput, match="give the time with its offset"):
            office.do(ask)
    assert office.told() == []


def test_a_moment_that_has_passed_is_refused_and_takes_nothing_away(office: Any) -> None:
    office.do(lambda tx, desk: desk.grant(tx, "acme", *GRANT, actor="u-1"))
    for past in (office.clock.now, datetime(2020, 1, 1, tzinfo=UTC)):
        for ask in (
            lambda tx, desk, at=past: desk.grant(tx, "acme", *GRANT, actor="u-1", expires_at=at),
            lambda tx, desk, at=past: desk.create_key(tx, "acme", actor="u-1", expires_at=at),
        ):
            with pytest.raises(InvalidInput, match=rf"expires_at {past:%Y-%m-%dT%H:%M:%SZ} is not in the fu"):
                office.do(ask)
    with office.store.read() as tx:
        assert queries.may(tx, "acme", *GRANT, at=office.clock.now)
    assert types(office) == ["access.permission_granted.v1"]


def test_a_permission_is_granted_once_revoked_once_and_granted_anew(office: Any) -> None:
    def grant() -> Any:
        return office.do(lambda tx, desk: desk.grant(tx, "acme", *GRANT, actor="u-1"))

    def revoke() -> Any:
        return office.do(lambda tx, desk: desk.revoke(tx, "acme", *GRANT, actor="u-1", reason="left"))

    assert [revoke(), grant(), grant(), revoke(), revoke(), grant()] == [
        False,
        True,
        False,
        True,
        False,
        True,
    ]
    granted, revoked, again = office.told()
    assert [granted.type, revoked.type, again.type] == [
        "access.permission_granted.v1",
        "access.permission_revoked.v1",
        "access.permission_granted.v1",
    ]
    assert len({granted.id, revoked.id, again.id}) == 3


def test_a_permission_holds_until_its_moment(office: Any) -> None:
    until = office.clock.now + timedelta(hours=1)
    office.do(lambda tx, desk: desk.grant(tx, "acme", *GRANT, actor="u-1", expires_at=until))

    def holds() -> bool:
        with office.store.read() as tx:
            listed = queries.permissions(tx, "acme", at=office.clock.now)
            may = queries.may(tx, "acme", *GRANT, at=office.clock.now)
            assert bool(listed) is may
            assert not queries.may(tx, "globex", *GRANT, at=office.clock.now)
        return may

    assert holds()
    office.clock.pass_(timedelta(hours=1))
    assert not holds()


def test_a_role_is_assigned_once_for_each_scope(office: Any) -> None:
    def assign(scope: str | None) -> Any:
        return office.do(
            lambda tx, desk: desk.assign_role(tx, "acme", "u-17", "analyst", actor="u-1", scope=scope)
        )

    assert [assign(None), assign(None), assign("urn:workspace:emea")] == [True, False, True]
    with office.store.read() as tx:
        assert [role.scope for role in queries.roles(tx, "acme", user="u-17")] == [
            None,
            "urn:workspace:emea",
        ]
    assert types(office) == ["access.role_assigned.v1"] * 2


def test_a_role_is_taken_away_where_it_was_given_and_can_be_given_anew(office: Any) -> None:
    emea = "urn:workspace:emea"

    def act(what: str, scope: str | None = None) -> Any:
        return office.do(
            lambda tx, desk: getattr(desk, what)(tx, "acme", "u-17", "analyst", actor="u-1", scope=scope)
        )

    assert [act("unassign_role"), act("assign_role"), act("assign_role", emea)] == [False, True, True]
    assert [act("unassign_role"), act("unassign_role")] == [True, False]
    with office.store.read() as tx:
        assert [role.scope for role in queries.roles(tx, "acme")] == [emea]
    assert act("assign_role")
    told = office.told()
    assert [(event.type, event.data.scope) for event in told] == [
        ("access.role_assigned.v1", None),
        ("access.role_assigned.v1", emea),
        ("access.role_unassigned.v1", None),
        ("access.role_assigned.v1", None),
    ]
    assert len({event.id for event in told}) == 4


def test_of_many_that_take_a_role_away_at_once_one_does_and_tells(office: Any) -> None:
    office.do(lambda tx, desk: desk.assign_role(tx, "acme", "u-17", "analyst", actor="u-1"))

    def unassign(number: int) -> Any:
        return office.do(
            lambda tx, desk: desk.unassign_role(tx, "acme", "u-17", "analyst", actor=f"u-{number}")
        )

    assert sorted(at_once(unassign)) == [False] * 7 + [True]
    assert types(office) == ["access.role_assigned.v1", "access.role_unassigned.v1"]


def test_a_key_is_shown_once_and_only_its_hash_is_kept(office: Any) -> None:
    made = office.do(lambda tx, desk: desk.create_key(tx, "acme", actor="u-1", name="nightly"))
    secret = made.key.rpartition("_")[2]
    assert made.last_four == secret[-4:]
    with office.store.read() as tx:
        (kept,) = queries.api_keys(tx, "acme")
    assert (kept.key_id, kept.last_four, kept.name) == (made.key_id, made.last_four, "nightly")
    assert all(secret not in repr(event) for event in office.told())


def test_a_key_lets_in_until_it_is_revoked_or_expires(office: Any) -> None:
    until = office.clock.now + timedelta(hours=1)
    one, other = (
        office.do(lambda tx, desk: desk.create_key(tx, "acme", actor="u-1", expires_at=until)) for _ in "12"
    )

    def owner(key: str) -> Any:
        return office.do(lambda tx, desk: desk.authenticate(tx, key))

    assert owner(one.key).key_id == one.key_id
    assert owner(one.key[:-1] + "!") is None
    assert owner("tlk_none_none") is None
    assert owner("garbage") is None
    assert office.do(lambda tx, desk: desk.revoke_key(tx, "acme", one.key_id, actor="u-1"))
    assert not office.do(lambda tx, desk: desk.revoke_key(tx, "acme", one.key_id, actor="u-1"))
    assert owner(one.key) is None
    office.clock.pass_(timedelta(hours=1))
    assert owner(other.key) is None
    reasons = [event.data.reason for event in office.told() if event.type == "auth.login_failed.v1"]
    assert reasons == ["bad_credentials", "revoked", "expired"]
    with pytest.raises(NotFound, match="has no API key"):
        office.do(lambda tx, desk: desk.revoke_key(tx, "globex", one.key_id, actor="u-1"))


def test_an_erasure_request_is_made_once_and_completed_once(office: Any) -> None:
    def request() -> Any:
        return office.do(lambda tx, desk: desk.request_erasure(tx, "acme", "c-1", actor="u", request_id="r"))

    def complete(id_: str = "r") -> Any:
        return office.do(
            lambda tx, desk: desk.complete_erasure(tx, "acme", id_, actor="u", services=9, records=412)
        )

    assert [request(), request()] == ["r", "r"]
    assert [complete(), complete()] == [True, False]
    assert types(office) == ["access.erasure_requested.v1", "access.erasure_completed.v1"]
    with pytest.raises(NotFound, match="no erasure request x"):
        complete("x")
    with office.store.read() as tx:
        (kept,) = queries.erasure_requests(tx, "acme")
    assert (kept.services, kept.records_erased, kept.completed_at) == (9, 412, office.clock.now)


def test_the_end_of_a_tenant_leaves_nothing_and_lets_nothing_in(office: Any) -> None:
    for tenant in ("acme", "globex"):
        office.do(lambda tx, desk, of=tenant: desk.grant(tx, of, *GRANT, actor="u-1"))
        key = office.do(lambda tx, desk, of=tenant: desk.create_key(tx, of, actor="u-1"))
    with office.store.write() as tx:
        end = End(tenant="acme", deletion_id="d", deleted_at=office.clock.now)
        assert end_tenant(tx, end, Erasure(office.store, IamEraser(), publishes=True), now=office.clock.now)
    with office.store.read() as tx:
        (one,) = ended(tx)
        assert queries.api_keys(tx, "acme") == []
        assert len(queries.api_keys(tx, "globex")) == 1
    assert one.erased == {"iam_api_key": 1, "iam_permission": 1, "outbox_event": 2}
    assert office.told("acme") == []
    with pytest.raises(TenantEnded):
        office.do(lambda tx, desk: desk.grant(tx, "acme", *GRANT, actor="u-1"))
    assert office.do(lambda tx, desk: desk.authenticate(tx, key.key)).tenant == "globex"


def test_a_rolled_back_change_is_told_to_nobody(office: Any) -> None:
    with office.store.read() as tx:
        before = state_digest(tx)

    def grant_and_fail(tx: Any, desk: Any) -> None:
        desk.grant(tx, "acme", *GRANT, actor="u-1")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        office.do(grant_and_fail)
    with office.store.read() as tx:
        assert state_digest(tx) == before
    assert office.told() == []


def test_the_tables_are_those_that_the_migrations_create(office: Any) -> None:
    with office.store.read() as tx:
        assert differences(tx, METADATA) == []
