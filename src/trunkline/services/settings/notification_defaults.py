"""The rules, templates and channels that come with the product. A setting of the same name replaces one."""

from types import MappingProxyType
from typing import Final

from trunkline.services.settings.notification import (
    Channel,
    Condition,
    InboxChannel,
    Inhibitor,
    Rule,
    Template,
    Test,
)

_DAY_S: Final = 86_400

RULES: Final = MappingProxyType(
    {
        "pipeline-failed": Rule(
            title="A pipeline failed",
            when=Condition(types=("pipeline.run_failed.v1",)),
            resolved_by=Condition(types=("pipeline.run_completed.v1",)),
            key="{{ data.namespace }}/{{ data.job }}",
            severity="error",
            category="pipeline",
        ),
        "quality-check-failed": Rule(
            title="A quality check failed",
            when=Condition(types=("quality.check_failed.v1",), where={"severity": ("error", "critical")}),
            resolved_by=Condition(types=("quality.check_passed.v1",)),
            key="{{ data.check_id }}",
            severity_from="severity",
            category="quality",
            group_by="{{ data.asset }}",
            group_wait_s=10.0,
        ),
        "quality-anomaly": Rule(
            title="Data looks unusual",
            when=Condition(types=("quality.anomaly_detected.v1",), where={"score": Test(ge=0.9)}),
            resolved_by=Condition(types=("quality.anomaly_resolved.v1",)),
            key="{{ data.anomaly_id }}",
            severity="warning",
            category="quality",
            group_by="{{ data.asset }}",
            group_wait_s=10.0,
            # A check that fails says more precisely what is wrong with the same asset.
            inhibited_by=(Inhibitor(rule="quality-check-failed", equal=("asset",)),),
        ),
        "quality-sla-breached": Rule(
            title="A promise about data was not kept",
            when=Condition(types=("quality.sla_breached.v1",)),
            key="{{ data.sla_id }}/{{ data.due_at }}",
            severity_from="severity",
            category="quality",
            repeat_s=0,
        ),
        "usage-threshold": Rule(
            title="Usage comes near its limit",
            when=Condition(types=("usage.threshold_reached.v1",), where={"level_percent": Test(ge=80)}),
            key="{{ data.meter }}/{{ data.period }}/{{ data.level_percent }}",
            severity="warning",
            category="usage",
            repeat_s=0,
        ),
        "quota-exceeded": Rule(
            title="A quota is exceeded",
            when=Condition(types=("usage.quota_exceeded.v1",)),
            key="{{ data.meter }}/{{ data.period }}",
            severity="error",
            category="usage",
            repeat_s=_DAY_S,
        ),
        "usage-corrected": Rule(
            title="Usage of a closed period was corrected",
            when=Condition(types=("usage.correction_recorded.v1",)),
            key="{{ data.correction_id }}",
            severity="info",
            category="billing",
            repeat_s=0,
        ),
        "tenant-suspended": Rule(
            title="The account is suspended",
            when=Condition(types=("tenant.suspended.v1",)),
            resolved_by=Condition(types=("tenant.reactivated.v1",)),
            key="suspended",
            severity="critical",
            category="account",
            repeat_s=_DAY_S,
            while_suspended=True,
        ),
        "tenant-deletion-scheduled": Rule(
            title="The account is going to be deleted",
            when=Condition(types=("tenant.deletion_scheduled.v1",)),
            resolved_by=Condition(types=("tenant.reactivated.v1",)),
            key="deletion",
            severity="critical",
            category="account",
            repeat_s=_DAY_S,
            while_suspended=True,
        ),
        "tenant-provisioning-failed": Rule(
            title="Setting up the account failed",
            when=Condition(types=("tenant.provisioning_failed.v1",)),
            resolved_by=Condition(types=("tenant.activated.v1",)),
            key="provisioning",
            severity="error",
            category="account",
        ),
    }
)

TEMPLATES: Final = MappingProxyType(
    {
        "default": Template(
            subject="{% if kind == 'resolved' %}Resolved: {% elif kind == 'repeat' %}Still: {% endif %}"
            "{{ title }}{% if count > 1 %} ({{ count }}){% endif %}",
            text="{% for item in items %}{{ item.time }}  {{ item.summary }}\n{% endfor %}"
            "{% if count > items|length %}and {{ count - items|length }} more\n{% endif %}",
        ),
        "digest": Template(
            subject="Digest: {{ count }} notification{% if count > 1 %}s{% endif %} about {{ category }}",
            text="{% for item in items %}{{ item.time }}  [{{ item.severity }}] {{ item.summary }}\n"
            "{% endfor %}"
            "{% if count > items|length %}and {{ count - items|length }} more\n{% endif %}",
        ),
    }
)

CHANNELS: Final[MappingProxyType[str, Channel]] = MappingProxyType({"inbox": InboxChannel()})
