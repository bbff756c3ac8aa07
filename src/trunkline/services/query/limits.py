"""What is set for a tenant, with what holds where nothing is."""

from dataclasses import dataclass
from typing import Any, Final, TypeVar

from trunkline.client.log import Log
from trunkline.errors import InvalidInput
from trunkline.services.app import Settings
from trunkline.services.query.database import Limits
from trunkline.services.settings.platform import QUERY_ROWS, QUERY_TIMEOUT
from trunkline.services.settings.query import DATA_SET, DEFAULT_ACCESS, LOG_ROWS, DataSet
from trunkline.services.settings.registry import Definition

LOG_ROWS_DEFAULT: Final = 10_000

T = TypeVar("T")

_log = Log("trunkline.query")


@dataclass(frozen=True, slots=True)
class QuerySettings:
    """The settings of the query engine. A value that cannot be is refused where it is set; one that arrives
    all the same counts as none."""

    settings: Settings

    def limits(self, tenant: str) -> Limits:
        """What one query of the tenant may take."""
        usual = Limits()
        return Limits(
            timeout_ms=self._read(QUERY_TIMEOUT, tenant, usual.timeout_ms),
            rows_max=self._read(QUERY_ROWS, tenant, usual.rows_max),
        )

    def open_by_default(self, tenant: str) -> bool:
        """Whether tables that no access policy is about may be read.

        A value that cannot be read closes them: somebody wanted something else than the default.
        """
        return self._read(DEFAULT_ACCESS, tenant, "open", instead="closed") == "open"

    def data_set(self, tenant: str) -> DataSet:
        """What a database that does not exist is made with."""
        return self._read(DATA_SET, tenant, "tpch")

    def log_rows(self, tenant: str) -> int:
        """How many entries the log keeps."""
        return self._read(LOG_ROWS, tenant, LOG_ROWS_DEFAULT)

    def _read(self, definition: Definition[T], tenant: str, default: T, *, instead: T | None = None) -> T:
        found: Any = self.settings.resolve(definition.pattern, tenant=tenant).value
        if found is None:
            return default
        try:
            return definition.read(definition.pattern, found)
        except InvalidInput as error:
            _log.warning("a setting cannot be used", tenant=tenant, error=str(error))
            return default if instead is None else instead
