"""The HTTP API: history, explanations, inbox with live stream, deliveries, silences, preferences."""

from fastapi import APIRouter

from trunkline.services.app import Context
from trunkline.services.notification.api import changes, channels, inbox, personal, reads
from trunkline.services.notification.configuration import Configuration
from trunkline.services.notification.unsubscribing import Unsubscribing
from trunkline.services.notification.vault import Vault
from trunkline.services.notification.ways import Ways


def routes(
    context: Context,
    configuration: Configuration,
    vault: Vault,
    unsubscribing: Unsubscribing,
    ways: Ways,
) -> APIRouter:
    """The routes of the service. Tenant and user are the token's."""
    router = APIRouter()
    reads.add(router, configuration)
    inbox.add(router, context)
    changes.add(router, context, configuration)
    personal.add(router, context, vault, unsubscribing)
    channels.add(router, context, configuration, vault, ways)
    return router
