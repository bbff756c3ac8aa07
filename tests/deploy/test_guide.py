"""The page beside an overlay: it names what this environment needs, and only that."""

from typing import Any

import pytest

from trunkline.catalogue.cluster import Authentication
from trunkline.catalogue.load import load_catalogue
from trunkline.deploy.guide import guide
from trunkline.testing.clusters import a_cluster, with_reports

CATALOGUE = load_catalogue()
COPIED = "a pod mounts Secrets of its own namespace only"


def page(environment: str = "production", **changes: Any) -> str:
    return guide(CATALOGUE, environment, a_cluster(**changes))


def test_every_service_has_its_secret() -> None:
    text = page()
    for service in CATALOGUE.services:
        assert f"`{service}-store`" in text


def test_a_service_that_this_version_cannot_run_is_said_to_be_yours() -> None:
    text = guide(with_reports(), "production", a_cluster())
    assert "`report-service`: this version has no code for it." in text
    assert "labels `app.kubernetes.io/part-of=trunkline,app.kubernetes.io/component=service`" in text
    assert "`report-service-store`" not in text
    assert "What you run yourself" not in page()


@pytest.mark.parametrize(
    ("authentication", "named", "unnamed"),
    [
        (Authentication.TLS, "`user.crt` and `user.key`", "`password`"),
        (Authentication.SCRAM, "`password`", "`user.key`"),
    ],
)
def test_it_names_the_keys_that_are_mounted(authentication: Authentication, named: str, unnamed: str) -> None:
    text = page(authentication=authentication)
    assert named in text
    assert unnamed not in text


def test_secrets_have_to_be_copied_only_into_another_namespace() -> None:
    assert COPIED in page()
    assert COPIED not in page(services_namespace="kafka")


def test_commands_name_the_cluster_and_the_overlay() -> None:
    text = page("development", name="small", namespace="here")
    assert "kubectl kustomize overlays/development" in text
    assert "kubectl wait --namespace here kafka/small" in text
