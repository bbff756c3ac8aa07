"""Agents: the runs, what their steps add up to, and what their ends say."""

from typing import Final

from sqlalchemy import func, select

from trunkline.client.store import Store
from trunkline.services.ai.tables import RUN, STEP
from trunkline.testing.checker import Claim
from trunkline.testing.oracles.events import EventLog, compare

_RUNS: Final = """
SELECT tenant, data ->> 'run_id',
  CASE arg_max(type, place) FILTER (type NOT IN ('agent.tool_called.v1', 'agent.tokens_used.v1'))
    WHEN 'agent.run_completed.v1' THEN 'completed'
    WHEN 'agent.run_failed.v1' THEN 'failed'
    WHEN 'agent.run_started.v1' THEN 'running'
  END,
  count(*) FILTER (type IN ('agent.tool_called.v1', 'agent.tokens_used.v1')),
  count(*) FILTER (type = 'agent.tool_called.v1'),
  coalesce(sum((data ->> 'input_tokens')::BIGINT) FILTER (type = 'agent.tokens_used.v1'), 0)::BIGINT,
  coalesce(sum((data ->> 'output_tokens')::BIGINT) FILTER (type = 'agent.tokens_used.v1'), 0)::BIGINT
FROM still_said('ai-service') GROUP BY ALL
"""
_TOKENS: Final = """
SELECT tenant, data ->> 'provider', data ->> 'model', sum((data ->> 'input_tokens')::BIGINT)::BIGINT,
  sum((data ->> 'output_tokens')::BIGINT)::BIGINT,
  sum(coalesce((data ->> 'cached_input_tokens')::BIGINT, 0))::BIGINT,
  sum(coalesce((data ->> 'calls')::BIGINT, 1))::BIGINT
FROM still_said('ai-service') WHERE type = 'agent.tokens_used.v1' GROUP BY ALL
"""
_ENDS: Final = """
SELECT tenant, data ->> 'run_id', (data ->> 'steps')::BIGINT, coalesce((data ->> 'tool_calls')::BIGINT, 0),
  coalesce((data ->> 'input_tokens')::BIGINT, 0), coalesce((data ->> 'output_tokens')::BIGINT, 0)
FROM still_said('ai-service') WHERE type = 'agent.run_completed.v1'
"""

_R: Final = RUN.c
_S: Final = STEP.c
_SUMS: Final = (_R.steps, _R.tool_calls, _R.input_tokens, _R.output_tokens)


def claims(log: EventLog, store: Store) -> list[Claim]:
    """That runs and tokens are those of the log, and that the end of a run says what it has used."""
    with store.read() as tx:
        runs = [tuple(row) for row in tx.execute(select(_R.tenant, _R.run_id, _R.state, *_SUMS))]
        counted = (_S.input_tokens, _S.output_tokens, _S.cached_input_tokens, _S.calls)
        by_model = select(_S.tenant, _S.provider, _S.model, *map(func.sum, counted))
        by_model = by_model.where(_S.kind == "tokens").group_by(_S.tenant, _S.provider, _S.model)
        tokens = [tuple(row) for row in tx.execute(by_model)]
    completed = [(*run[:2], *run[3:]) for run in runs if run[2] == "completed"]
    return [
        compare("every run of an agent is what its steps in the log add up to", log.rows(_RUNS), runs),
        compare("the tokens of every language model are those in the log", log.rows(_TOKENS), tokens),
        compare("the end of a run tells the sum of its steps", log.rows(_ENDS), completed),
    ]
