"""A template of a tenant says what it is given, and can neither run long, nor grow large, nor look around."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import InvalidInput
from trunkline.services.settings.templating import (
    OUTPUT_MAX,
    TEXT_MAX,
    Template,
    TemplateFailed,
)

VALUES: dict[str, Any] = {
    "data": {"name": "x", "list": [1, 2, 3], "number": 4, "many": list(range(100)), "long": "y" * 4_000}
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ data.name|upper }}", "X"),
        ("{% for one in data.list %}{{ one }}{% if not loop.last %},{% endif %}{% endfor %}", "1,2,3"),
        ("{{ data.number * 2 }} {{ data.number % 3 }} {{ 3.14159|round(2) }}", "8 1 3.14"),
        ("{{ data.list|join('-') }}{{ data.nothing|default('?') }}", "1-2-3?"),
        ("{{ data|tojson|length > 10 }}", "True"),
        ("{{ 'many' if data.number > 1 else 'one' }}", "many"),
    ],
)
def test_it_says_what_it_is_given(text: str, expected: str) -> None:
    assert Template(text).render(VALUES) == expected


@pytest.mark.parametrize(
    "text",
    [
        "{% set x = 1 %}",
        "{{ range(10) }}",
        "{{ data.name.upper() }}",
        "{% macro x() %}{% endmacro %}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{% extends 'x' %}",
        "{% block x %}{% endblock %}",
        "{% for x in data.list recursive %}{% endfor %}",
        "{% for a in [] %}{% for b in [] %}{% for c in [] %}{% endfor %}{% endfor %}{% endfor %}",
        "{{ data.name|attr('x') }}",
        "{{ data.name|center(1000000000) }}",
        "{{ data.list|map('upper')|list }}",
        "{{ 2 ** 3 }}",
        "{{ _budget }}",
        "{{ data.name",
        "{{ " + "(" * 3_000 + ")" * 3_000 + " }}",
        "x" * (TEXT_MAX + 1),
    ],
)
def test_what_is_not_allowed_is_refused_when_it_is_set(text: str) -> None:
    with pytest.raises(InvalidInput):
        Template(text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ data.nothing }}",
        "{{ nothing }}",
        "{{ data.__class__ }}",
        "{{ data['__class__'] }}",
        "{{ data.name.__class__.__mro__ }}",
        "{{ data.get }}",
        "{{ 'a' * 1000000000 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ 1000000000 * 1000000000 * 1000000000 }}",
        "{{ 1|round(10000) }}",
        "{{ data|tojson(1000000000) }}",
        "{{ data.number / 0 }}",
        "{% for a in data.many %}{% for b in data.many %}{% endfor %}{% endfor %}",
        "{% for a in [data.long ~ data.long] %}{{ a }}{% endfor %}",
        "{{ data.long|join(data.long) }}",
        "{% for a in data.many %}{{ data.long }}{% endfor %}",
    ],
)
def test_what_goes_wrong_while_rendering_is_one_readable_error(text: str) -> None:
    with pytest.raises(TemplateFailed) as failure:
        Template(text).render(VALUES)
    assert "\n" not in str(failure.value)


def test_a_rendering_ends_at_its_deadline() -> None:
    """The clock is looked at in every round."""
    ticks = iter(range(10_000))
    with pytest.raises(TemplateFailed, match="longer than"):
        Template("{% for one in data.many %}{% endfor %}").render(VALUES, monotonic=lambda: next(ticks) / 10)


def test_values_are_escaped_in_markup_and_only_there() -> None:
    values = {"data": {"name": "<b>"}}
    assert Template("{{ data.name }}", markup=True).render(values) == "&lt;b&gt;"
    assert Template("{{ data.name }}").render(values) == "<b>"


@given(st.text(alphabet="{}%# abcdefor in|()[].,~*'\"_x1", max_size=60))
def test_any_text_is_refused_or_rendered_within_bounds(text: str) -> None:
    try:
        assert len(Template("{{ data.name }}" + text).render(VALUES)) <= OUTPUT_MAX
    except (InvalidInput, TemplateFailed):
        return
