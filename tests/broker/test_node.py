"""Start and stop in the right order, also when the start fails half-way."""

import asyncio
from pathlib import Path

import pytest

from trunkline.broker.broker import Settings
from trunkline.broker.log.memory_fs import MemoryFs
from trunkline.broker.node import Address, running
from trunkline.errors import Unavailable

SETTINGS = Settings(data_dir=Path("/data"))
ANYWHERE = Address("127.0.0.1", 0)


def test_a_failed_start_lets_go_of_the_data_directory() -> None:
    async def run() -> None:
        fs = MemoryFs()
        async with running(MemoryFs(), SETTINGS, listen=ANYWHERE) as other:
            with pytest.raises(Unavailable, match="cannot listen"):
                async with running(fs, SETTINGS, listen=other.listening):
                    pytest.fail("it runs on a port in use")
        async with running(fs, SETTINGS, listen=ANYWHERE):
            pass

    asyncio.run(run())


def test_one_broker_uses_a_data_directory() -> None:
    async def run() -> None:
        fs = MemoryFs()
        async with running(fs, SETTINGS, listen=ANYWHERE):
            with pytest.raises(Unavailable, match="in use"):
                async with running(fs, SETTINGS, listen=ANYWHERE):
                    pytest.fail("two brokers use one directory")

    asyncio.run(run())


def test_clients_are_told_the_advertised_address_and_the_real_port_without_one() -> None:
    async def run() -> None:
        async with running(MemoryFs(), SETTINGS, listen=ANYWHERE) as node:
            assert (node.broker.host, node.broker.port) == ("127.0.0.1", node.listening.port)
        advertised = Address("kafka.example.org", 9092)
        async with running(MemoryFs(), SETTINGS, listen=ANYWHERE, advertised=advertised) as node:
            assert (node.broker.host, node.broker.port) == ("kafka.example.org", 9092)

    asyncio.run(run())
