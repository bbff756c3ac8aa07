import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest
from kio.index import load_request_schema
from kio.schema.index import api_key_map, schema_name_map

from trunkline.broker.protocol import messages
from trunkline.broker.protocol.notation import Message
from trunkline.broker.protocol.registry import API, ApiDeclaration

# InitProducerId v6 exists in Kafka 4.3's definitions but is unstable (KIP-939) and not advertised.
UNSTABLE = {22: 6}


@pytest.mark.parametrize("declaration", API.values(), ids=lambda declaration: declaration.name)
def test_the_whole_range_of_kafka_is_declared(declaration: ApiDeclaration) -> None:
    stable = [version for version in schema_name_map[api_key_map[declaration.key]] if version >= 0]
    last = max(version for version in stable if version != UNSTABLE.get(declaration.key))
    assert (declaration.first_version, declaration.last_version) == (min(stable), last)
    assert load_request_schema(declaration.key, last).__name__ == declaration.request.__name__


def test_every_message_of_the_package_is_registered() -> None:
    declared = {
        cls
        for module in pkgutil.iter_modules(messages.__path__)
        for _, cls in inspect.getmembers(
            importlib.import_module(f"{messages.__name__}.{module.name}"), inspect.isclass
        )
        if issubclass(cls, Message) and cls is not Message
    }
    assert declared == {cls for api in API.values() for cls in (api.request, api.response)}


def test_produce_is_listed_from_version_0_and_everything_else_from_what_it_serves() -> None:
    assert (API[0].listed_first, API[0].first_version) == (0, 3)
    assert all(api.listed_first == api.first_version for key, api in API.items() if key)


def test_importing_the_registry_compiles_no_coder() -> None:
    source = (
        "import sys, trunkline.broker.protocol.registry\n"
        "assert 'trunkline.broker.protocol.decoder' not in sys.modules\n"
        "assert 'trunkline.broker.protocol.encoder' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", source], check=True)
