"""Whether this process traces at all."""

from opentelemetry.trace import (
    NoOpTracerProvider,
    ProxyTracerProvider,
    Tracer,
    TracerProvider,
    get_tracer_provider,
)

from trunkline import __version__
from trunkline.client.telemetry.attributes import Names


def provider_in_use(given: TracerProvider | None = None) -> TracerProvider | None:
    """The provider that was given, else the process's; None where nobody has configured one yet."""
    provider = given or get_tracer_provider()
    return None if isinstance(provider, (ProxyTracerProvider, NoOpTracerProvider)) else provider


def tracer_of(provider: TracerProvider, names: Names) -> Tracer:
    """The tracer of all our spans."""
    return provider.get_tracer("trunkline", __version__, names.schema_url)
