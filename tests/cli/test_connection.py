"""The security properties of a command: from a file, from the environment, under librdkafka's names."""

from pathlib import Path

import pytest

from trunkline.cli import _connection
from trunkline.errors import InvalidInput


def test_variables_are_named_after_the_properties() -> None:
    environment = {
        "TRUNKLINE_SASL_MECHANISM": "SCRAM-SHA-512",
        "TRUNKLINE_SSL_CA_LOCATION": "/ca.pem",
        "TRUNKLINE_SECURITY_PROTOCOL": "SASL_SSL",
        "TRUNKLINE_DATA_DIR": "elsewhere",
        "SASL_MECHANISM": "somebody else's",
    }
    assert _connection.of_environment(environment) == {
        "sasl.mechanism": "SCRAM-SHA-512",
        "ssl.ca.location": "/ca.pem",
        "security.protocol": "SASL_SSL",
    }


def test_who_somebody_is_can_be_taken_from_the_environment() -> None:
    environment = {
        "TRUNKLINE_SASL_PASSWORD": "secret",
        "TRUNKLINE_ENABLE_SSL_CERTIFICATE_VERIFICATION": "false",
        "TRUNKLINE_CLIENT_PROPERTIES": "client.properties",
        "TRUNKLINE_DATA_DIR": "elsewhere",
    }
    assert _connection.without_security(environment) == {"TRUNKLINE_DATA_DIR": "elsewhere"}


def test_a_file_is_read_and_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "client.properties"
    file.write_text("# mine\n\nsasl.username = audit\nsasl.password=a=b\n")
    monkeypatch.setenv("TRUNKLINE_SASL_PASSWORD", "better")
    options = _connection.connection("kafka:9092", client_id="audit", properties=file)
    assert options.security == {"sasl.username": "audit", "sasl.password": "better"}
    assert (options.bootstrap_servers, options.client_id) == ("kafka:9092", "audit")


@pytest.mark.parametrize(
    ("content", "why"), [("no equals", "line 1: not NAME=VALUE"), ("acks=0", "acks is not")]
)
def test_what_is_no_security_property_is_refused(tmp_path: Path, content: str, why: str) -> None:
    file = tmp_path / "client.properties"
    file.write_text(content)
    with pytest.raises(InvalidInput, match=why):
        _connection.connection("kafka:9092", properties=file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="absent"):
        _connection.connection("kafka:9092", properties=tmp_path / "absent")


def test_a_password_is_read_from_the_file_that_a_secret_is_mounted_as(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted = tmp_path / "password"
    mounted.write_text("pass word \n")
    monkeypatch.setenv("TRUNKLINE_SASL_PASSWORD_FILE", str(mounted))
    assert _connection.connection("kafka:9092").security == {"sasl.password": "pass word "}


def test_the_environments_password_file_wins_over_the_propertiess_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    properties, mounted = tmp_path / "client.properties", tmp_path / "password"
    properties.write_text("sasl.username=audit\nsasl.password=old\n")
    mounted.write_text("new")
    monkeypatch.setenv("TRUNKLINE_SASL_PASSWORD_FILE", str(mounted))
    security = _connection.connection("kafka:9092", properties=properties).security
    assert security == {"sasl.username": "audit", "sasl.password": "new"}


def test_a_properties_file_may_name_the_passwords_file(tmp_path: Path) -> None:
    properties, mounted = tmp_path / "client.properties", tmp_path / "password"
    properties.write_text(f"sasl.password.file={mounted}\n")
    mounted.write_text("secret")
    assert _connection.connection("kafka:9092", properties=properties).security == {"sasl.password": "secret"}


@pytest.mark.parametrize(
    ("content", "why"), [(None, "No such file"), (b"\n", "is empty"), (b"\xff", "can't decode byte")]
)
def test_a_password_file_that_holds_none_is_named(tmp_path: Path, content: bytes | None, why: str) -> None:
    mounted = tmp_path / "password"
    if content is not None:
        mounted.write_bytes(content)
    with pytest.raises(InvalidInput, match=f"the environment: sasl.password.file {mounted}.*{why}"):
        _connection.with_password({"sasl.password.file": str(mounted)}, where="the environment")


def test_a_password_beside_its_file_is_refused(tmp_path: Path) -> None:
    given = {"sasl.password": "secret", "sasl.password.file": str(tmp_path / "password")}
    with pytest.raises(InvalidInput, match="give one of them") as refused:
        _connection.with_password(given, where="the environment")
    assert "secret" not in str(refused.value)
