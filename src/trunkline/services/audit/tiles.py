"""How a tree is kept: tiles of 256 hashes, as in C2SP tlog-tiles.

Tile `(0, i)` holds the leaf hashes `[256 i, 256 (i + 1))` one after the other; tile `(l + 1, i)` holds the
roots of the full tiles `(l, 256 i …)`. Only the last tile of a level may be partial. An append rewrites one
tile a level, a proof reads two at most a level, and nothing else of the tree has to be stored.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from trunkline.services.audit.merkle import HASH_BYTES, Frontier, fold

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
TILE_BYTES: Final = TILE_WIDTH * HASH_BYTES


class TileAt(NamedTuple):
    """The place of a tile in its tree."""

    level: int
    tile: int


def partial_tiles(size: int) -> list[TileAt]:
    """The tiles that an append to a tree of `size` leaves needs: the unfinished one of each level."""
    tiles: list[TileAt] = []
    level = 0
    while size:
        if size % TILE_WIDTH:
            tiles.append(TileAt(level, size // TILE_WIDTH))
        size //= TILE_WIDTH
        level += 1
    return tiles


class TileTree:
    """A tree that grows by leaf hashes and remembers which tiles that changed.

    A tile is entered in `changed` when it first changes and goes on growing there; only a full one may be
    taken out before the last leaf.
    """

    __slots__ = ("_frontiers", "_hashes", "_told", "changed", "size")

    def __init__(self, size: int = 0, tiles: Mapping[TileAt, bytes] | None = None) -> None:
        """Resume a tree of `size` leaves from its `partial_tiles`.

        Raises `ValueError` when a tile is missing or has another length than `size` implies: the store is
        damaged.
        """
        self.size = size
        self.changed: dict[TileAt, bytearray] = {}
        self._hashes: list[bytearray] = []
        self._frontiers: list[Frontier] = []
        for level, width in enumerate(_widths(size)):
            hashes = (
                b"" if not width or tiles is None else tiles.get(TileAt(level, self._tile_index(level)), b"")
            )
            if len(hashes) != width * HASH_BYTES:
                raise ValueError(
                    f"tile {level}/{self._tile_index(level)} has {len(hashes)} bytes, "
                    f"a tree of {size} leaves needs {width * HASH_BYTES}"
                )
            self._hashes.append(bytearray(hashes))
            self._frontiers.append(Frontier(split_hashes(hashes)))
        self._told = [False] * len(self._hashes)  # Whether the unfinished tile is in `changed`.

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash; a filled tile's root moves up a level."""
        level = 0
        while True:
            if level == len(self._hashes):
                self._hashes.append(bytearray())
                self._frontiers.append(Frontier())
                self._told.append(False)
            hashes, frontier = self._hashes[level], self._frontiers[level]
            if not self._told[level]:
                self.changed[TileAt(level, self._tile_index(level))] = hashes
                self._told[level] = True
            hashes += leaf
            frontier.append(leaf)
            if frontier.size < TILE_WIDTH:
                break
            leaf = frontier.root()
            self._hashes[level] = bytearray()
            self._frontiers[level] = Frontier()
            self._told[level] = False
            level += 1
        self.size += 1

    def root(self) -> bytes:
        """The root of the tree as it stands."""
        return fold([root for frontier in reversed(self._frontiers) for root in frontier.subtrees])

    def _tile_index(self, level: int) -> int:
        """The tile of `level` that the next leaf goes into; a leaf on its way up is not counted yet."""
        return self.size >> (TILE_HEIGHT * (level + 1))


def tile_nodes(read_tile: Callable[[TileAt], bytes]) -> Callable[[int, int], bytes]:
    """A `merkle.NodeReader` over stored tiles.

    The reader raises `ValueError` when a tile is too short to hold what was asked: the store is damaged.
    """

    def read(level: int, index: int) -> bytes:
        tile_level, height = divmod(level, TILE_HEIGHT)
        first = index << height
        at = TileAt(tile_level, first >> TILE_HEIGHT)
        offset = (first % TILE_WIDTH) * HASH_BYTES
        hashes = read_tile(at)[offset : offset + (HASH_BYTES << height)]
        if len(hashes) != HASH_BYTES << height:
            raise ValueError(f"tile {at.level}/{at.tile} is missing or too short")
        return Frontier(split_hashes(hashes)).root()

    return read


def split_hashes(hashes: bytes | bytearray) -> Iterator[bytes]:
    """The hashes of a tile, one by one."""
    for offset in range(0, len(hashes), HASH_BYTES):
        yield bytes(hashes[offset : offset + HASH_BYTES])


def _widths(size: int) -> Iterator[int]:
    """How many hashes the unfinished tile of each level holds, from the leaves up."""
    while size:
        yield size % TILE_WIDTH
        size //= TILE_WIDTH
