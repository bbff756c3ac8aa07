"""What brokers with an authoriser let each user do, tried with real clients, is what the catalogue says.

Every user tries every operation on every topic, on every group, and on the cluster; a right too many and a
right too few are both deviations. The rights are as `trunkline apply` has put them there: on production's
three brokers, whose users show certificates, and on development's one, with passwords.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.client.config import admin_config
from trunkline.client.errors import KafkaFailed
from trunkline.client.kafka import Admin
from trunkline.client.kafka.acls import Acls, Binding
from trunkline.deploy.users import OPERATOR
from trunkline.testing.access_matrix import Tried, topics, tried_by, user_rights
from trunkline.testing.consuming import eventually
from trunkline.testing.kafka import KafkaCluster
from trunkline.testing.kafka_config import Sasl, Tls

CATALOGUE: Final = load_catalogue()
USERS: Final = tuple(user_rights(CATALOGUE))
ROOT: Final = "root"
TOPIC: Final = "ai.agent.events"

pytestmark = pytest.mark.kafka


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An environment, how its brokers know their users, and what they take a user for."""

    environment: str
    brokers: int
    principal: str
    sasl: Sasl | None
    tls: Tls


CASES: Final = {
    "certificates": Case(
        environment="production",
        brokers=3,
        principal="User:CN={name}",
        sasl=None,
        tls=Tls(users=(*USERS, ROOT), superusers=(ROOT,)),
    ),
    "passwords": Case(
        environment="development",
        brokers=1,
        principal="User:{name}",
        sasl=Sasl(
            users=dict.fromkeys((*USERS, ROOT), "secret"), superusers=(ROOT,), mechanism="SCRAM-SHA-512"
        ),
        tls=Tls(),
    ),
}


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture(scope="module")
def guarded(
    case: Case,
    tmp_path_factory: pytest.TempPathFactory,
    kafka_home: Path | None,
    set_up: Callable[..., None],
) -> Iterator[KafkaCluster]:
    """A cluster set up by `trunkline apply`, on whose every broker all of that has arrived."""
    with KafkaCluster(
        tmp_path_factory.mktemp("access"),
        brokers=case.brokers,
        sasl=case.sasl,
        tls=case.tls,
        kafka_home=kafka_home,
    ) as cluster:
        set_up(cluster, user=ROOT, environment=case.environment, principal=case.principal)
        for broker in cluster.brokers:
            eventually(partial(_has_arrived, cluster, broker.number))
        yield cluster


def _has_arrived(cluster: KafkaCluster, broker: int) -> bool:
    """The ACLs are created in the order of principals, and the operator's are the last."""
    try:
        Admin(admin_config(cluster.connection(OPERATOR))).topic_config_at(broker, topics(CATALOGUE)[-1])
    except KafkaFailed:
        return False
    return True


@pytest.mark.parametrize("user", USERS)
def test_the_brokers_let_each_user_do_what_the_catalogue_says_and_nothing_else(
    guarded: KafkaCluster, user: str
) -> None:
    tried = tried_by(user, guarded.connection(user), CATALOGUE)
    assert deviations(tried) == []
    # Neither half is empty: something was allowed, and something denied.
    assert 0 < sum(one.allowed for one in tried) < len(tried)


def test_to_try_has_changed_nothing(guarded: KafkaCluster) -> None:
    tried_by(OPERATOR, guarded.connection(OPERATOR), CATALOGUE)
    admin = Admin(admin_config(guarded.connection(ROOT)))
    assert set(admin.describe(topics(CATALOGUE))) == set(topics(CATALOGUE))
    partitions = [key for key in admin.cluster().partitions if key[0] in topics(CATALOGUE)]
    assert set(admin.offsets(partitions).values()) == {(0, 0)}
    assert admin.groups() == []


def test_a_right_too_many_and_a_right_too_few_are_found(case: Case, guarded: KafkaCluster) -> None:
    principal = case.principal.format(name="audit-service")
    acls = Acls(admin_config(guarded.connection(ROOT)))
    too_many = [
        Binding(principal, "topic", TOPIC, "literal", "Delete"),
        Binding(principal, "topic", "pipeline.", "prefix", "Write"),
        Binding(principal, "group", "billing-service", "literal", "Read"),
        Binding("User:*", "cluster", "kafka-cluster", "literal", "Create"),
    ]
    too_few = [Binding(principal, "topic", TOPIC, "literal", "Read")]
    acls.create(too_many)
    acls.delete(too_few)
    expected = [
        "audit-service may Create cluster kafka-cluster, and may not",
        f"audit-service may Delete topic {TOPIC}, and may not",
        "audit-service may Describe group billing-service, and may not",
        "audit-service may Read group billing-service, and may not",
        "audit-service may Write topic pipeline.job.events, and may not",
        f"audit-service may not Read topic {TOPIC}, and may",
        # Create on the cluster is Create on every topic.
        *(f"audit-service may Create topic {name}, and may not" for name in topics(CATALOGUE)),
    ]

    def found() -> list[str]:
        return deviations(tried_by("audit-service", guarded.connection("audit-service"), CATALOGUE))

    try:
        eventually(lambda: sorted(found()) == sorted(expected))
    finally:
        acls.delete(too_many)
        acls.create(too_few)
    eventually(lambda: found() == [])


def deviations(tried: list[Tried]) -> list[str]:
    return [str(one) for one in tried if one.deviates]
