"""YAML of resources: the same values come back, whoever reads it, and comments stand where they belong."""

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from trunkline.deploy.resource import Body, Field, Resource
from trunkline.deploy.text import document, documents

SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=30),
    st.sampled_from(
        ["yes", "no", "on", "off", "y", "n", "0x10", "1e3", "010", "1:30", "~", "null", "=", "<<"]
    ),
    st.sampled_from(["2026-11-23", "a: b", "# c", "- d", "line\n", "two\nlines", " padded ", "%", "@x", "`"]),
)
KEYS = st.one_of(
    st.from_regex(re.compile(r"[a-z][a-zA-Z0-9./_-]{0,20}", re.ASCII), fullmatch=True),
    st.sampled_from(["no", "on", "null"]),
)
BODIES = st.dictionaries(
    KEYS.filter(lambda key: key not in {"apiVersion", "kind", "metadata"}),
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
        max_leaves=12,
    ),
    max_size=3,
)


def resource(
    name: str = "kafka", *, kind: str = "Kafka", body: Body | None = None, why: dict[Field, str] | None = None
) -> Resource:
    return Resource(api_version="v1", kind=kind, name=name, body=body or {}, why=why or {})


@given(BODIES)
def test_whoever_reads_yaml_1_1_gets_the_same_values(body: Body) -> None:
    made = resource(body=body)
    assert yaml.safe_load(document(made)) == made.manifest()


def test_comments_stand_before_their_fields_also_inside_lists() -> None:
    body = {"spec": {"listeners": [{"name": "tls", "port": 9093}], "config": {"a": 1}}}
    why = {("spec", "listeners", 0, "port"): "Not 9092.", ("spec", "config"): "One.\nTwo."}
    assert document(resource(body=body, why=why)).splitlines()[4:] == [
        "spec:",
        "  # One.",
        "  # Two.",
        "  config:",
        "    a: 1",
        "  listeners:",
        "    - name: tls",
        "      # Not 9092.",
        "      port: 9093",
    ]


def test_a_comment_on_a_field_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="comments on fields it does not have"):
        document(resource(why={("spec", "gone"): "Because."}))


def test_the_order_in_which_resources_and_keys_are_given_does_not_matter() -> None:
    one = resource("a", body={"spec": {"x": 1, "y": 2}})
    other = resource("b", kind="Apple")
    turned = resource("a", body={"spec": {"y": 2, "x": 1}})
    assert documents([one, other]) == documents([other, turned])
    assert [found["kind"] for found in yaml.safe_load_all(documents([one, other]))] == ["Apple", "Kafka"]


def test_a_name_that_no_api_takes_is_refused() -> None:
    with pytest.raises(ValueError, match="DNS-1123"):
        resource("Tenant_Events")
