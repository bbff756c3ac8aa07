"""Where a resource that was found differs from what the catalogue says: pure, field by field.

Only fields that the catalogue sets count, and those that it has set before: an API server adds defaults, and
operators and other tools add fields of their own. Some places are ours wholly, so that what is there besides
is a difference, too: the spec of Strimzi's resources, where an additional topic setting or right changes what
holds, and selectors.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final, TypeAlias

from trunkline.catalogue.quantity import cpus, size_bytes
from trunkline.deploy.strimzi import API_VERSION as STRIMZI
from trunkline.operate.change import ABSENT
from trunkline.operate.folding import Folded, folded, unfolded
from trunkline.operate.manifests import Manifest
from trunkline.operate.ownership import NO_FIELDS, Fields, applied_fields, fields_below, is_applied

Place: TypeAlias = tuple[str, ...]
"""The way to a field of a folded manifest; a list's items that have no names are `0`, `1` and so on."""

HEAD: Final = frozenset({"apiVersion", "kind", "metadata"})

SELECTORS: Final = frozenset({"matchLabels", "selector", "podSelector", "namespaceSelector"})
"""One label more selects other pods."""

QUANTITIES: Final = frozenset({"requests", "limits", "size", "sizeLimit"})
"""The last or the last but one name on the way to an amount of CPU, memory or disk."""

NETWORK_DEFAULTS: Final = {"protocol": "TCP"}
"""What an API server adds to a NetworkPolicy, whose rules are ours wholly."""


class Nothing:
    """There is no such field."""

    def __repr__(self) -> str:
        return ABSENT


NOTHING: Final = Nothing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A field that is not as wanted; `NOTHING` stands for a field that is not there, or shall not be.

    `missing` is the outermost field around it that is not there either; empty where all are.
    """

    at: Place
    found: Any
    wanted: Any
    missing: Place = ()

    @property
    def field(self) -> str:
        """The way to it as people write it; a right, which is in words, in brackets."""
        return "".join(f"[{name}]" if " " in name else f".{name}" for name in self.at).lstrip(".")


@dataclass(frozen=True, slots=True)
class _Scope:
    """What is known about the place that is compared: of which kind, whether ours wholly, and what we set."""

    kind: str
    is_wholly: bool
    fields: Fields

    def within(self, at: Place) -> "_Scope":
        """The same, inside of a mapping at this place."""
        return self if self.is_wholly else replace(self, is_wholly=_is_wholly(at, self.kind))

    def below(self, name: str, inside: Mapping[str, Any]) -> "_Scope":
        """For the field or item `name` of what was found."""
        return replace(self, fields=fields_below(self.fields, name, inside))

    def counts(self, name: str, inside: Mapping[str, Any]) -> bool:
        """Whether a field or item that is not wanted is a difference."""
        if is_applied(self.fields, name, inside):
            return True
        is_default = self.kind == "NetworkPolicy" and NETWORK_DEFAULTS.get(name) == inside[name]
        return self.is_wholly and not is_default


def differences(wanted: Manifest, found: Manifest) -> list[Difference]:
    """How the resource differs in what the catalogue says of it. Status and versions are the server's."""
    ours, theirs = folded(wanted), folded(found)
    scope = _Scope(kind=ours["kind"], is_wholly=False, fields=applied_fields(found))
    metadata = scope.below("metadata", theirs)
    listed: list[Difference] = []
    for part in ("labels", "annotations"):
        labels = ours["metadata"].get(part, {}), theirs["metadata"].get(part) or {}
        listed += _of_mapping(("metadata", part), *labels, metadata.below(part, theirs["metadata"]))
    body = replace(scope, is_wholly=ours["apiVersion"] == STRIMZI)
    for name in sorted(ours.keys() - HEAD):
        listed += _of_field((name,), ours[name], theirs.get(name, NOTHING), body.below(name, theirs))
    return listed


def left_as_found(wanted: Manifest, kept: Iterable[Difference]) -> dict[str, Any]:
    """The wanted manifest, but with these fields as they were found."""
    made = folded(wanted)
    for difference in kept:
        _put(made, difference.at, difference.found)
        _drop_empty(made, difference)
    plain: dict[str, Any] = unfolded(made)
    return plain


def removals(found: Manifest, places: Iterable[Place]) -> dict[str, Any]:
    """A merge patch (RFC 7386) that takes these fields away, and nothing else; empty if none is there.

    Inside of a list it puts the list without them there: such a patch knows no items.
    """
    theirs, remaining = folded(found), folded(found)
    there = [place for place in places if _is_there(theirs, place)]
    for place in there:
        _put(remaining, place, NOTHING)
    patch: dict[str, Any] = {}
    for place in there:
        _take_away(patch, place, remaining)
    return patch


def _is_there(tree: Any, place: Place) -> bool:
    try:
        _at(tree, place)
    except (KeyError, IndexError, TypeError, ValueError):
        return False
    return True


def _take_away(patch: dict[str, Any], place: Place, remaining: Any) -> None:
    *way, last = place
    for name in way:
        remaining = remaining[name]
        if isinstance(remaining, Folded | list):
            patch[name] = unfolded(remaining)
            return
        patch = patch.setdefault(name, {})
    patch[last] = None


def _compared(at: Place, wanted: Any, found: Any, scope: _Scope) -> Iterator[Difference]:
    if isinstance(wanted, Folded) or isinstance(found, Folded):
        # A list without items does not say by what they would be told apart.
        wanted, found = (Folded() if side == [] else side for side in (wanted, found))
    if isinstance(wanted, dict) and type(wanted) is type(found):
        yield from _of_mapping(at, wanted, found, scope.within(at))
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        item = replace(scope, fields=NO_FIELDS)
        for place, (ours, theirs) in enumerate(zip(wanted, found, strict=True)):
            yield from _compared((*at, str(place)), ours, theirs, item)
    elif not _same(at, wanted, found):
        yield Difference(at=at, found=found, wanted=wanted)


def _of_field(at: Place, wanted: Any, found: Any, scope: _Scope) -> Iterator[Difference]:
    """A part that is missing whole differs field by field: each has a risk of its own."""
    is_plain = isinstance(wanted, dict) and not isinstance(wanted, Folded)
    if is_plain and wanted and isinstance(found, Nothing):
        yield from (replace(one, missing=at) for one in _of_mapping(at, wanted, {}, scope))
    else:
        yield from _compared(at, wanted, found, scope)


def _of_mapping(
    at: Place, wanted: Mapping[str, Any], found: Mapping[str, Any], scope: _Scope
) -> Iterator[Difference]:
    for name, value in wanted.items():
        # An item of a list is whole, or not there.
        compared = _compared if isinstance(wanted, Folded) else _of_field
        yield from compared((*at, name), value, found.get(name, NOTHING), scope.below(name, found))
    for name in sorted(found.keys() - wanted.keys()):
        if scope.counts(name, found):
            yield Difference(at=(*at, name), found=found[name], wanted=NOTHING)


def _is_wholly(at: Place, kind: str) -> bool:
    return at[-1] in SELECTORS or (kind == "NetworkPolicy" and at[0] == "spec" and len(at) > 1)


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


def _drop_empty(tree: dict[str, Any], difference: Difference) -> None:
    """Take away what is around a field that was not found, as far as it was not there and is empty now."""
    for depth in range(len(difference.at) - 1, len(difference.missing) - 1, -1):
        if not difference.missing or _at(tree, difference.at[:depth]):
            return
        _put(tree, difference.at[:depth], NOTHING)


def _at(tree: Any, place: Sequence[str]) -> Any:
    for name in place:
        tree = tree[int(name)] if isinstance(tree, list) else tree[name]
    return tree


def _put(tree: Any, at: Place, value: Any) -> None:
    """Set, or with `NOTHING` take away, one field. The way to it is there: it came from a comparison."""
    *way, last = at
    inner = _at(tree, way)
    if isinstance(inner, list):
        inner[int(last)] = value
    elif isinstance(value, Nothing):
        inner.pop(last, None)
    else:
        inner[last] = value
