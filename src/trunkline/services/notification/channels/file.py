"""A file of JSON lines, each on the disk before it counts as delivered."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from trunkline.services.notification.channels import Message, Result
from trunkline.services.notification.channels.webhook import content_of
from trunkline.services.notification.facts import from_us

_LINE_END: Final = b"\n"

_lock: Final = threading.Lock()


def directory_of(data_dir: Path, tenant: str) -> Path:
    """Where the files of a tenant are."""
    return data_dir / "notifications" / tenant


class FileWay:
    """Appends to one file. After a crash a line may be there twice, with the same `id`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, message: Message) -> Result:
        """Append a line and sync it."""
        line = {"id": message.id, "type": f"notification.{message.kind}", "time": from_us(message.time_us)}
        try:
            with _lock, self._opened() as file:
                # What a crash has torn stays a line of its own.
                start = _LINE_END if _is_torn(file) else b""
                os.write(file, start + msgspec.json.encode({**line, **content_of(message)}) + _LINE_END)
                os.fsync(file)
        except OSError as error:
            return Result("retry", detail=f"{self._path}: {error.strerror}")
        return Result("sent")

    @contextmanager
    def _opened(self) -> Iterator[int]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            yield file
        finally:
            os.close(file)


def _is_torn(file: int) -> bool:
    size = os.lseek(file, 0, os.SEEK_END)
    return size > 0 and os.pread(file, 1, size - 1) != _LINE_END
