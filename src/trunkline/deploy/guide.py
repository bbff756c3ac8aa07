"""The page beside an overlay: what has to be on the cluster before it is applied, and what is never in it."""

from collections.abc import Iterable, Iterator

from trunkline.catalogue.cluster import Cluster
from trunkline.catalogue.model import Catalogue
from trunkline.deploy import connecting, pods
from trunkline.deploy.labels import ALL_SERVICES
from trunkline.deploy.network_policies import CALLERS
from trunkline.deploy.scope import EXPORTER
from trunkline.deploy.service_needs import is_any_scaled, needs, runnable
from trunkline.deploy.users import OPERATOR


def guide(catalogue: Catalogue, environment: str, cluster: Cluster) -> str:
    """Markdown with this environment's own names."""
    return "\n".join(_lines(catalogue, environment, cluster)) + "\n"


def _lines(catalogue: Catalogue, environment: str, cluster: Cluster) -> Iterator[str]:
    yield f"# {cluster.name}, {environment}"
    yield ""
    yield "Written by `trunkline render`: change the catalogue and render again."
    yield ""
    yield "## Before"
    yield ""
    yield from _operators(catalogue, environment, cluster)
    yield ""
    yield "## Secrets that you make"
    yield ""
    yield f"In the namespace `{cluster.services_namespace}`. None of them is ever rendered."
    yield ""
    yield from _secrets(catalogue, cluster)
    yield ""
    yield from _run_elsewhere(catalogue, cluster)
    yield "## Secrets that Strimzi makes"
    yield ""
    yield from _strimzi_secrets(cluster)
    yield ""
    yield "## Apply"
    yield ""
    yield "```sh"
    yield f"kubectl kustomize overlays/{environment} | kubectl apply --server-side --filename -"
    yield (
        f"kubectl wait --namespace {cluster.namespace} kafka/{cluster.name} --for=condition=Ready "
        "--timeout=15m"
    )
    yield "```"
    yield ""
    yield (
        "The services may be applied with it: they wait for the brokers, and their pods for the Secrets. "
        "To change a resource beyond what the catalogue says, make an overlay of your own on this one."
    )


def _operators(catalogue: Catalogue, environment: str, cluster: Cluster) -> Iterator[str]:
    is_shared = cluster.services_namespace == cluster.namespace
    brokers = "the brokers and the services" if is_shared else "the brokers"
    prometheus = f"`{cluster.monitoring_namespace}` (Prometheus)"
    yield f"- The namespaces `{cluster.namespace}` ({brokers}) and {prometheus}."
    yield f"- Strimzi 1.2, watching `{cluster.namespace}`."
    yield "- The Prometheus operator, with kube-state-metrics."
    if is_any_scaled(catalogue, environment, cluster):
        yield "- KEDA 2.17 or newer in the namespace `keda`: the brokers' listener lets its operator in."
    yield f"- The image `{cluster.services.image}`, where the nodes can pull it."
    yield (
        f"- The label `{_label(CALLERS)}` on namespaces whose pods call the services' APIs, such as that of "
        "an ingress controller."
    )


def _label(labels: dict[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in labels.items())


def _secrets(catalogue: Catalogue, cluster: Cluster) -> Iterator[str]:
    yield "| Secret | keys | |"
    yield "|---|---|---|"
    keys = ", ".join(f"`{key}`" for key in pods.STORE_KEYS)
    names = ", ".join(f"`{pods.store_secret(service)}`" for service in sorted(runnable(catalogue)))
    yield f"| {names} | {keys} | URLs of two PostgreSQL databases of its own, and 32 random bytes |"
    yield (
        f"| `{pods.TOKENS_SECRET}` | `{pods.TOKENS_KEY}` | the Ed25519 public key that API tokens are "
        "checked with |"
    )
    yield (
        f"| `{pods.DATABASE_CA_SECRET}` | any | optional: mounted at `{pods.DATABASE_CA_DIRECTORY}`, for "
        f"`?sslmode=verify-full&sslrootcert={pods.DATABASE_CA_DIRECTORY}/ca.crt` in the URLs |"
    )
    for service in _with_more_secrets(catalogue):
        yield (
            f"| `{pods.extra_secret(service)}` | any | optional: mounted at `{pods.SECRETS_DIRECTORY}`, for "
            f"`file:{pods.SECRETS_DIRECTORY}/KEY` in the configuration |"
        )
    yield ""
    yield "For example:"
    yield ""
    yield "```sh"
    yield "head --bytes 32 /dev/urandom > master.key"
    yield f"kubectl create secret generic audit-service-store --namespace {cluster.services_namespace} \\"
    yield "  --from-file=master.key \\"
    yield "  --from-literal=store='postgresql://audit:PASSWORD@db/audit?sslmode=verify-full&sslrootcert=…' \\"
    yield "  --from-literal=keys='postgresql://audit:PASSWORD@db/audit_keys?sslmode=verify-full&sslrootcert=…'"
    yield "```"
    yield ""
    yield (
        "Back `master.key` up apart from the databases. Without it nobody reads personal data again; a "
        "service does not start without one."
    )


def _run_elsewhere(catalogue: Catalogue, cluster: Cluster) -> Iterator[str]:
    ours = runnable(catalogue)
    others = ", ".join(f"`{service}`" for service in sorted(catalogue.services) if service not in ours)
    if others:
        yield "## What you run yourself"
        yield ""
        yield (
            f"{others}: this version has no code for it. Its KafkaUser, rights, quota and alerts on its lag "
            "are here; its Deployment is yours, with the Secret of its name. In the namespace "
            f"`{cluster.services_namespace}` its pods need the labels `{_label(ALL_SERVICES)}`: by them the "
            "brokers' listener lets them in, and they may reach what every service may."
        )
        yield ""


def _with_more_secrets(catalogue: Catalogue) -> Iterable[str]:
    return [service for service in runnable(catalogue) if needs(service).reads_secrets]


def _strimzi_secrets(cluster: Cluster) -> Iterator[str]:
    user = " and ".join(f"`{key}`" for key in connecting.user_files(cluster))
    yield (
        f"`{connecting.ca_secret(cluster)}` with `ca.crt`, and with {user} one by the name of each service, "
        f"`{EXPORTER}` for the pod that tells lags, and `{OPERATOR}` for people. Strimzi keeps them in "
        f"`{cluster.namespace}`."
    )
    if cluster.services_namespace != cluster.namespace:
        yield ""
        yield (
            f"The pods are in `{cluster.services_namespace}`, and a pod mounts Secrets of its own namespace "
            "only. So something has to copy these and keep the copies current: a reflector, or External "
            "Secrets. The first time, by hand:"
        )
        yield ""
        yield "```sh"
        yield (
            f"kubectl get secret audit-service --namespace {cluster.namespace} --output json \\\n"
            "  | jq '{apiVersion, kind, type, data, metadata: {name: .metadata.name}}' \\\n"
            f"  | kubectl apply --namespace {cluster.services_namespace} --filename -"
        )
        yield "```"
    yield ""
    yield (
        "They are renewed 30 days before they expire. The services read them at the start: where Stakater's "
        "Reloader runs it restarts them, elsewhere do so within these 30 days with "
        f"`kubectl rollout restart deployment --namespace {cluster.services_namespace}`."
    )
