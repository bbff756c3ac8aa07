"""The audit service, put together, and where its files are."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from trunkline.services.app import App, Context, Runnable
from trunkline.services.audit.checkpoint import CheckpointFiles
from trunkline.services.audit.checkpointer import Checkpointer, CheckpointThread
from trunkline.services.audit.erasure import LedgerEraser
from trunkline.services.audit.handler import AuditHandler, LateHandler
from trunkline.services.audit.note import load_or_create_signer, load_verifier, public_key_path
from trunkline.services.audit.tables import AUDIT_LEDGER

if TYPE_CHECKING:
    from fastapi import APIRouter


def checkpoint_files(data_dir: Path) -> CheckpointFiles:
    """The checkpoints of all ledgers of this machine, outside the database."""
    return CheckpointFiles(data_dir / "audit" / "checkpoints")


def signing_key_path(data_dir: Path) -> Path:
    """The private key; its public half is beside it."""
    return data_dir / "audit" / "signing-key.pem"


def build(context: Context) -> App:
    """The service on its store; makes the signing key on first use. Raises `InvalidInput`."""
    signer = load_or_create_signer(signing_key_path(context.data_dir))
    files = checkpoint_files(context.data_dir)
    checkpointer = Checkpointer(context.store, files, signer)

    def router() -> "APIRouter":
        from trunkline.services.audit.api import routes

        verifier = load_verifier(public_key_path(signing_key_path(context.data_dir)))
        return routes(context.store, files, verifier)

    return App(
        handler=AuditHandler(),
        late=LateHandler(),
        eraser=LedgerEraser(),
        router=router,
        companions=(CheckpointThread(checkpointer, on_failure=context.on_failure),),
    )


SERVICE: Final = Runnable(components=(AUDIT_LEDGER,), build=build)
