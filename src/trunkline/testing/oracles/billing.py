"""Billing: every built-in meter of every tenant and month, as one query over the log."""

from decimal import Decimal
from typing import Final

import msgspec
from sqlalchemy import select

from trunkline.client.store import Store
from trunkline.services.billing.tables import USAGE_AGG
from trunkline.testing.checker import Claim
from trunkline.testing.oracles.events import EventLog, Row, compare

METERS: Final = (
    "QUERY_EXECUTIONS",
    "DATA_SCANNED_BYTES",
    "COMPUTE_SECONDS",
    "ACTIVE_USERS",
    "LLM_INPUT_TOKENS",
    "LLM_OUTPUT_TOKENS",
    "LLM_TOKENS",
    "AGENT_RUNS",
)
"""Those that the query below computes; what the settings have added is not among them."""

_USAGE: Final = """
WITH used AS (
  SELECT tenant, strftime(time, '%Y-%m') AS period, type, data FROM events
  WHERE type IN ('query.completed.v1', 'agent.tokens_used.v1', 'agent.run_completed.v1')
),
queries AS (FROM used WHERE type = 'query.completed.v1'),
tokens AS (
  SELECT tenant, period, data ->> 'model' AS model,
    (data ->> 'input_tokens')::HUGEINT AS input, (data ->> 'output_tokens')::HUGEINT AS output
  FROM used WHERE type = 'agent.tokens_used.v1'
)
SELECT tenant, period, 'QUERY_EXECUTIONS', '', count(*) FROM queries GROUP BY ALL
UNION ALL SELECT tenant, period, 'DATA_SCANNED_BYTES', '',
  sum(coalesce((data ->> 'bytes_scanned')::HUGEINT, 0)) FROM queries GROUP BY ALL
UNION ALL SELECT tenant, period, 'COMPUTE_SECONDS', '',
  sum((data ->> 'cpu_us')::DECIMAL(30, 0)) * 0.000001
  FROM queries WHERE data ->> 'cpu_us' IS NOT NULL GROUP BY ALL
UNION ALL SELECT tenant, period, 'ACTIVE_USERS', '',
  count(DISTINCT data ->> 'user_id') FROM queries GROUP BY ALL
UNION ALL SELECT tenant, period, 'LLM_INPUT_TOKENS', model, sum(input) FROM tokens
  GROUP BY GROUPING SETS ((tenant, period), (tenant, period, model))
UNION ALL SELECT tenant, period, 'LLM_OUTPUT_TOKENS', model, sum(output) FROM tokens
  GROUP BY GROUPING SETS ((tenant, period), (tenant, period, model))
UNION ALL SELECT tenant, period, 'LLM_TOKENS', '', sum(input + output) FROM tokens GROUP BY ALL
UNION ALL SELECT tenant, period, 'AGENT_RUNS', '',
  count(*) FROM used WHERE type = 'agent.run_completed.v1' GROUP BY ALL
"""


def claims(log: EventLog, store: Store) -> list[Claim]:
    """That what is billed is what was used, to the last digit, as a whole and by model."""
    expected = [(*row[:3], row[3] or "", _exact(row[4])) for row in log.rows(_USAGE)]
    return [compare("what is billed is what SQL finds in the log", expected, _billed(store))]


def _billed(store: Store) -> list[Row]:
    table = USAGE_AGG.c
    query = select(table.tenant, table.period, table.meter, table.grouping, table.value)
    with store.read() as tx:
        rows = tx.execute(query.where(table.meter.in_(METERS))).all()
    return [(row.tenant, row.period, row.meter, _model(row.grouping), _exact(row.value)) for row in rows]


def _model(grouping: str) -> str:
    """The model that a group is of; empty for the whole."""
    return str(msgspec.json.decode(grouping)["model"]) if grouping else ""


def _exact(value: object) -> Decimal:
    return Decimal(str(value)).normalize()
