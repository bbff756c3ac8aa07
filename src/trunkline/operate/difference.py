"""Where a resource that was found differs from what the catalogue says: pure, field by field.

Only fields that the catalogue sets count: an API server adds defaults, and operators and other tools add
fields of their own. Some places are ours wholly, so that what is there besides is a difference, too: the spec
of Strimzi's resources, where an additional topic setting or right changes what holds, and selectors.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, TypeAlias

from trunkline.catalogue.quantity import cpus, size_bytes
from trunkline.deploy.strimzi import API_VERSION as STRIMZI
from trunkline.operate.folding import Folded, folded, unfolded
from trunkline.operate.manifests import Manifest

Place: TypeAlias = tuple[str, ...]
"""The way to a field of a folded manifest; a list's items that have no names are `0`, `1` and so on."""

SELECTORS: Final = frozenset({"matchLabels", "selector", "podSelector", "namespaceSelector"})
"""One label more selects other pods."""

QUANTITIES: Final = frozenset({"requests", "limits", "size", "sizeLimit"})
"""The last or the last but one name on the way to an amount of CPU, memory or disk."""

NETWORK_DEFAULTS: Final = {"protocol": "TCP"}
"""What an API server adds to a NetworkPolicy, whose rules are ours wholly."""


class Nothing:
    """There is no such field."""


NOTHING: Final = Nothing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A field that is not as wanted; `NOTHING` stands for a field that is not there, or shall not be."""

    at: Place
    found: Any
    wanted: Any

    @property
    def field(self) -> str:
        """The way to it as people write it; a right, which is in words, in brackets."""
        return "".join(f"[{name}]" if " " in name else f".{name}" for name in self.at).lstrip(".")


def differences(wanted: Manifest, found: Manifest) -> list[Difference]:
    """How the resource differs in what the catalogue says of it. Status and versions are the server's."""
    ours, theirs = folded(wanted), folded(found)
    is_strimzi = ours["apiVersion"] == STRIMZI
    listed: list[Difference] = []
    for name, value in ours.items():
        if name in {"apiVersion", "kind"}:
            continue
        if name == "metadata":
            listed += _of_metadata(value, theirs["metadata"])
        else:
            listed += _compared(
                (name,), value, theirs.get(name, NOTHING), kind=ours["kind"], owned=is_strimzi
            )
    return listed


def left_as_found(wanted: Manifest, kept: Iterable[Difference]) -> dict[str, Any]:
    """The wanted manifest, but with these fields as they were found."""
    made = folded(wanted)
    for difference in kept:
        _put(made, difference.at, difference.found)
    plain: dict[str, Any] = unfolded(made)
    return plain


def removals(wanted: Manifest, found: Manifest) -> dict[str, Any]:
    """A merge patch (RFC 7386) that takes away what is there besides, and nothing else; empty if nothing is.

    Inside of a list it puts the wanted list there: such a patch knows no items.
    """
    ours, theirs = folded(wanted), folded(found)
    patch: dict[str, Any] = {}
    for difference in differences(wanted, found):
        if isinstance(difference.wanted, Nothing):
            _take_away(patch, difference.at, ours, theirs)
    return patch


def _take_away(patch: dict[str, Any], at: Place, ours: Any, theirs: Any) -> None:
    *way, last = at
    for name in way:
        ours, theirs = ours[name], theirs[name]
        if isinstance(theirs, Folded | list):
            patch[name] = unfolded(ours)
            return
        patch = patch.setdefault(name, {})
    patch[last] = None


def _of_metadata(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[Difference]:
    """Labels and annotations that the catalogue sets; the names are the same already."""
    for part in ("labels", "annotations"):
        for name, value in wanted.get(part, {}).items():
            there = (found.get(part) or {}).get(name, NOTHING)
            if there != value:
                yield Difference(at=("metadata", part, name), found=there, wanted=value)


def _compared(at: Place, wanted: Any, found: Any, *, kind: str, owned: bool) -> Iterator[Difference]:
    if isinstance(wanted, dict) and type(wanted) is type(found):
        yield from _of_mapping(at, wanted, found, kind=kind, owned=owned or _is_owned(at, kind))
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for place, (ours, theirs) in enumerate(zip(wanted, found, strict=True)):
            yield from _compared((*at, str(place)), ours, theirs, kind=kind, owned=owned)
    elif not _same(at, wanted, found):
        yield Difference(at=at, found=found, wanted=wanted)


def _of_mapping(
    at: Place, wanted: Mapping[str, Any], found: Mapping[str, Any], *, kind: str, owned: bool
) -> Iterator[Difference]:
    for name, value in wanted.items():
        yield from _compared((*at, name), value, found.get(name, NOTHING), kind=kind, owned=owned)
    if owned:
        for name in sorted(found.keys() - wanted.keys()):
            if kind != "NetworkPolicy" or NETWORK_DEFAULTS.get(name) != found[name]:
                yield Difference(at=(*at, name), found=found[name], wanted=NOTHING)


def _is_owned(at: Place, kind: str) -> bool:
    return at[-1] in SELECTORS or (kind == "NetworkPolicy" and len(at) > 1)


def _same(at: Place, wanted: Any, found: Any) -> bool:
    if isinstance(found, Nothing):
        # The API server drops lists that are empty.
        return isinstance(wanted, list) and not wanted
    if isinstance(wanted, bool) is not isinstance(found, bool):
        return "config" in at and _as_kafka(wanted) == _as_kafka(found)
    if "config" in at and not isinstance(wanted, dict | list):
        return _as_kafka(wanted) == _as_kafka(found)
    if QUANTITIES & set(at[-2:]):
        return _quantity(wanted) == _quantity(found)
    return bool(wanted == found)


def _as_kafka(value: Any) -> str:
    """Kafka reads settings as texts, so Strimzi takes a number for its digits."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _quantity(value: Any) -> Decimal | Any:
    """By value: `1000m` of a CPU is `1`. What is no quantity stays as it is."""
    found = cpus(str(value)) or size_bytes(str(value))
    return value if found is None else found


def _put(tree: Any, at: Place, value: Any) -> None:
    """Set, or with `NOTHING` take away, one field. The way to it is there: it came from a comparison."""
    *way, last = at
    inner = tree
    for name in way:
        inner = inner[int(name)] if isinstance(inner, list) else inner[name]
    if isinstance(inner, list):
        inner[int(last)] = value
    elif isinstance(value, Nothing):
        inner.pop(last, None)
    else:
        inner[last] = value
