"""Whether this process traces at all."""

from opentelemetry.trace import (
    NoOpTracerProvider,
    ProxyTracerProvider,
    TracerProvider,
    get_tracer_provider,
)


def provider_in_use(given: TracerProvider | None = None) -> TracerProvider | None:
    """The provider that was given, else the process's; None where nobody has configured one yet."""
    provider = given or get_tracer_provider()
    return None if isinstance(provider, (ProxyTracerProvider, NoOpTracerProvider)) else provider
