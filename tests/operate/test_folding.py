"""Lists with named items are compared item by item, and rights in words."""

from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.catalogue.load import load_catalogue
from trunkline.deploy.rendering import resources
from trunkline.operate.folding import Folded, folded, unfolded

TEXTS = st.text("abc", min_size=1, max_size=3)
TREES = st.recursive(
    st.one_of(st.integers(), st.booleans(), TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | st.just("name"), inner, max_size=3),
    max_leaves=15,
)


def user(*acls: object) -> dict[str, object]:
    return {"kind": "KafkaUser", "spec": {"authorization": {"acls": list(acls)}}}


def rights(*acls: object) -> list[str]:
    return list(folded(user(*acls))["spec"]["authorization"]["acls"])


@settings(deadline=None)
@given(TREES)
def test_folding_can_be_undone(tree: object) -> None:
    assert unfolded(folded({"spec": tree})) == {"spec": tree}


def test_folding_all_that_is_rendered_can_be_undone_but_for_users() -> None:
    for one in resources(load_catalogue(), "production"):
        if one.kind != "KafkaUser":
            assert unfolded(folded(one.manifest())) == one.manifest()


def test_a_null_is_a_field_that_is_not_there() -> None:
    acl = {"resource": {"type": "topic", "name": "t", "patternType": None}, "operations": ["Read"]}
    assert folded({"a": None, "b": [None, {"c": None}]}) == {"b": [None, {}]}
    assert rights({**acl, "host": None}) == ["Read on topic t"]


def test_items_are_told_apart_by_their_names_and_else_stay_a_list() -> None:
    made = folded(
        {"a": [{"name": "x"}, {"name": "y"}], "b": [{"name": "x"}, {"name": "x"}], "c": [1], "d": []}
    )
    assert isinstance(made["a"], Folded)
    assert list(made["a"]) == ["x", "y"]
    assert made["b"] == [{"name": "x"}, {"name": "x"}]
    assert (made["c"], made["d"]) == ([1], [])


def test_each_right_of_a_user_is_an_item_of_its_own() -> None:
    topic = {"type": "topic", "name": "t", "patternType": "literal"}
    group = {"type": "group", "name": "g", "patternType": "prefix"}
    assert rights(
        {"resource": topic, "operations": ["Read", "Describe"]},
        {"resource": group, "operations": ["Read"]},
        {"resource": {"type": "cluster"}, "operations": ["Describe"], "host": "*", "type": "allow"},
        {"resource": topic, "operations": ["Read"], "type": "deny", "host": "10.0.0.1"},
    ) == [
        "Read on topic t",
        "Describe on topic t",
        "Read on group g*",
        "Describe on cluster",
        "Read on topic t host 10.0.0.1 type deny",
    ]


def test_rights_grouped_otherwise_are_the_same_rights() -> None:
    topic = {"type": "topic", "name": "t"}
    explicit = {**topic, "patternType": "literal"}
    together = rights({"resource": topic, "operations": ["Read", "Write"]})
    apart = rights(
        {"resource": explicit, "operations": ["Write"]}, {"resource": topic, "operations": ["Read"]}
    )
    assert set(together) == set(apart)


def test_what_is_no_right_stays_something_that_can_be_told_apart() -> None:
    assert rights({"resource": 5, "operations": ["All"]}, "nonsense", {"x": 1}) == [
        '{"operations": ["All"], "resource": 5}',
        '"nonsense"',
        '{"x": 1}',
    ]
