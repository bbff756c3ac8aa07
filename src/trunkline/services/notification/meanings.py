"""What the words mean that decisions and deliveries are described with."""

from typing import Final

OUTCOMES: Final = {
    "notified": "it opened a notification",
    "grouped": "it joined a notification of its group and window",
    "expired": "the event had expired",
    "too_old": "the event was too old to be told",
    "resolved": "the incident was over before anything was sent",
    "suspended": "the tenant is suspended",
    "silenced": "a silence covers it",
    "inhibited": "an incident that says more is open",
    "repeat": "the open incident had been told of",
    "resolves": "it closed the incident",
    "nothing_open": "it closes incidents of this kind, and none was open",
    "failed": "the rule could not be applied",
}
"""What an outcome of a decision means, where the decision itself does not say more."""

REASONS: Final = {
    **{name: OUTCOMES[name] for name in ("expired", "too_old", "resolved", "suspended", "silenced")},
    **{name: OUTCOMES[name] for name in ("inhibited", "repeat")},
    "preference": "the user, or the tenant, wants to hear nothing of this category here",
    "digest": "the user, or the tenant, gets this category here as a digest",
    "no_channel": "there is no channel of this name, or it is switched off",
    "endpoint_disabled": "the endpoint is disabled; `trunkline notifications channels enable` tries it again",
    "exhausted": "every attempt of the schedule failed",
    "gone": "the receiver answered that it wants nothing any more",
    "refused": "the receiver refused it for good",
    "render_failed": "the template could not be rendered",
    "discarded": "somebody discarded it",
}
"""What a delivery's reason means."""

STATES: Final = {
    "pending": "waits to be sent",
    "leased": "is being sent",
    "sent": "was delivered",
    "dead": "is not tried any more",
    "suppressed": "is not sent",
}
