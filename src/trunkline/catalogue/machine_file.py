"""Reads what a pod gets of a machine, and refuses sizes that only a slip of the unit can mean.

Kubernetes takes `memory: 8` for eight bytes, and `cpu: 500` for five hundred cores: the one pod is killed at
its start for ever, the other waits for ever for its node.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final

from trunkline.catalogue.cluster import Machine, Storage
from trunkline.catalogue.quantity import MEBIBYTE, amount, cpus, heap_bytes, size_bytes
from trunkline.catalogue.section import BYTES, CPUS, HEAP, Section

MEMORY_MIN: Final = "64Mi"
HEAP_MIN: Final = "64m"
DISK_MIN: Final = "1Gi"
CPUS_MAX: Final = 128
HEAP_PART_MAX: Final = Decimal("0.75")
"""Of the memory. The JVM takes a good deal besides, and a broker's clients are served from the page cache."""


def read_machine(section: Section) -> Machine | None:
    """The `cpu` and `memory` of a mapping, without a heap."""
    cpu, memory = _cpu(section), _at_least(section, "memory", BYTES, MEMORY_MIN, ("Mi", "Gi"))
    return Machine(cpu=cpu, memory=memory) if cpu and memory else None


def read_java_machine(section: Section) -> Machine | None:
    """The `cpu`, `memory` and `heap` of a mapping."""
    machine, heap = read_machine(section), _at_least(section, "heap", HEAP, HEAP_MIN, ("m", "g"))
    if machine is None or heap is None:
        return None
    _check_heap(section, heap, machine.memory)
    return Machine(cpu=machine.cpu, memory=machine.memory, heap=heap)


def read_disk(section: Section, storage_class: str | None) -> Storage | None:
    """The `disk` of a mapping."""
    size = _at_least(section, "disk", BYTES, DISK_MIN, ("Gi",))
    return Storage(size=size, storage_class=storage_class) if size else None


def _cpu(section: Section) -> str | None:
    text = section.size("cpu", CPUS)
    if text is None or _known(cpus(text)) <= CPUS_MAX:
        return text
    meant = _meant(text, ["m"], lambda other: _known(cpus(other)) <= CPUS_MAX)
    section.refuse("cpu", f"a cpu of {text} is more than {CPUS_MAX} cores{meant}")
    return None


def _at_least(section: Section, key: str, what: str, least: str, units: Sequence[str]) -> str | None:
    text = section.size(key, what)
    parse = heap_bytes if what is HEAP else size_bytes
    if text is None or _known(parse(text)) >= _known(parse(least)):
        return text
    meant = _meant(text, units, lambda other: (parse(other) or 0) >= _known(parse(least)))
    section.refuse(key, f"a {key} of {text} is less than {least}{meant}")
    return None


def _check_heap(section: Section, heap: str, memory: str) -> None:
    most = _known(size_bytes(memory)) * HEAP_PART_MAX
    if _known(heap_bytes(heap)) <= most:
        return
    meant = _meant(
        heap, ["m"], lambda other: _known(heap_bytes(HEAP_MIN)) <= _known(heap_bytes(other)) <= most
    )
    section.refuse(
        "heap",
        f"a heap of {heap} is more than three quarters of {memory} and leaves the JVM itself too little"
        f"{meant or f'; give it {int(most / MEBIBYTE)}m at most'}",
    )


def _meant(text: str, units: Sequence[str], fits: Callable[[str], bool]) -> str:
    """`; did you mean 8Gi?` for the first of the units that the number fits with, or nothing."""
    candidates = (f"{amount(text)}{unit}" for unit in units)
    return next((f"; did you mean {one}?" for one in candidates if fits(one)), "")


def _known(size: Decimal | None) -> Decimal:
    assert size is not None, "the section has judged its form"
    return size
