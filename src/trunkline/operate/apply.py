"""Does what a plan of a plain Kafka says, as far as it is allowed: topics, settings, ACLs.

It deletes no topic and nothing of anybody else's. It can be stopped anywhere and started again: each step
makes one thing as the catalogue says, and the next plan finds what is left.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Final

from trunkline.catalogue.model import Catalogue
from trunkline.catalogue.topic_settings import topic_settings
from trunkline.client.admin import create_topic
from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.growth.fence import SETTING, closes
from trunkline.client.kafka import Admin
from trunkline.client.kafka.acls import Acls, Binding
from trunkline.errors import TrunklineError, Unavailable
from trunkline.operate import acls, topics
from trunkline.operate.change import ABSENT, Change, Risk, Verb

NOT_TRIED: Final = "not tried, as the cluster stopped answering"
CLOSED_MEANWHILE: Final = "a growth has closed the topic meanwhile; apply again once it is over"
MADE_MEANWHILE: Final = "somebody else has created it meanwhile; plan again"


class Outcome(StrEnum):
    """What became of a change."""

    DONE = "done"
    LEFT = "left"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """A change and its outcome; `because` says why it was not done."""

    change: Change
    outcome: Outcome
    because: str = ""


def held_back(change: Change, allowed: frozenset[Risk]) -> str | None:
    """Why this change is not for `apply` to do; None if it is. What is safe needs no allowance."""
    if change.remedy:
        return change.remedy
    if change.risk is not Risk.SAFE and change.risk not in allowed:
        return f"{change.why}; give `--allow {change.risk}` if that is what you want"
    return None


class ClusterWriter:
    """Writes to one cluster. `known` are the bindings that changes may be about: wanted ones and listed ones.

    Needs Create and Alter on the cluster, AlterConfigs on the topics.
    """

    def __init__(
        self,
        connection: ConnectionOptions,
        catalogue: Catalogue,
        environment: str,
        *,
        known: Iterable[Binding],
    ) -> None:
        config = admin_config(connection)
        self._admin = Admin(config)
        self._acls = Acls(config)
        self._settings = {topic.name: topic for topic in topic_settings(catalogue, environment)}
        self._bindings = {(one.principal, acls.text(one)): one for one in known}

    def apply(self, changes: Sequence[Change], *, allowed: frozenset[Risk]) -> Iterator[Applied]:
        """Do them in their order, and tell of each; what fails does not keep back the others.

        Once the cluster does not answer any more, the rest is left.
        """
        away = False
        for (held, kind, verb, name, _), group in groupby(changes, key=lambda one: _step(one, allowed)):
            step = list(group)
            if held is not None or away:
                yield from (
                    Applied(change=change, outcome=Outcome.LEFT, because=held or NOT_TRIED) for change in step
                )
                continue
            outcome, because = Outcome.DONE, ""
            try:
                because = self._do(kind, verb, name, step)
                outcome = Outcome.LEFT if because else Outcome.DONE
            except TrunklineError as error:
                outcome, because = Outcome.FAILED, str(error)
                away = isinstance(error, Unavailable)
            yield from (Applied(change=change, outcome=outcome, because=because) for change in step)

    def _do(self, kind: str, verb: Verb, name: str, step: Sequence[Change]) -> str:
        """Changes of one kind; of topics, of one topic. Returns why nothing was done, if so."""
        if kind == acls.KIND:
            bindings = [self._binding(change) for change in step]
            if verb is Verb.DELETE:
                self._acls.delete(bindings)
            else:
                self._acls.create(bindings)
            return ""
        if verb is Verb.CREATE:
            return "" if create_topic(self._admin, self._settings[name]) else MADE_MEANWHILE
        # A growth may have begun since the plan, and its fence is one of these settings.
        if closes(self._admin.topic_config([name])[name].get(SETTING)):
            return CLOSED_MEANWHILE
        if step[0].field == topics.PARTITIONS:
            self._admin.add_partitions(name, total=self._settings[name].partitions)
        else:
            wanted = {change.field: None if change.wanted == ABSENT else change.wanted for change in step}
            self._admin.configure(name, wanted)
        return ""

    def _binding(self, change: Change) -> Binding:
        return self._bindings[change.name, change.found if change.verb is Verb.DELETE else change.wanted]


def _step(change: Change, allowed: frozenset[Risk]) -> tuple[str | None, str, Verb, str, bool]:
    """What is done in one request: ACLs together, of a topic its settings."""
    together = "" if change.kind == acls.KIND else change.name
    held = held_back(change, allowed)
    return held, change.kind, change.verb, together, change.field == topics.PARTITIONS
