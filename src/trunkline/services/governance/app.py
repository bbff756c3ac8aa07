"""The governance service, put together."""

from typing import TYPE_CHECKING, Final

from trunkline.services.app import App, Context, Runnable
from trunkline.services.governance.eraser import GovernanceEraser
from trunkline.services.governance.handler import GovernanceHandler
from trunkline.services.governance.metrics import GovernanceMetrics
from trunkline.services.governance.pulse import Pulse, PulseThread
from trunkline.services.governance.rulebook import Rulebook
from trunkline.services.governance.tables import GOVERNANCE

if TYPE_CHECKING:
    from fastapi import APIRouter


def build(context: Context) -> App:
    """The service on its store."""
    outbox = context.outbox
    assert outbox is not None, "the catalogue has governance-service publish its policies"
    rulebook = Rulebook(context.settings)
    metrics = GovernanceMetrics(context.registry)
    pulse = Pulse(context.store, outbox, rulebook, metrics, wall=context.wall)

    def router() -> "APIRouter":
        from trunkline.services.governance.api import routes

        return routes(context, outbox, rulebook)

    return App(
        handler=GovernanceHandler(outbox, rulebook),
        companions=(PulseThread(pulse, wake=context.wake, on_failure=context.on_failure),),
        router=router,
        eraser=GovernanceEraser(),
        on_settings=rulebook.refresh,
    )


SERVICE: Final = Runnable(components=(GOVERNANCE,), build=build)
