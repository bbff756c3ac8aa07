"""One hash over the runs, whatever order their events came in."""

from sqlalchemy import Connection

from trunkline.services.kit.digest import digest_of
from trunkline.services.pipeline.tables import PIPELINE_RUN


def state_digest(tx: Connection) -> str:
    """SHA-256 of all runs. The steps are left out: which of them were published depends on the order."""
    return digest_of(tx, [("pipeline_run", PIPELINE_RUN.columns)])
