"""Lifecycles of what administrators do: settings, log-ins, access and policies."""

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.access import (
    ApiCalled,
    ApiKeyCreated,
    ApiKeyRevoked,
    DataAccessed,
    ErasureCompleted,
    ErasureRequested,
    LoginFailed,
    LoginSucceeded,
    PermissionGranted,
    PermissionRevoked,
    RoleAssigned,
    RoleUnassigned,
)
from trunkline.catalogue.events.config import (
    ConfigFlagChanged,
    ConfigSnapshotPublished,
    ConfigValueSet,
    ConfigValueUnset,
)
from trunkline.catalogue.events.policy import (
    ClassificationChanged,
    PolicyBundleActivated,
    PolicyPublished,
    PolicyRevoked,
)
from trunkline.client.broadcast.snapshot import snapshot_digest
from trunkline.sources.workload.world import TABLES, TenantState, World

SETTINGS: Final = ("query.timeout_ms", "query.rows_max", "export.rows_max", "session.idle_ms")
FLAGS: Final = ("ai.sql_assistant", "ui.new_editor", "query.result_cache")


def configured(world: World, tenant: TenantState) -> Iterator[Event]:
    """Somebody changes a flag or a setting, may take it back, and now and then all settings are repeated."""
    rng, actor = world.rng, tenant.users[0]
    if rng.random() < 0.3:
        flag = rng.choice(FLAGS)
        yield ConfigFlagChanged(
            key=flag,
            version=tenant.next_version(f"flag:{flag}"),
            enabled=rng.random() < 0.7,
            rollout_percent=rng.choice((5, 25, 50, 100)),
            actor_id=actor,
        )
        return
    key, value = rng.choice(SETTINGS), rng.randrange(1, 120) * 1_000
    tenant.settings[key] = value
    yield ConfigValueSet(
        key=key,
        level="tenant",
        value=value,
        version=tenant.next_version(f"setting:{key}"),
        actor_id=actor,
        scope=tenant.id,
    )
    if rng.random() < 0.2:
        tenant.settings.pop(key, None)
        yield ConfigValueUnset(
            key=key,
            level="tenant",
            version=tenant.next_version(f"setting:{key}"),
            actor_id=actor,
            scope=tenant.id,
        )
    if rng.random() < 0.1:
        yield _snapshot(tenant)


def _snapshot(tenant: TenantState) -> Event:
    values = tuple(
        {
            "key": key,
            "level": "tenant",
            "scope": tenant.id,
            "value": value,
            "version": tenant.versions[f"setting:{key}"],
        }
        for key, value in sorted(tenant.settings.items())
    )
    version = tenant.next_version("snapshot")
    return ConfigSnapshotPublished(
        snapshot_id=f"snap-{tenant.id}-{version}",
        version=version,
        entries=len(values),
        digest=snapshot_digest(values, tenant=tenant.id),
        values=values,
    )


def logged_in(world: World, tenant: TenantState) -> Iterator[Event]:
    """A user logs in, at once or after mistyping, and reads some data."""
    rng, user = world.rng, world.rng.choice(tenant.users)
    source_ip = f"192.0.2.{rng.randrange(1, 255)}"
    if rng.random() < 0.15:
        for attempt in range(1, rng.randrange(2, 4)):
            yield LoginFailed(
                user_id=user,
                method="password",
                reason="bad_credentials",
                attempts=attempt,
                source_ip=source_ip,
            )
    yield LoginSucceeded(user_id=user, method="password", source_ip=source_ip, session_id=world.number("s"))
    yield DataAccessed(
        actor_type="user",
        actor_id=user,
        operation=rng.choice(("read", "export")),
        resource=f"urn:table:tpch.{rng.choice(TABLES)}",
        outcome="success",
        rows=rng.randrange(1, 10_000),
    )


def administered(world: World, tenant: TenantState) -> Iterator[Event]:
    """An administrator gives a user a role, a permission and a key, and takes them back."""
    admin, user = tenant.users[0], world.rng.choice(tenant.users[1:])
    resource, key_id = f"urn:table:tpch.{world.rng.choice(TABLES)}", world.number("k")
    yield RoleAssigned(actor_id=admin, user_id=user, role="analyst")
    yield PermissionGranted(
        actor_id=admin,
        grantee_id=user,
        permission="query.execute",
        resource=resource,
        expires_at=world.now() + timedelta(days=90),
    )
    yield ApiKeyCreated(actor_id=admin, key_id=key_id, last_four="x7Qa", name="nightly export")
    yield ApiCalled(
        actor_type="api_key",
        actor_id=key_id,
        service="export.platform.example",
        action="export.platform.example:CreateExport",
        resource_type="table",
        resource_id=resource,
        outcome="success",
        read_only=False,
        region=tenant.region,
        request_id=world.number("req"),
    )
    yield ApiKeyRevoked(actor_id=admin, key_id=key_id, reason="rotated")
    yield PermissionRevoked(
        actor_id=admin,
        grantee_id=user,
        permission="query.execute",
        resource=resource,
        reason="no longer needed",
    )
    yield RoleUnassigned(actor_id=admin, user_id=user, role="analyst", reason="no longer needed")


def erased(world: World, tenant: TenantState) -> Iterator[Event]:
    """A person asks for their data to be erased, and it is."""
    subject_id, request_id = world.number("c"), world.number("er")
    yield ErasureRequested(
        actor_id=tenant.users[0],
        subject_id=subject_id,
        request_id=request_id,
        due_at=world.now() + timedelta(days=30),
    )
    yield ErasureCompleted(
        actor_id="erasure-job",
        subject_id=subject_id,
        request_id=request_id,
        services=9,
        records_erased=world.rng.randrange(1, 500),
    )


def governed(world: World, tenant: TenantState) -> Iterator[Event]:
    """A policy is published and decides from the next bundle on; a column is classified."""
    rng, actor, table = world.rng, tenant.users[0], world.rng.choice(TABLES)
    policy_id = f"p-{table}"
    version = tenant.next_version(f"policy:{policy_id}")
    yield PolicyPublished(
        policy_id=policy_id,
        version=version,
        kind="access",
        mode="enforce",
        scope=f"urn:table:tpch.{table}",
        body='forbid (principal, action, resource) unless { principal in Team::"analysts" };',
        actor_id=actor,
    )
    tenant.policies[policy_id] = version
    yield _activated(tenant)
    if rng.random() < 0.2 and tenant.policies.get(policy_id) == version:
        del tenant.policies[policy_id]
        yield PolicyRevoked(policy_id=policy_id, version=version, actor_id=actor, reason="not needed")
        yield _activated(tenant)
    yield ClassificationChanged(
        asset=f"urn:column:tpch.{table}.comment",
        classification=rng.choice(("public", "internal", "personal")),
        actor_id=actor,
    )


def _activated(tenant: TenantState) -> Event:
    tenant.policy_revision += 1
    members = dict(sorted(tenant.policies.items()))
    return PolicyBundleActivated(
        revision=tenant.policy_revision,
        digest=hashlib.sha256(repr(members).encode()).hexdigest(),
        policies=len(members),
        members=members,
        previous_revision=tenant.policy_revision - 1,
    )
