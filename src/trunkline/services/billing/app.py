"""The billing service, put together."""

from typing import Final

from trunkline.services.app import App, Context, Runnable
from trunkline.services.billing.erasing import BillingEraser
from trunkline.services.billing.handler import BillingHandler
from trunkline.services.billing.subjects import Subjects
from trunkline.services.billing.tables import BILLING
from trunkline.services.billing.terms import read_terms


def build(context: Context) -> App:
    """The service on its store."""
    assert context.outbox is not None, "the contract lets billing publish"
    subjects = Subjects(context.keys)
    terms = read_terms(context.settings)
    handler = BillingHandler(context.outbox, subjects, terms=lambda: terms, wall=context.wall)
    return App(handler=handler, eraser=BillingEraser(subjects))


SERVICE: Final = Runnable(components=(BILLING,), build=build)
