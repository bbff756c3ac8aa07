"""Why something is not an event of this contract.

    CodecError
    ├── NotCloudEvents      not_cloudevents     neither content mode of CloudEvents 1.0
    ├── MissingHeader       missing_header      a context attribute that the contract requires is absent
    ├── InvalidAttribute    invalid_attribute   a context attribute is malformed, repeated or forbidden
    ├── KeyMismatch         key_mismatch        the record's key is not the event's tenant
    ├── UnknownType         unknown_type        nobody declared this event type
    ├── WrongTopic          wrong_topic         the type belongs to another topic
    ├── Undecodable         undecodable         the value is not JSON at all
    └── InvalidData         invalid_data        the value is JSON and breaks the type's schema

`reason` is what the failure ledger and the metrics group by, so the words are stable. The text is one line.
"""

from typing import ClassVar

from trunkline.errors import TrunklineError


class CodecError(TrunklineError):
    """Root of the above; raised as one of its subclasses."""

    reason: ClassVar[str]


class NotCloudEvents(CodecError):  # noqa: N818 - reads as what it is
    """The record carries no CloudEvents attributes."""

    reason = "not_cloudevents"


class MissingHeader(CodecError):  # noqa: N818 - reads as what it is
    """A required context attribute is absent."""

    reason = "missing_header"


class InvalidAttribute(CodecError):  # noqa: N818 - reads as what it is
    """A context attribute is malformed, repeated or forbidden."""

    reason = "invalid_attribute"


class KeyMismatch(CodecError):  # noqa: N818 - reads as what it is
    """The record's key is not its tenant id, so its order among the tenant's events is not kept."""

    reason = "key_mismatch"


class UnknownType(CodecError):  # noqa: N818 - reads as what it is
    """No such event type is declared here; the producer may be newer."""

    reason = "unknown_type"


class WrongTopic(CodecError):  # noqa: N818 - reads as what it is
    """The event type belongs to another topic."""

    reason = "wrong_topic"


class Undecodable(CodecError):  # noqa: N818 - reads as what it is
    """The value is absent or is not JSON."""

    reason = "undecodable"


class InvalidData(CodecError):  # noqa: N818 - reads as what it is
    """The value breaks the schema of its type; the text holds the JSON path."""

    reason = "invalid_data"
