"""What a user decides for itself: preferences, address, and the end of mail without a login."""

from typing import Annotated

from fastapi import APIRouter, Body
from fastapi.responses import HTMLResponse

from trunkline.services.app import Context
from trunkline.services.kit.api import Caller, Reading, caller, reading
from trunkline.services.notification import actions, people
from trunkline.services.notification.api.common import now_us
from trunkline.services.notification.unsubscribing import Unsubscribing
from trunkline.services.notification.vault import Vault
from trunkline.services.notification.views import PreferenceView
from trunkline.services.settings.notification import Mode


def add(router: APIRouter, context: Context, vault: Vault, unsubscribing: Unsubscribing) -> None:
    """Add what a user decides for itself."""

    @router.get("/preferences")
    def preferences(at: Annotated[Reading, reading], who: Annotated[Caller, caller]) -> list[PreferenceView]:
        """What the caller chose."""
        return people.preferences(at.tx, who.tenant, who.subject)

    @router.put("/preferences", status_code=204)
    def prefer(
        who: Annotated[Caller, caller],
        mode: Annotated[Mode | None, Body()],
        category: Annotated[str | None, Body(max_length=64)] = None,
        channel: Annotated[str | None, Body(max_length=64)] = None,
    ) -> None:
        """Choose for a category and a channel, none for all; the mode null takes the choice back."""
        with context.store.write() as tx:
            actions.prefer(
                tx,
                who.tenant,
                who.subject,
                category=category,
                channel=channel,
                mode=mode,
                now_us=now_us(context),
            )

    @router.post("/unsubscribe/{token}")
    def unsubscribe(token: str) -> str:
        """RFC 8058: what a mail program does for its user, without a login. The token says who and what."""
        purpose = unsubscribing.purpose(token)
        with context.store.write() as tx:
            actions.unsubscribe(tx, purpose, now_us=now_us(context))
        return f"you will get no more mail about {purpose.category}"

    @router.get("/unsubscribe/{token}")
    def ask(token: str) -> HTMLResponse:
        """A button, for who follows the link: scanners of mail do, too, so a GET changes nothing."""
        purpose = unsubscribing.purpose(token)
        # A category is a word of a-z, 0-9 and _ by its schema.
        return HTMLResponse(
            '<!doctype html><title>Unsubscribe</title><form method="post">'
            f"<p>No more mail about {purpose.category}?</p><button>Unsubscribe</button></form>"
        )

    @router.put("/address", status_code=204)
    def address(address: Annotated[str, Body(embed=True)], who: Annotated[Caller, caller]) -> None:
        """Where the caller gets mail."""
        with context.store.write() as tx:
            vault.keep_address(tx, who.tenant, who.subject, address)
