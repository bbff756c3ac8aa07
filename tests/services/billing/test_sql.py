"""Several instances at one database, at the same time."""

import threading
from typing import Any

import pytest

from trunkline.testing.postgres import PostgresServer

ROUNDS = 30


@pytest.fixture
def url(postgres_server: PostgresServer) -> str:
    return postgres_server.create_database()


def test_instances_that_work_on_the_same_tenants_lose_nothing_and_do_not_block_each_other(
    new_desk: Any, make: Any, url: str
) -> None:
    """One reads queries, one tokens, and a third changes meters, limits and plans all the while."""
    first = new_desk(url)
    second, third = first.restarted(), first.restarted()
    tenants = ("acme", "globex", "initech")
    failed: list[BaseException] = []

    def work(steps: Any) -> None:
        try:
            for step in steps:
                step()
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            failed.append(error)

    def batches(desk: Any, event: Any) -> Any:
        for round_ in range(ROUNDS):
            events = [event(round_ * 10 + number, tenant=tenants[number % 3]) for number in range(10)]
            yield lambda events=events: desk.feed(*events)

    def changes() -> Any:
        for number in range(ROUNDS // 3):
            meter = {
                "event_type": "query.completed.v1",
                "aggregation": "sum",
                "value": "bytes_scanned",
                "unit": "bytes",
            }
            yield lambda number=number, meter=meter: third.set(f"billing.meters.extra_{number}", meter)
            yield lambda number=number: third.set("billing.quotas.llm_tokens", {"limit": 100 + number})

    threads = [
        threading.Thread(target=work, args=[steps])
        for steps in (batches(first, make.query), batches(second, make.tokens), changes())
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    third.keeper.look()
    used = {tenant: third.used(tenant) for tenant in tenants}
    count = {"acme": 4 * ROUNDS, "globex": 3 * ROUNDS, "initech": 3 * ROUNDS}
    for tenant, number in count.items():
        assert used[tenant]["QUERY_EXECUTIONS"] == str(number)
        assert used[tenant]["LLM_TOKENS"] == str(110 * number)
        for extra in range(ROUNDS // 3):
            assert used[tenant][f"EXTRA_{extra}"] == used[tenant]["DATA_SCANNED_BYTES"]
    told = third.told("usage.threshold_reached.v1")
    assert len({(event["id"]) for event in told}) == len(told) == 4 * len(tenants)
