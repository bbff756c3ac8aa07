"""A small writer of Python source, shared by the two compilers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Source:
    """Collects the lines and the constants of one function."""

    def __init__(self, name: str, *parameters: str) -> None:
        self._name = name
        self._lines = [f"def {name}({', '.join(parameters)}):"]
        self._depth = 1
        self._names = 0
        self.constants: dict[str, Any] = {}

    def line(self, text: str) -> None:
        """Adds a line at the present depth."""
        self._lines.append("    " * self._depth + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Indents what is written inside, below `head`."""
        self.line(head)
        self._depth += 1
        yield
        self._depth -= 1

    def name(self, stem: str) -> str:
        """A local variable that nothing else uses."""
        self._names += 1
        return f"{stem}_{self._names}"

    def constant(self, stem: str, value: Any) -> str:
        """Binds `value` under a fresh global name of the function."""
        name = self.name(f"c_{stem}")
        self.constants[name] = value
        return name

    def compile(self, title: str) -> Callable[..., Any]:
        """The finished function; `title` stands in tracebacks for a file name."""
        code = compile("\n".join(self._lines), f"<{title}>", "exec")
        exec(code, self.constants)  # noqa: S102 - the source is made here from declarations, never from input
        function: Callable[..., Any] = self.constants[self._name]
        return function
