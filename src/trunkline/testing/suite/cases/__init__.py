"""One module a service, each with a `CASE: Final = Case(...)`; a service without one is not under the suite.

    CASE: Final = Case(service="billing-service", digest=state_digest)

Only services with a handler belong here. Give `events` if the platform's generated life does not reach what
the service does, and `settings` if it needs some.
"""

import importlib
import pkgutil

from trunkline.testing.suite.case import Case


def all_cases() -> list[Case]:
    """Every case, by name of its module."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return [importlib.import_module(f"{__name__}.{name}").CASE for name in names]
