"""How `trunkline usage` shows what it found to people."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import typer

from trunkline.cli import _common
from trunkline.cli._tables import new_table, print_table

if TYPE_CHECKING:
    from trunkline.services.billing.explaining import Contribution
    from trunkline.services.billing.queries import MeterView, Standing, Usage
    from trunkline.services.billing.records import Correction, Doubted, Month
    from trunkline.services.billing.recounting import Difference
    from trunkline.services.billing.terms import Refused


def show_standing(found: "Sequence[Standing]", *, tenant: str, period: str) -> None:
    """Usage against limits; a quantity that is billed elsewhere is named."""
    if not found:
        typer.echo(f"{tenant} has used nothing in {period}, and has no limits")
        return
    table = new_table(
        "meter", "used", "unit", "limit", "percent", "told of", "billed", right=("used", "limit")
    )
    for one in found:
        told = ", ".join(f"{level}%" for level in one.told)
        billed = "" if one.billed == one.used else one.billed
        table.add_row(one.meter, one.used, one.unit, one.limit or "", one.percent or "", told, billed)
    print_table(table)


def show_groups(found: "Sequence[Usage]") -> None:
    """The groups of the meters that have some."""
    table = new_table("meter", "group", "used", "unit", "events", right=("used", "events"))
    for one in found:
        table.add_row(one.meter, _group(one.group), one.quantity, one.unit, str(one.events))
    print_table(table)


def show_contributions(found: "Sequence[Contribution]", following: int | None) -> None:
    """Events, and where to go on."""
    table = new_table("time", "event", "source", "quantity", right=("quantity",))
    for one in found:
        table.add_row(_moment(one.time), one.id, one.source, one.quantity or str(one.member))
    print_table(table)
    if following is not None:
        _common.note(f"there are more: --after {following}, or --all")


def show_meters(found: "Sequence[MeterView]") -> None:
    """All versions of all meters."""
    table = new_table("meter", "version", "counts", "of", "unit", "by", "from")
    for one in found:
        what = " + ".join(one.value)
        since = "" if one.effective_from is None else _moment(one.effective_from)
        table.add_row(
            one.code,
            str(one.version),
            f"{one.aggregation} {what}".rstrip() + ("" if one.factor == "1" else f" × {one.factor}"),
            one.event_type,
            one.unit,
            ", ".join(one.group_by),
            since,
        )
    print_table(table)


def show_refused(found: "Sequence[Refused]") -> None:
    """Settings that are not in force."""
    for one in found:
        _common.note(f"not in force{f' for {one.tenant}' if one.tenant else ''}: {one.reason}")


def show_periods(months: "Sequence[Month]", corrections: "Sequence[Correction]") -> None:
    """Months, and the corrections of those that were closed."""
    table = new_table(
        "period", "state", "closed at", "tier", "failed events", "digest", right=("failed events",)
    )
    for month in months:
        closed = "" if month.closed_at is None else _moment(month.closed_at)
        blocked = str(month.blocked_by) if month.blocked_by else ""
        table.add_row(month.period, month.state, closed, month.tier or "", blocked, month.digest or "")
    print_table(table)
    for one in corrections:
        typer.echo(
            f"{one.meter} {_group(one.group)} of {one.period}: {one.delta}, billed in {one.booked_in} "
            f"(event {one.event_id})"
        )


def show_differences(found: "Sequence[Difference]", months: int) -> None:
    """Numbers that are not what their facts come to."""
    for one in found:
        typer.echo(
            f"{one.tenant} {one.period} {one.meter} {one.group}: stored {one.stored}, counted {one.counted}"
        )
    checked = _common.counted(months, "period")
    typer.echo(f"{checked} checked, {_common.counted(len(found), 'difference')}")


def show_quarantine(found: "Sequence[Doubted]") -> None:
    """Events whose time is not believed."""
    if not found:
        typer.echo("nothing is in the quarantine")
        return
    table = new_table("number", "tenant", "time", "arrived", "reason", "state", "event", right=("number",))
    for one in found:
        table.add_row(
            str(one.number),
            one.tenant,
            _moment(one.time),
            _moment(one.arrived_at),
            one.reason,
            one.state,
            f"{one.id} ({one.type})",
        )
    print_table(table)


def _group(group: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in group.items())


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
