"""Every idempotent producer has an identity of its own, across restarts."""

import pytest

from trunkline.broker.log.memory_fs import MemoryFs
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.produce import InitProducerIdRequest, InitProducerIdResponse
from trunkline.testing.api_desk import ApiDesk
from trunkline.testing.inprocess import BrokerThread


def ask(
    desk: ApiDesk,
    *,
    version: int = 5,
    producer: tuple[int, int] = (-1, -1),
    transactional_id: str | None = None,
) -> InitProducerIdResponse:
    request = InitProducerIdRequest(
        transactional_id=transactional_id,
        transaction_timeout_ms=1000,
        producer_id=producer[0],
        producer_epoch=producer[1],
    )
    return desk.ask(request, version, InitProducerIdResponse)


@pytest.mark.parametrize("version", range(6))
def test_every_version_gives_an_identity(desk: ApiDesk, version: int) -> None:
    answer = ask(desk, version=version)
    assert (answer.error_code, answer.producer_epoch) == (ErrorCode.NONE, 0)
    assert answer.producer_id >= 0


def test_an_identity_is_never_given_twice_even_after_a_restart() -> None:
    fs = MemoryFs()
    seen = set()
    for _ in range(2):
        with BrokerThread(fs) as broker:
            desk = ApiDesk(broker.address)
            seen |= {ask(desk).producer_id for _ in range(5)}
            desk.close()
    assert len(seen) == 10


def test_a_producer_that_had_an_error_gets_its_next_epoch(desk: ApiDesk) -> None:
    first = ask(desk)
    second = ask(desk, producer=(first.producer_id, first.producer_epoch))
    assert (second.producer_id, second.producer_epoch) == (first.producer_id, 1)


def test_a_worn_out_epoch_gets_a_new_identity(desk: ApiDesk) -> None:
    first = ask(desk)
    second = ask(desk, producer=(first.producer_id, 32766))
    assert second.producer_id != first.producer_id
    assert second.producer_epoch == 0


def test_transactions_are_refused(desk: ApiDesk) -> None:
    answer = ask(desk, transactional_id="t")
    assert answer.error_code == ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
