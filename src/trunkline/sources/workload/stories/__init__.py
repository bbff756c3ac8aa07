"""Lifecycles, each told as a generator of events of one tenant in causal order.

A story says what happens; who publishes it, on which topic, when and with which identity is the stream's
part. Stories of one tenant interleave, so a number that counts up is taken in the same step as the event that
shows it.
"""

from collections.abc import Callable, Iterator
from typing import TypeAlias

from trunkline.catalogue.events import Event
from trunkline.sources.workload.world import TenantState, World

Story: TypeAlias = Callable[[World, TenantState], Iterator[Event]]
