"""InitProducerId (22), versions 0-5: an identity for an idempotent producer.

From version 3 a producer may ask for its next epoch after an error (KIP-360): it keeps its id and the epoch
goes up, so that sequences start anew; a worn-out epoch gets a new id. Transactional ids are refused.
"""

from typing import Final

from trunkline.broker.api.call import Call, Handler
from trunkline.broker.broker import Broker
from trunkline.broker.log.fs import FsError
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.produce import InitProducerIdRequest, InitProducerIdResponse

NO_PRODUCER: Final = -1
EPOCH_MAX: Final = 32767


def _handle(broker: Broker, request: InitProducerIdRequest, _call: Call) -> InitProducerIdResponse:
    if request.transactional_id is not None:
        return _refused(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
    if request.producer_id != NO_PRODUCER and 0 <= request.producer_epoch < EPOCH_MAX - 1:
        return InitProducerIdResponse(
            error_code=ErrorCode.NONE,
            producer_id=request.producer_id,
            producer_epoch=request.producer_epoch + 1,
        )
    try:
        producer_id = broker.storage.identity.allocate_producer_id()
    except FsError:
        return _refused(ErrorCode.KAFKA_STORAGE_ERROR)
    return InitProducerIdResponse(error_code=ErrorCode.NONE, producer_id=producer_id, producer_epoch=0)


def _refused(error: ErrorCode) -> InitProducerIdResponse:
    return InitProducerIdResponse(error_code=error, producer_epoch=-1)


HANDLER = Handler(InitProducerIdRequest, _handle)
