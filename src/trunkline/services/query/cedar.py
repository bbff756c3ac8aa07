"""What Cedar says of one reader and one table, by the access policies of one revision that cover the table.

Cedar's own rule is that nothing is allowed without a permit. A platform on which nobody has written a policy
yet must be usable, though, so a table is *open* until somebody permits something about it:

| the access policies that cover a table | who may read it |
|---|---|
| none | everybody of the tenant |
| only `forbid` | everybody but whom they forbid |
| at least one `permit` | whom one permits and none forbids |

With the setting `query.default_access = closed` the first two rows need a permit, too. A forbid always wins.

Cedar skips a policy whose evaluation fails, which turns a `forbid … when { resource.quarantined }` into an
allowance where the attribute is missing. So whatever fails in an evaluation denies.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import cedarpy

from trunkline.errors import InvalidInput
from trunkline.services.policies.policy import Policy
from trunkline.services.policies.validate import require_shallow

OPEN: Final = "trunkline:open"
"""The permit of an open table."""

CLOSED: Final = "trunkline:closed"
"""Stands for the policy where nothing but the lack of one denies."""

READERS_CACHED: Final = 4_096
"""Readers with a table each, whose entities are kept parsed."""

_ACTION: Final = {"type": "Action", "id": "query"}
_FAILED: Final = re.compile(r"policy `([^`]+)`")
_OPEN_POLICY: Final = {
    "effect": "permit",
    "principal": {"op": "All"},
    "action": {"op": "All"},
    "resource": {"op": "All"},
    "conditions": [],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who reads: a user, with the teams and roles that are known of them."""

    user: str
    teams: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is read: a table, as Cedar knows it."""

    schema: str
    table: str
    tags: frozenset[str] = frozenset()
    classification: str | None = None
    quarantined: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """A policy's word against a reader; `policy_id` may also be `CLOSED`."""

    policy_id: str
    reason: str


class Access:
    """Some access policies, parsed. Immutable, thread-safe."""

    def __init__(self, policies: Sequence[Policy], *, open_by_default: bool) -> None:
        """A policy that is not Cedar denies: see `broken`."""
        self._titles = {policy.policy_id: policy.title for policy in policies}
        self.broken: Said | None = None
        """Set if one of the policies cannot be read, so that nothing may be allowed."""
        parsed: dict[str, Any] = {}
        for policy in policies:
            try:
                # A text that came from the topic may be anybody's, and what overflows Cedar's stack ends us.
                require_shallow(policy.body)
                texts = json.loads(cedarpy.policies_to_json_str(policy.body))["staticPolicies"]
            except (ValueError, InvalidInput) as error:
                self.broken = Said(policy.policy_id, f"it cannot be read: {_line(error)}")
                continue
            parsed |= {f"{policy.policy_id}#{number}": text for number, text in enumerate(texts.values())}
        self._permits = sorted(
            {_policy_of(name) for name, text in parsed.items() if text["effect"] == "permit"}
        )
        if open_by_default and not self._permits:
            parsed[OPEN] = _OPEN_POLICY
        self._trivial = open_by_default and not policies
        self._set = cedarpy.PolicySet.from_json_str(
            json.dumps({"staticPolicies": parsed, "templates": {}, "templateLinks": []})
        )

    def against(self, reader: Principal, subject: Subject, *, origin: str) -> Said | None:
        """Why the reader may not read it; None if they may."""
        if self._trivial:
            return None
        if self.broken is not None:
            return self.broken
        request = {
            "principal": {"type": "User", "id": reader.user},
            "action": _ACTION,
            "resource": {"type": "Table", "id": f"{subject.schema}.{subject.table}"},
            "context": {"origin": origin},
        }
        answer = cedarpy.is_authorized(request, self._set, _entities(reader, subject))
        if answer.diagnostics.errors:
            return self._failed(answer.diagnostics.errors[0])
        return None if answer.allowed else self._denied(answer.diagnostics.reasons)

    def _denied(self, reasons: Iterable[str]) -> Said:
        """A denial with reasons is one by forbids; without any it is for the lack of a permit."""
        forbids = sorted({_policy_of(name) for name in reasons})
        if forbids:
            return Said(forbids[0], self._titles.get(forbids[0]) or "it forbids this")
        if self._permits:
            return Said(self._permits[0], f"no policy permits it: {self._titled(self._permits[0])}")
        return Said(CLOSED, "no policy permits it, and what no policy is about is closed")

    def _failed(self, error: str) -> Said:
        found = _FAILED.search(error)
        policy_id = _policy_of(found.group(1)) if found else CLOSED
        return Said(policy_id, f"it could not be evaluated: {_line(error)}")

    def _titled(self, policy_id: str) -> str:
        return self._titles.get(policy_id) or f"{policy_id} permits others"


def in_modes(policies: Iterable[Policy], modes: Iterable[str]) -> list[Policy]:
    """Those of these policies that are in one of the modes."""
    wanted = frozenset(modes)
    return [policy for policy in policies if policy.mode in wanted]


@lru_cache(maxsize=READERS_CACHED)
def _entities(reader: Principal, subject: Subject) -> cedarpy.Entities:
    parents = [{"type": "Team", "id": name} for name in sorted(reader.teams)]
    parents += [{"type": "Role", "id": name} for name in sorted(reader.roles)]
    attributes: dict[str, Any] = {"quarantined": subject.quarantined, "tags": sorted(subject.tags)}
    if subject.classification is not None:
        attributes["classification"] = subject.classification
    above = [{"type": "Schema", "id": subject.schema}]
    above += [{"type": "Tag", "id": tag} for tag in sorted(subject.tags)]
    return cedarpy.Entities.from_json_str(
        json.dumps(
            [
                _entity("User", reader.user, {}, parents),
                _entity("Table", f"{subject.schema}.{subject.table}", attributes, above),
            ]
        )
    )


def _entity(
    kind: str, name: str, attributes: Mapping[str, Any], parents: Sequence[Mapping[str, str]]
) -> dict[str, Any]:
    return {"uid": {"type": kind, "id": name}, "attrs": attributes, "parents": parents}


def _policy_of(name: str) -> str:
    """A policy's id from that of one of its Cedar policies."""
    return name.rpartition("#")[0] or name


def _line(error: object) -> str:
    return " ".join(str(error).split())[:300]
