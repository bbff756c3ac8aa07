"""Whether the cluster lets this client in, its brokers, and the versions of everything."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from trunkline import __version__
from trunkline.catalogue.model import Environment
from trunkline.client.kafka import ClusterState
from trunkline.client.kafka.survey import library_versions
from trunkline.operate.doctor.findings import Family, Finding, failed, not_checked, not_used, ok, warning
from trunkline.operate.doctor.greeting import METADATA, Greeting
from trunkline.operate.doctor.reach import Contact, why_silent
from trunkline.operate.doctor.tls import protocol, uses_tls

FIRST_LEVELS: Final[Mapping[str, int]] = {
    "3.3": 7,
    "3.4": 8,
    "3.5": 9,
    "3.6": 12,
    "3.7": 15,
    "3.8": 20,
    "3.9": 21,
    "4.0": 22,
    "4.1": 26,
    "4.2": 28,
    "4.3": 30,
}
"""The first feature level of `metadata.version` in each release of Kafka (MetadataVersion.java of 4.3)."""

GROUP_FEATURE: Final = "group.version"
ADVERTISED_ADVICE: Final = (
    "correct the listener's advertised name and port (Strimzi: `advertisedHost` and `advertisedPort` of the "
    "listener), or use the listener that is meant for this network"
)


def way_in(security: Mapping[str, str]) -> str:
    """How the client proves who it is; never a secret."""
    if protocol(security).startswith("SASL"):
        mechanism = security.get("sasl.mechanism", security.get("sasl.mechanisms", "GSSAPI"))
        user = security.get("sasl.username")
        return f"{mechanism} as {user}" if user else mechanism
    if uses_tls(security) and any(name in security for name in _SHOWN):
        return "the client's certificate"
    return ""


_SHOWN: Final = ("ssl.certificate.location", "ssl.certificate.pem", "ssl.keystore.location")


def let_in(security: Mapping[str, str]) -> Finding:
    """For who has had an answer from the cluster."""
    way = way_in(security)
    if not way:
        return not_used(
            Family.CREDENTIALS, "", "the brokers let in who comes with neither password nor certificate"
        )
    return ok(Family.CREDENTIALS, way, "accepted")


def brokers(
    state: ClusterState, advertised: Sequence[Contact], environment: Environment
) -> Iterator[Finding]:
    """Their number against the environment's, and whether each can be reached where it says it is."""
    text = f"{len(state.brokers)} up ({', '.join(map(str, sorted(state.brokers)))})"
    if len(state.brokers) == environment.brokers:
        yield ok(Family.BROKERS, "", text)
    else:
        # With fewer brokers than replicas have to be in sync no publisher is answered.
        found = failed if len(state.brokers) < environment.min_insync_replicas else warning
        yield found(
            Family.BROKERS,
            "",
            f"{text}, the contract has {environment.brokers} in {environment.name}",
            "see why others are down, or give the --environment that this is",
        )
    for one in advertised:
        yield _advertised(one)


def identified(cluster_id: str) -> Finding:
    """Which cluster this is: whose controller has answered."""
    return ok(Family.BROKERS, "cluster", cluster_id)


def _advertised(found: Contact) -> Finding:
    about = f"advertised listener {found.address}"
    if found.unresolved:
        text = f"its name cannot be resolved ({found.unresolved})"
    elif not found.answered:
        text = f"nothing accepts a connection ({why_silent(found)})"
    else:
        return ok(Family.BROKERS, about, "connected")
    return failed(
        Family.BROKERS, about, f"{text}; clients are sent there by the bootstrap", ADVERTISED_ADVICE
    )


def versions(greeting: Greeting | None, why: str) -> Iterator[Finding]:
    """Ours, and what the broker lets see of its own; `why` it lets see nothing, where it does not."""
    ours = {"trunkline": __version__, **library_versions()}
    yield ok(Family.VERSIONS, "", ", ".join(f"{name} {version}" for name, version in ours.items()))
    if greeting is None:
        yield not_checked(Family.VERSIONS, "broker", f"it was not asked what it speaks ({why})")
        return
    level = greeting.features.get(METADATA)
    if level is None:
        yield ok(
            Family.VERSIONS,
            "broker",
            f"answers {len(greeting.apis)} APIs and has no {METADATA}, as the embedded one",
        )
        return
    text = f"{METADATA} {level}, of Kafka {release(level)}; {len(greeting.apis)} APIs"
    if greeting.features.get(GROUP_FEATURE, 0) < 1:
        text += "; without KIP-848, so --group-protocol has to be classic"
    yield ok(Family.VERSIONS, "broker", text)


def release(level: int) -> str:
    """The release of Kafka that has brought a level of `metadata.version`, or the newest one known."""
    found = [name for name, first in FIRST_LEVELS.items() if first <= level]
    newest = list(FIRST_LEVELS)[-1]
    return f"{newest} or newer" if found and found[-1] == newest else found[-1] if found else "before 3.3"
