"""Writes docs/reference from the code, so that the pages cannot say anything else.

python docs/generate.py            write the pages
python docs/generate.py --check    write nothing; exit 1 and name the pages that are not current
"""

import importlib
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import typer
from prometheus_client import CollectorRegistry
from rich.text import Text

from trunkline.broker.api.call import Handler
from trunkline.broker.api.registry import HANDLERS
from trunkline.catalogue.events import EVENT_TYPES, EventDeclaration
from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.model import Catalogue, Topic
from trunkline.catalogue.schema import event_schema
from trunkline.cli._certificate import expiry_gauge
from trunkline.cli.main import COMMANDS
from trunkline.client.broadcast.metrics import BroadcastMetrics
from trunkline.client.delivery import Delivered
from trunkline.client.exporter import FAMILIES
from trunkline.client.metrics import ConsumerMetrics
from trunkline.client.outbox.metrics import RelayMetrics
from trunkline.client.publisher_metrics import PublisherMetrics, Standing
from trunkline.client.store.failures import REASONS
from trunkline.deploy.foreign_metrics import FOREIGN_METRICS
from trunkline.services.kit.api.metrics import ApiMetrics

DOCS: Final = Path(__file__).parent
REFERENCE: Final = DOCS / "reference"
LIMITS: Final = DOCS / "fragments" / "kafka-limits.md"
"""The one hand-written part: what the embedded broker does not do."""

NOTICE: Final = "<!-- Written by docs/generate.py from the code; edit that instead. -->\n"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; a bar inside a cell is escaped."""

    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    names = list(head)
    return "\n".join([line(names), "|" + "---|" * len(names), *map(line, rows)])


def code(text: str) -> str:
    """Text as code within a line."""
    return f"`{text}`"


# Kafka APIs


def kafka_apis() -> str:
    """Every API of the handler registry, then what is missing."""
    rows = (_api_row(key, HANDLERS[key]) for key in sorted(HANDLERS))
    return "\n\n".join(
        [
            "# Kafka APIs of the embedded broker",
            "The versions are those of Apache Kafka 4.3. ApiVersions answers with this list; a request "
            "outside of it is refused with `UNSUPPORTED_VERSION`.",
            table(("key", "API", "versions", "what it does"), rows),
            LIMITS.read_text(encoding="utf-8").strip(),
        ]
    )


def _api_row(key: int, handler: Handler) -> tuple[str, str, str, str]:
    api = handler.declaration
    versions = str(api.first_version)
    if api.last_version != api.first_version:
        versions += f" to {api.last_version}"
    if api.listed_first != api.first_version:
        versions += f"; listed from {api.listed_first}"
    module = sys.modules[handler.handle.__module__]
    summary = _joined((module.__doc__ or "").split("\n\n")[0]).partition(": ")[2]
    return str(key), api.name, versions, summary.removesuffix(".")


def _joined(paragraph: str) -> str:
    return " ".join(paragraph.split())


# Events


def events() -> str:
    """Every event type by topic, with its fields and an example."""
    catalogue = load_catalogue()
    sections = [_topic_section(topic, catalogue) for topic in catalogue.topics.values()]
    overview = table(
        ("topic", "publisher", "consumers", "event types"),
        (
            (
                f"[{topic.name}](#{_anchor(topic.name)})",
                topic.publisher,
                _consumers(topic, catalogue),
                str(len(_types_on(topic))),
            )
            for topic in catalogue.topics.values()
        ),
    )
    return "\n\n".join(
        [
            "# Events",
            f"{len(EVENT_TYPES)} event types on {len(catalogue.topics)} topics. The data is the record's "
            "value as JSON; the key is the tenant id; time, id and source are `ce_` headers "
            "([how a record looks](../how-to/use-your-own-kafka-client.md)). Readers ignore fields that they "
            "do not know. A field that is not required has its default when it is left out. "
            "`trunkline contract export` writes the same as JSON Schema and AsyncAPI.",
            overview,
            *sections,
        ]
    )


def _topic_section(topic: Topic, catalogue: Catalogue) -> str:
    types = "\n\n".join(_event_section(declaration) for declaration in _types_on(topic))
    ends = f"Published by {topic.publisher}; consumed by {_consumers(topic, catalogue)}."
    return f"## {topic.name}\n\n{ends}\n\n{types}"


def _types_on(topic: Topic) -> list[EventDeclaration]:
    return [declaration for declaration in EVENT_TYPES.values() if declaration.topic == topic.name]


def _consumers(topic: Topic, catalogue: Catalogue) -> str:
    if len(topic.consumers) == len(catalogue.services):
        return "all services"
    return ", ".join(topic.consumers)


def _event_section(declaration: EventDeclaration) -> str:
    schema = event_schema(declaration)
    required = set(schema.get("required", ()))
    rows = (
        (code(name), kind(field), "yes" if name in required else _default(field))
        for name, field in schema["properties"].items()
    )
    example = json.dumps(schema["examples"][0], indent=2, ensure_ascii=False)
    return (
        f"### {declaration.type}\n\n{_joined(schema['description'])}\n\n"
        f"{table(('field', 'value', 'required'), rows)}\n\n```json\n{example}\n```"
    )


def _default(field: Mapping[str, Any]) -> str:
    return f"no; {code(json.dumps(field['default']))}" if field.get("default") is not None else "no"


def kind(field: Mapping[str, Any]) -> str:
    """What a field may hold, in words, from its JSON Schema."""
    if choices := [choice for choice in field.get("anyOf", ()) if choice.get("type") != "null"]:
        return " or ".join(kind(choice) for choice in choices)
    if values := field.get("enum"):
        return "one of " + ", ".join(code(str(value)) for value in values)
    describe = _KINDS.get(str(field.get("type")))
    described = "any JSON" if describe is None else describe(field)
    return f"{described}; personal data" if field.get("x-pii") else described


def _text(field: Mapping[str, Any]) -> str:
    if field.get("format") == "date-time":
        return "time with offset (RFC 3339)"
    if pattern := field.get("pattern"):
        # The wrapping of `catalogue.events.fields.whole` says "all of the text".
        core = re.sub(r"^\^\(\?:(.*)\)\$\(\?!\\n\)$", r"\1", pattern)
        longest = f", up to {field['maxLength']} characters" if "maxLength" in field else ""
        return f"text {code(core)}{longest}"
    return "text" + _span(field, "minLength", "maxLength", " characters")


def _number(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda field: name + _span(field, "minimum", "maximum", "")


def _span(field: Mapping[str, Any], low: str, high: str, unit: str) -> str:
    first, last = field.get(low), field.get(high)
    if last is None:
        return "" if first is None else f", at least {first}{unit}"
    shown = "2^53-1" if last == 2**53 - 1 else f"{last:,}" if isinstance(last, int) else f"{last:g}"
    return f", up to {shown}{unit}" if first is None else f", {first:g} to {shown}{unit}"


def _list(field: Mapping[str, Any]) -> str:
    return f"list of {kind(field['items'])}" if field.get("items") else "list"


def _object(field: Mapping[str, Any]) -> str:
    values = field.get("additionalProperties")
    return f"object; each value {kind(values)}" if isinstance(values, Mapping) and values else "object"


_KINDS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "string": _text,
    "integer": _number("whole number"),
    "number": _number("number"),
    "boolean": lambda _: "`true` or `false`",
    "array": _list,
    "object": _object,
}


def _anchor(heading: str) -> str:
    """The fragment that a heading gets on the usual renderers."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


# Commands


def commands() -> str:
    """Every command with its arguments, options and example."""
    sections = [section for name in COMMANDS for section in _command_sections(name)]
    return "\n\n".join(
        [
            "# Commands",
            "Every command takes `--help`. With `--json` a command prints JSON on standard output and "
            "nothing else there. Exit codes: 0 done; 1 the operation or the check failed; 2 the input is "
            "wrong and nothing was done; 4 a broker, a store or a port cannot be had right now.",
            "\n".join(
                f"- [trunkline {name}](#trunkline-{name}): {text}" for name, (_, _, text) in COMMANDS.items()
            ),
            *sections,
        ]
    )


def _command_sections(name: str) -> Iterator[str]:
    module = importlib.import_module(f"trunkline.cli.{COMMANDS[name][0]}")
    yield from _sections_of(typer.main.get_command(module.app), f"trunkline {name}", "##")


def _sections_of(command: Any, path: str, level: str) -> Iterator[str]:
    context = typer.Context(command, info_name=path)
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    records = [
        record
        for parameter in command.get_params(context)
        if parameter.name != "help" and (record := parameter.get_help_record(context))
    ]
    parts = [f"{level} {path}", f"```text\n{usage}\n```", *_help_parts(command.help or "")]
    if records:
        parts.append(
            table(("argument or option", "meaning"), ((code(name), _joined(text)) for name, text in records))
        )
    yield "\n\n".join(parts)
    for subcommand in getattr(command, "commands", {}).values():
        yield from _sections_of(subcommand, f"{path} {subcommand.name}", "###")


def _help_parts(text: str) -> Iterator[str]:
    """A help text as Markdown: indented lines are commands, the heading over them goes."""
    commands_in_line = re.sub(r"\[bold\](trunkline [^\[]*)\[/bold\]", r"`\1`", text)
    for paragraph in Text.from_markup(commands_in_line).plain.strip().split("\n\n"):
        if paragraph.startswith("  "):
            lines = (line.strip() for line in paragraph.splitlines())
            yield "```sh\n" + "\n".join(lines) + "\n```"
        elif paragraph.strip() not in {"Example", "Examples"}:
            yield _joined(paragraph)


# Metrics


METRIC_COLUMNS: Final = ("name", "type", "labels", "meaning")


def metrics() -> str:
    """What programs count, from registries in which everything has happened once; then the exporter's."""
    return "\n\n".join(
        [
            "# Metrics",
            "In the Prometheus format. `group` is the consumer group, which is the service's name. No label "
            "carries a tenant. [How to use them](../how-to/observe.md); [the alerts](../how-to/alerts.md).",
            "## A consumer's",
            "`trunkline service NAME --metrics-port PORT` serves them; in a service of your own they are in "
            "the `registry` that you give the consumer.",
            _metric_table(_happened_to_a_consumer),
            "`reason` of `trunkline_consumer_failures_total` is one of these, as in the failure ledger:",
            table(("reason", "meaning"), ((code(reason), text) for reason, text in REASONS.items())),
            "`reason` of `trunkline_consumer_commit_failures_total` is the Kafka client's name of the error, "
            "such as `ILLEGAL_GENERATION`.",
            "## A publisher's",
            "Of every `Publisher` that is given a `registry`; `service` is the one that publishes.",
            _metric_table(_happened_to_a_publisher),
            "`outcome` is `delivered`, `rejected` or `unknown`. An event that was published again counts "
            "each time.",
            "## An outbox relay's",
            "Of every relay, in the `registry` that it is given; `service` is the one whose outbox it is.",
            _metric_table(_happened_to_a_relay),
            "## The configuration's",
            "Of every instance that keeps the broadcast configuration, in the `registry` that it is given.",
            _metric_table(_happened_to_an_instance),
            "## A process's",
            "Of every service and exporter that proves itself with a certificate.",
            _metric_table(_happened_to_a_process),
            "## An HTTP API's",
            "Of every service that serves one. `route` is its pattern below `/v1`, and `none` where an "
            "address leads to no route.",
            _metric_table(_happened_to_an_api),
            "## The exporter's",
            "`trunkline exporter` serves them, one for a cluster. Names and labels are those of "
            "kafka_exporter and, for seconds, of kafka-lag-exporter, so that dashboards and alerts made for "
            "these fit; what has no name there begins with `trunkline_exporter_`. A group of the contract "
            "that has committed anything is behind in all of its topics, counted from their first record; "
            "any other group where it has committed.",
            table(
                METRIC_COLUMNS,
                (
                    (code(family.name), "gauge", ", ".join(map(code, family.labels)), family.text)
                    for family in FAMILIES
                ),
            ),
            "## Others'",
            "What the rendered alerts and dashboards use besides. Kafka's are as Strimzi's metrics reporter "
            "writes them by default, and every one has the labels of its pod.",
            table(
                ("name", "from", *METRIC_COLUMNS[1:]),
                (
                    (
                        code(name),
                        metric.source,
                        metric.type,
                        ", ".join(map(code, metric.labels)),
                        metric.meaning,
                    )
                    for name, metric in FOREIGN_METRICS.items()
                ),
            ),
        ]
    )


def _metric_table(happen: Callable[[CollectorRegistry], None]) -> str:
    registry = CollectorRegistry()
    happen(registry)
    return table(METRIC_COLUMNS, sorted(_metric_row(family) for family in registry.collect()))


# A metric with labels that was never touched has none to show, so everything happens once.


def _happened_to_a_process(registry: CollectorRegistry) -> None:
    expiry_gauge(registry).set(0)


def _happened_to_an_api(registry: CollectorRegistry) -> None:
    ApiMetrics(registry).answered("GET", "/entries", 200, 0.1)


class _Published(NamedTuple):
    lane: tuple[str, str] = ("a-topic", "a-tenant")
    at: float = 0.0

    def standing(self) -> Standing:
        return Standing(0, 0)


def _happened_to_a_publisher(registry: CollectorRegistry) -> None:
    counted = PublisherMetrics(registry, "a-service", _Published())
    counted.settled([(_Published(), Delivered("a-topic", 0, 0))], now=1.0)


def _happened_to_a_relay(registry: CollectorRegistry) -> None:
    RelayMetrics(registry, "a-service").failed(refused=True)


def _happened_to_an_instance(registry: CollectorRegistry) -> None:
    counted = BroadcastMetrics(
        registry, stale=lambda: False, unconfirmed_seconds=lambda: 0.0, entries=lambda: 0
    )
    counted.rejected("undecodable")


def _happened_to_a_consumer(registry: CollectorRegistry) -> None:
    counted = ConsumerMetrics(registry, "a-group")
    counted.batch("a-topic", records=1, duplicates=1)
    counted.failure("a-topic", "handler")
    counted.fenced()
    counted.expired("a-topic", 1)
    counted.commit_failed("ILLEGAL_GENERATION")


def _metric_row(family: Any) -> tuple[str, str, str, str]:
    if not family.samples:
        raise SystemExit(f"{family.name} shows no labels: have it happen in docs/generate.py")
    labels = [label for label in family.samples[0].labels if label != "le"]
    name = f"{family.name}_total" if family.type == "counter" else family.name
    return code(name), family.type, ", ".join(code(label) for label in labels), family.documentation


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "kafka-apis.md": kafka_apis,
    "events.md": events,
    "cli.md": commands,
    "metrics.md": metrics,
}


def main(arguments: list[str]) -> int:
    """Write or check the pages; returns the exit code."""
    if arguments not in ([], ["--check"]):
        print("usage: python docs/generate.py [--check]", file=sys.stderr)
        return 2
    pages = {REFERENCE / name: f"{NOTICE}{render()}\n" for name, render in PAGES.items()}
    stale = [
        path for path, text in pages.items() if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    if arguments:
        for path in stale:
            print(f"{path} is not current; run python docs/generate.py", file=sys.stderr)
        return 1 if stale else 0
    REFERENCE.mkdir(exist_ok=True)
    for path in stale:
        path.write_text(pages[path], encoding="utf-8")
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
