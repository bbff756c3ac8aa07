"""Named places at which a test may stop the process: between two effects that a crash could tear apart.

Nothing happens at them in production: `reach` is a comparison. A test's process installs a hook and dies, or
raises, when the place it was told is reached.
"""

from collections.abc import Callable
from typing import TypeAlias

Hook: TypeAlias = Callable[[str], None]

_hook: Hook | None = None


def reach(name: str) -> None:
    """The process is at this place, named `component.what_has_happened`."""
    if _hook is not None:
        _hook(name)


def install(hook: Hook | None) -> None:
    """Call `hook` with every name from now on; None ends that. For tests."""
    global _hook  # noqa: PLW0603 - one process, one hook, and a comparison where there is none
    _hook = hook
