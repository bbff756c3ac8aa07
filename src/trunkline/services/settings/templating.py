"""Templates that people of a tenant may write: a part of Jinja2 that always ends soon and never grows large.

Jinja2's sandbox keeps a template away from Python's internals; it bounds neither time nor memory. So what a
template may consist of is listed here: output, conditions, loops over what an event has, and the filters of
`FILTERS`. There is no assignment, no call, no macro and no inclusion, hence nothing that grows by itself;
loops together make at most `STEPS_MAX` rounds and end at the deadline. Undefined names are errors.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from trunkline.errors import InvalidInput, TrunklineError

if TYPE_CHECKING:
    from jinja2 import Template as Jinja
    from jinja2.environment import Environment

TEXT_MAX: Final = 8_192
"""Characters of a template. With `STEPS_MAX` this bounds the work of a rendering."""
OUTPUT_MAX: Final = 64 * 1024
STEPS_MAX: Final = 1_000
"""Rounds of all loops of one rendering together."""
NESTING_MAX: Final = 2
"""Loops within loops."""
SECONDS_MAX: Final = 0.25
NUMBER_MAX: Final = 10**18
"""Of a product: Python's integers have no end of their own."""
ITEM_MAX: Final = 4_096
"""Characters of a text that is looped over: a loop could otherwise stand in for an assignment."""
PLACES_MAX: Final = 9


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FILTERS: Final = _words(
    "abs capitalize count default d dictsort escape e first float int items join last length list lower max "
    "min reject reverse round select sort string sum title tojson trim truncate unique upper"
)
"""Jinja2's filters that make nothing larger than what they are given by more than a constant factor."""

_NODES: Final = _words(
    "Template Output TemplateData Name Const Getattr Getitem If For Filter Test Compare Operand And Or Not "
    "CondExpr Add Sub Mul Div FloorDiv Mod Neg Pos Concat List Tuple Keyword"
)
_BUDGET: Final = "_budget"


class TemplateFailed(TrunklineError):  # noqa: N818 - named for what happened
    """A template could not be rendered with these values; the text says why, in one line."""


class Template:
    """A template that was accepted. Rendering is thread-safe."""

    __slots__ = ("_jinja", "text")

    def __init__(self, text: str, *, markup: bool = False) -> None:
        """With `markup` values are escaped for HTML. Raises `InvalidInput` for what is not allowed."""
        self.text = text
        self._jinja = _compiled(text, markup=markup)

    def render(self, values: Mapping[str, Any], *, monotonic: Callable[[], float] = time.monotonic) -> str:
        """The text. Raises `TemplateFailed`, also for one that takes too long or becomes too large."""
        budget = _Budget(monotonic() + SECONDS_MAX, monotonic)
        try:
            return budget.gathered(self._jinja.generate({**values, _BUDGET: budget}))
        except TemplateFailed:
            raise
        except Exception as error:
            # Whatever a template of a user raises is the template's mistake: Jinja2 wraps nothing.
            raise TemplateFailed(" ".join(str(error).split()) or type(error).__name__) from error


class _Budget:
    """What is left of one rendering's rounds and time."""

    __slots__ = ("_deadline", "_left", "_monotonic")

    def __init__(self, deadline: float, monotonic: Callable[[], float]) -> None:
        self._deadline = deadline
        self._monotonic = monotonic
        self._left = STEPS_MAX

    def look(self) -> None:
        if self._monotonic() > self._deadline:
            raise TemplateFailed(f"rendering took longer than {SECONDS_MAX:g} s")

    def gathered(self, parts: Iterable[str]) -> str:
        gathered: list[str] = []
        size = 0
        for part in parts:
            size += len(part)
            if size > OUTPUT_MAX:
                raise TemplateFailed(f"the text is longer than {OUTPUT_MAX} characters")
            self.look()
            gathered.append(part)
        return "".join(gathered)

    def spent_on(self, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            self._left -= 1
            if self._left < 0:
                raise TemplateFailed(f"the loops make more than {STEPS_MAX} rounds")
            self.look()
            if isinstance(item, str) and len(item) > ITEM_MAX:
                raise TemplateFailed(f"a loop over a text longer than {ITEM_MAX} characters")
            yield item


@cache
def _environment(markup: bool) -> "Environment":
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Bounded(ImmutableSandboxedEnvironment):
        """Refuses operations whose result could be far larger than what they work on."""

        intercepted_binops = frozenset({"*", "%"})

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            if not all(isinstance(value, int | float) for value in (left, right)):
                raise TemplateFailed(f"`{operator}` is for numbers here")
            result = super().call_binop(context, operator, left, right)
            if abs(result) > NUMBER_MAX:
                raise TemplateFailed(f"a number is larger than {NUMBER_MAX:.0e}")
            return result

    environment = Bounded(undefined=StrictUndefined, autoescape=markup, cache_size=0, finalize=_require_value)
    theirs = {name: function for name, function in environment.filters.items() if name in FILTERS}
    # Those that an argument could make large are ours.
    environment.filters = {**theirs, "join": _join, "round": _round, "tojson": _tojson, _BUDGET: _spend}
    environment.globals.clear()
    return environment


def _spend(items: Iterable[Any], budget: _Budget) -> Iterator[Any]:
    return budget.spent_on(items)


def _join(items: Iterable[Any], separator: str = "") -> str:
    texts = [str(item) for item in items]
    size = sum(map(len, texts)) + len(separator) * len(texts)
    if size > OUTPUT_MAX:
        raise TemplateFailed(f"joined, this is longer than {OUTPUT_MAX} characters")
    return separator.join(texts)


def _round(value: float, places: int = 0) -> float:
    if not 0 <= places <= PLACES_MAX:
        raise TemplateFailed(f"round takes 0 to {PLACES_MAX} places")
    return round(value, places)


def _tojson(value: Any) -> str:
    from jinja2.utils import htmlsafe_json_dumps

    return htmlsafe_json_dumps(value, sort_keys=True)


def _require_value(value: Any) -> Any:
    from jinja2 import Undefined

    if callable(value) and not isinstance(value, Undefined) and not hasattr(value, "__html__"):
        raise TemplateFailed("this is a function, not a value")
    return value


def _compiled(text: str, *, markup: bool) -> "Jinja":
    from jinja2 import Template as Jinja
    from jinja2 import TemplateError

    if len(text) > TEXT_MAX:
        raise InvalidInput(f"a template has at most {TEXT_MAX} characters, not {len(text)}")
    environment = _environment(markup)
    try:
        tree = environment.parse(text)
        _restrict(tree, loops=0)
        code = environment.compile(tree)
    except (TemplateError, RecursionError) as error:
        raise InvalidInput(f"template {_shown(text)}: {' '.join(str(error).split())}") from error
    except _NotAllowed as error:
        raise InvalidInput(f"template {_shown(text)}: line {error.line}: {error}") from error
    return Jinja.from_code(environment, code, environment.make_globals(None))


class _NotAllowed(Exception):  # noqa: N818 - becomes an InvalidInput with the template's text
    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def _restrict(node: Any, *, loops: int) -> None:
    """Refuse what is not listed, and make every loop count its rounds."""
    from jinja2 import nodes

    kind = type(node).__name__
    if kind not in _NODES:
        raise _NotAllowed(node.lineno, f"{kind.lower()} is not for templates of notifications")
    if isinstance(node, nodes.Filter):
        if node.name not in FILTERS:
            raise _NotAllowed(node.lineno, f"no filter {node.name!r}; there are {', '.join(sorted(FILTERS))}")
    elif isinstance(node, nodes.Name) and node.name.startswith("_"):
        raise _NotAllowed(node.lineno, f"no name {node.name!r}")
    if isinstance(node, nodes.For):
        loops += 1
        if node.recursive or loops > NESTING_MAX:
            raise _NotAllowed(node.lineno, f"loops nest at most {NESTING_MAX} deep")
    for child in node.iter_child_nodes():
        _restrict(child, loops=loops)
    if isinstance(node, nodes.For):
        budget = nodes.Name(_BUDGET, "load", lineno=node.lineno)
        node.iter = nodes.Filter(node.iter, _BUDGET, [budget], [], None, None, lineno=node.lineno)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "…")
