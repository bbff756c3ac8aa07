"""Pipelines: where every run is, and that each of its steps was told."""

from typing import Final

from sqlalchemy import select

from trunkline.client.store import Store
from trunkline.services.pipeline.tables import PIPELINE_RUN, PIPELINE_STEP
from trunkline.testing.checker import Claim
from trunkline.testing.oracles.events import EventLog, compare

# The event leaves out an attempt that is the first.
_RUNS: Final = """
SELECT tenant, data ->> 'run_id', regexp_extract(arg_max(type, place), 'pipeline[.]run_([a-z]+)', 1),
  coalesce(max((data ->> 'attempt')::BIGINT), 1)
FROM still_said('pipeline-service') GROUP BY ALL
"""
_STEPS: Final = """
SELECT tenant, data ->> 'run_id', row_number() OVER (PARTITION BY tenant, data ->> 'run_id' ORDER BY place),
  regexp_extract(type, 'pipeline[.]run_([a-z]+)', 1), id
FROM still_said('pipeline-service')
"""


def claims(log: EventLog, store: Store) -> list[Claim]:
    """That runs are where their last event says, and that the log has all of their steps, in order."""
    run, step = PIPELINE_RUN.c, PIPELINE_STEP.c
    with store.read() as tx:
        runs = tx.execute(select(run.tenant, run.run_id, run.state, run.attempt)).all()
        steps = tx.execute(select(step.tenant, step.run_id, step.number, step.state, step.id)).all()
    return [
        compare(
            "every run of a pipeline is in the state that the log gave it last",
            log.rows(_RUNS),
            map(tuple, runs),
        ),
        compare("every step of a run is in the log, in its order", log.rows(_STEPS), map(tuple, steps)),
    ]
