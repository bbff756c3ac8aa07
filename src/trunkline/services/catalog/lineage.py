"""What an asset depends on, and what depends on it, over any number of steps."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from sqlalchemy import CTE, Connection, Select, bindparam, literal, select

from trunkline.errors import InvalidInput
from trunkline.services.catalog import urns
from trunkline.services.catalog.known import require_known, state_of
from trunkline.services.catalog.moments import from_us
from trunkline.services.catalog.tables import ASSET, EDGE
from trunkline.services.catalog.views import Direction, EdgeView, Lineage, Node

DEPTH_DEFAULT: Final = 5
DEPTH_MAX: Final = 20
EDGES_MAX: Final = 5_000
"""In one answer: more is nothing to look at, and bounds what a hub of the graph can cost."""

_AT_ONCE: Final = 500
"""Assets in one statement, within every database's limit of parameters."""


def lineage(
    tx: Connection, tenant: str, urn: str, *, direction: Direction, depth: int = DEPTH_DEFAULT
) -> Lineage:
    """The assets within `depth` steps upwards (what it depends on) or downwards (what depends on it).

    Cycles end where they close. An asset that was deleted stays on its paths and says so. Raises `NotFound`
    for one that nobody knows, and `InvalidInput` for a depth out of bounds.
    """
    if not 1 <= depth <= DEPTH_MAX:
        raise InvalidInput(f"lineage goes 1 to {DEPTH_MAX} steps, not {depth}")
    root = urns.normal(urn)
    require_known(tx, tenant, root)
    rows = tx.execute(_reached(direction), {"tenant": tenant, "root": root, "depth": depth}).all()
    shown = rows[:EDGES_MAX]
    depths = {root: 0}
    for row in shown:
        depths.setdefault(row.target if direction == "down" else row.origin, row.step)
    edges = {(row.origin, row.target, row.kind): row.since_us for row in shown}
    return Lineage(
        urn=root,
        direction=direction,
        depth=depth,
        nodes=tuple(_nodes(tx, tenant, depths)),
        edges=tuple(
            EdgeView(origin=origin, target=target, kind=kind, since=from_us(since_us))
            for (origin, target, kind), since_us in sorted(edges.items())
        ),
        truncated=len(rows) > EDGES_MAX,
    )


@lru_cache
def _reached(direction: Direction) -> Select[tuple[str, str, str, int, int]]:
    """Edges by the step that reaches them, nearest first.

    The recursion is over edges and steps and drops what it has seen at the same step, so that a cycle goes
    round at most `depth` times. It carries the whole edges: to look them up again behind it, SQLite would go
    through all edges of the tenant.
    """
    near, far = ("origin", "target") if direction == "down" else ("target", "origin")
    of_tenant = EDGE.c.tenant == bindparam("tenant")
    edge = (EDGE.c.origin, EDGE.c.target, EDGE.c.kind, EDGE.c.since_us)
    first = select(*edge, literal(1).label("step")).where(of_tenant, EDGE.c[near] == bindparam("root"))
    reach: CTE = first.cte("reach", recursive=True)
    following = select(*edge, reach.c.step + 1).select_from(
        reach.join(EDGE, of_tenant & (EDGE.c[near] == reach.c[far]))
    )
    reach = reach.union(following.where(reach.c.step < bindparam("depth")))
    return select(reach).order_by(reach.c.step, reach.c.origin, reach.c.target).limit(EDGES_MAX + 1)


def _nodes(tx: Connection, tenant: str, depths: dict[str, int]) -> list[Node]:
    wanted = sorted(depths)
    nodes: list[Node] = []
    for begin in range(0, len(wanted), _AT_ONCE):
        part: Sequence[str] = wanted[begin : begin + _AT_ONCE]
        for row in tx.execute(select(ASSET).where(ASSET.c.tenant == tenant, ASSET.c.urn.in_(part))):
            state = state_of(newest_us=row.newest_us, defined_us=row.defined_us, deleted_us=row.deleted_us)
            nodes.append(Node(urn=row.urn, kind=row.kind, depth=depths[row.urn], state=state))
    return sorted(nodes, key=lambda node: (node.depth, node.urn))
