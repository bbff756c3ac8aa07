from kio.schema.errors import ErrorCode as KioErrorCode

from trunkline.broker.protocol.errors import ErrorCode


def test_names_numbers_and_retriability_are_the_published_ones() -> None:
    ours = {code.name.lower(): (code.value, code.retriable) for code in ErrorCode}
    assert ours == {code.name: (code.value, code.retriable) for code in KioErrorCode}
