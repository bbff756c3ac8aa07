"""Services inside this process, as `trunkline service` runs them, each on a thread of its own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trunkline.catalogue.load import load_catalogue
from trunkline.client.config import ConnectionOptions, ConsumerOptions
from trunkline.services import runnable
from trunkline.services.running import ServiceProcess, Setup
from trunkline.testing.consuming import eventually


def setup_of(name: str, data_dir: Path, connection: ConnectionOptions, *, instance: str = "test") -> Setup:
    """A service with its files in `data_dir`, where the command line looks for them, too."""
    catalogue = load_catalogue(None)
    services, keys = data_dir / "services", data_dir / "keys"
    return Setup(
        name=name,
        instance=instance,
        runnable=runnable(name),
        catalogue=catalogue,
        environment=catalogue.environment("development"),
        connection=connection,
        store_url=f"sqlite:///{services / f'{name}.db'}",
        data_dir=data_dir,
        keys_url=f"sqlite:///{keys / f'{name}.db'}",
        master_key=keys / "master.key",
        kept_config=services / f"{name}.config.json",
        options=ConsumerOptions(group=name),
    )


@contextmanager
def serving(setup: Setup) -> Iterator[ServiceProcess]:
    """Run it until the end of the block. Raises what it raised, rather than what followed."""
    raised: list[BaseException] = []
    with ServiceProcess(setup) as process:

        def run() -> None:
            try:
                process.run()
            except BaseException as error:  # noqa: BLE001 - handed to the test below, whatever it is
                raised.append(error)

        thread = threading.Thread(target=run, name=setup.name)
        thread.start()
        try:
            eventually(lambda: bool(raised) or process.wait_started(0.05))
            yield process
        finally:
            process.stop()
            thread.join()
            if raised:
                raise raised[0]
