"""What a change of a Kubernetes resource risks: of each kind by what its operator or the API server does."""

from typing import Final

from trunkline.catalogue.quantity import size_bytes
from trunkline.deploy.strimzi import CLUSTER_LABEL
from trunkline.operate.change import Risk
from trunkline.operate.difference import Difference
from trunkline.operate.kafka_risk import kafka_verdict, node_pool_verdict
from trunkline.operate.manifests import Manifest
from trunkline.operate.topic_risk import topic_creation, topic_verdict, user_verdict
from trunkline.operate.verdict import Surroundings, Verdict

_FOREIGN: Final = {
    "KafkaTopic": (Risk.DATA, "deleting it deletes the topic and its records"),
    "KafkaUser": (Risk.ACCESS, "deleting it takes the user's credentials and all its rights"),
    "KafkaNodePool": (Risk.DATA, "deleting it deletes its nodes"),
    "Kafka": (Risk.DATA, "deleting it deletes the cluster"),
    "PersistentVolumeClaim": (Risk.DATA, "deleting it deletes what is on the disk"),
}


def verdict(  # noqa: PLR0911 - a table
    difference: Difference, wanted: Manifest, found: Manifest, around: Surroundings
) -> Verdict:
    """What mending one difference of a resource risks."""
    if other := _other_cluster(wanted, found):
        return Verdict(
            risk=Risk.DATA,
            why=f"it belongs to Kafka cluster {other}, and changing its label deletes it there",
            remedy="leave it to that cluster: give one of the two another namespace",
        )
    match wanted["kind"]:
        case "KafkaTopic":
            return topic_verdict(difference, around)
        case "KafkaUser":
            return user_verdict(difference)
        case "KafkaNodePool":
            return node_pool_verdict(difference, wanted, found, around)
        case "Kafka":
            return kafka_verdict(difference)
        case "NetworkPolicy" if difference.at[0] == "spec":
            return Verdict(risk=Risk.ACCESS, why="connections that only the policy as found lets through end")
        case "PersistentVolumeClaim" if difference.at[0] == "spec":
            return _claim(difference)
        case "Deployment" if difference.at[:2] == ("spec", "selector"):
            return Verdict(
                risk=Risk.SAFE,
                why="the API server never changes which pods a Deployment has",
                remedy="delete the Deployment, which keeps no data, and apply again",
            )
        case "Deployment" if difference.at == ("spec", "replicas"):
            return Verdict(risk=Risk.SAFE, why="pods start or stop, and share the partitions anew")
        case "Deployment" if difference.at[:2] == ("spec", "template"):
            return Verdict(risk=Risk.SAFE, why="its pods are replaced one after the other")
        case _:
            return Verdict(risk=Risk.SAFE, why="it takes effect at once, and nothing is restarted")


def creation(wanted: Manifest, around: Surroundings) -> Verdict:
    """What creating a resource that is missing risks."""
    match wanted["kind"]:
        case "KafkaTopic":
            return topic_creation(around)
        case "KafkaUser":
            return Verdict(
                risk=Risk.SAFE,
                why="the user operator makes its credentials, and its rights are the catalogue's",
            )
        case "KafkaNodePool" if around.is_there and "controller" in wanted["spec"].get("roles", ()):
            return Verdict(
                risk=Risk.DATA,
                why="Strimzi's quorum of controllers is static: it neither grows nor moves to another pool",
                remedy="use the pool that there is: a cluster keeps the controllers that it began with",
            )
        case "KafkaNodePool" if around.is_there:
            return Verdict(risk=Risk.REBALANCE, why="its nodes stay empty until partitions are moved to them")
        case "NetworkPolicy" if around.is_there:
            return Verdict(
                risk=Risk.ACCESS,
                why="pods are running there, and connections that no policy lets through end",
            )
        case _:
            return Verdict(risk=Risk.SAFE, why="nothing of it is there yet")


def deletion(found: Manifest) -> Verdict:
    """About a resource of ours that the catalogue does not know. `apply` never deletes it."""
    kind, metadata = found["kind"], found["metadata"]
    risk, why = _FOREIGN.get(kind, (Risk.SAFE, "nothing of the catalogue needs it"))
    namespace = f" --namespace {metadata['namespace']}" if metadata.get("namespace") else ""
    command = f"kubectl delete {kind.lower()} {metadata['name']}{namespace}"
    unneeded = f"if nobody needs it, take it out of the files that deploy it: {command}"
    where = "put it into the catalogue, or " if kind in {"KafkaTopic", "KafkaUser"} else ""
    return Verdict(risk=risk, why=why, remedy=f"{where}{unneeded}")


def _other_cluster(wanted: Manifest, found: Manifest) -> str:
    """The Kafka cluster that the resource belongs to; empty where it is the wanted one, or none."""
    ours, theirs = (one["metadata"].get("labels") or {} for one in (wanted, found))
    cluster = theirs.get(CLUSTER_LABEL)
    is_other = CLUSTER_LABEL in ours and cluster not in (None, ours[CLUSTER_LABEL])
    return str(cluster) if is_other else ""


def _claim(difference: Difference) -> Verdict:
    is_size = difference.at[1:3] == ("resources", "requests")
    after, before = size_bytes(str(difference.wanted)), size_bytes(str(difference.found))
    if is_size and after is not None and before is not None and after > before:
        return Verdict(risk=Risk.SAFE, why="the disk grows, if its storage class lets it")
    return Verdict(
        risk=Risk.DATA,
        why="the API server changes nothing of a disk but its size, and only to more",
        remedy=f"copy the data to a new disk, or set {difference.found} in the catalogue",
    )
