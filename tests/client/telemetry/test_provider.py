"""Whether anything is traced."""

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NoOpTracerProvider

from trunkline.client.telemetry import provider_in_use


def test_a_process_that_configured_nothing_traces_nothing() -> None:
    assert provider_in_use() is None
    assert provider_in_use(NoOpTracerProvider()) is None


def test_a_given_provider_is_used(provider: TracerProvider) -> None:
    assert provider_in_use(provider) is provider
