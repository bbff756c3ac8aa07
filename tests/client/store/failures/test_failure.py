from trunkline.client.store import failures
from trunkline.codec import CodecError


def all_codec_errors() -> list[type[CodecError]]:
    found, waiting = [], [CodecError]
    while waiting:
        cls = waiting.pop()
        waiting += cls.__subclasses__()
        if cls is not CodecError:
            found.append(cls)
    return found


def test_every_reason_that_the_codec_can_give_is_known_here() -> None:
    assert {error.reason for error in all_codec_errors()} <= set(failures.REASONS)
