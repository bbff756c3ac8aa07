"""The audit service, put together, and where its files are."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from trunkline.client.store import Store
from trunkline.errors import TrunklineError
from trunkline.services.app import App, Runnable
from trunkline.services.audit.checkpoint import CheckpointFiles
from trunkline.services.audit.checkpointer import Checkpointer, CheckpointThread
from trunkline.services.audit.handler import AuditHandler
from trunkline.services.audit.note import load_or_create_signer
from trunkline.services.audit.tables import AUDIT_LEDGER


def checkpoint_files(data_dir: Path) -> CheckpointFiles:
    """The checkpoints of all ledgers of this machine, outside the database."""
    return CheckpointFiles(data_dir / "audit" / "checkpoints")


def signing_key_path(data_dir: Path) -> Path:
    """The private key; its public half is beside it."""
    return data_dir / "audit" / "signing-key.pem"


def build(store: Store, data_dir: Path, *, on_failure: Callable[[TrunklineError], None]) -> App:
    """The service on its store; makes the signing key on first use. Raises `InvalidInput`."""
    signer = load_or_create_signer(signing_key_path(data_dir))
    checkpointer = Checkpointer(store, checkpoint_files(data_dir), signer)
    return App(AuditHandler(), (CheckpointThread(checkpointer, on_failure=on_failure),))


SERVICE: Final = Runnable(AUDIT_LEDGER, build)
