"""Which event may go now: a model of one tenant after the other, and every failure."""

from collections import defaultdict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from trunkline.client.backoff import Backoff
from trunkline.client.outbox.backlog import Backlog
from trunkline.client.outbox.rows import Pending

TENANTS = ["a", "b", "c"]
MOST = 2


class Model(RuleBasedStateMachine):
    """A table, a log, and a backlog between them, as the relay uses it."""

    def __init__(self) -> None:
        super().__init__()
        self.backlog = Backlog(Backoff(first=1.0, longest=4.0))
        self.table: dict[str, list[Pending]] = defaultdict(list)
        self.log: dict[str, list[int]] = defaultdict(list)
        self.under_way: list[Pending] = []
        self.served = set(TENANTS)
        self.added = 0
        self.now = 0.0

    @rule(tenant=st.sampled_from(TENANTS))
    def add(self, tenant: str) -> None:
        self.added += 1
        self.table[tenant].append(Pending(self.added, str(self.added), "t", tenant, b"", "{}"))

    @rule(most=st.integers(1, 3))
    def read(self, most: int) -> None:
        for tenant in TENANTS:
            if tenant in self.served and self.backlog.wants(tenant, self.now):
                self.backlog.load(self.table[tenant][:most])

    @rule()
    def take(self) -> None:
        self.under_way += self.backlog.take(MOST)

    @rule(number=st.integers(0, MOST), delivered=st.booleans(), logged=st.booleans())
    def settle(self, number: int, delivered: bool, logged: bool) -> None:
        if number >= len(self.under_way):
            return
        event = self.under_way.pop(number)
        if delivered or logged:
            self.log[event.tenant].append(event.position)
        if delivered:
            self.backlog.delivered(event)
            self.table[event.tenant] = [row for row in self.table[event.tenant] if row is not event]
        else:
            self.backlog.failed(event, self.now)

    @rule(served=st.sets(st.sampled_from(TENANTS)))
    def change_lanes(self, served: set[str]) -> None:
        self.served = served
        self.backlog.drop(lambda tenant: tenant in served)

    @rule(seconds=st.floats(0, 5))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def one_of_a_tenant_is_under_way_and_few_in_all(self) -> None:
        tenants = [event.tenant for event in self.under_way]
        assert len(tenants) == len(set(tenants)) == self.backlog.under_way <= MOST

    @invariant()
    def first_occurrences_are_in_order(self) -> None:
        for positions in self.log.values():
            first = list(dict.fromkeys(positions))
            assert first == sorted(first)

    def teardown(self) -> None:
        """Whatever happened, everything gets through in the end."""
        self.served = set(TENANTS)
        for _ in range(10 * self.added + 10):
            self.now += 5
            while self.under_way:
                self.settle(0, delivered=True, logged=True)
            self.read(3)
            self.take()
        assert not any(self.table.values())
        assert self.backlog.waiting == 0


Model.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestBacklog = Model.TestCase
