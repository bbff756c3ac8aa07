"""A webhook of a tenant reaches nothing inside, however the URL is dressed up."""

import ipaddress

import pytest

from trunkline.services.notification.channels.addresses import AddressRefused, Guard

INSIDE = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "168.63.129.16",
    "192.0.0.192",
    "100.100.100.200",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fd00:ec2::254",
    "::ffff:127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
]


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_inside_are_refused(address: str) -> None:
    assert not Guard().permits(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34"])
def test_public_addresses_are_permitted(address: str) -> None:
    assert Guard().permits(ipaddress.ip_address(address))


def test_an_operator_can_allow_a_network_and_no_more_than_that() -> None:
    guard = Guard(["10.1.0.0/16"])
    assert guard.permits(ipaddress.ip_address("10.1.2.3"))
    assert guard.permits(ipaddress.ip_address("::ffff:10.1.2.3"))
    assert not guard.permits(ipaddress.ip_address("10.2.0.1"))


def test_a_host_with_one_address_inside_is_refused_whole() -> None:
    """Else the attempts would in the end meet that one."""
    guard = Guard(resolver=lambda _host, _port: ["93.184.216.34", "10.0.0.1"])
    with pytest.raises(AddressRefused, match=r"10\.0\.0\.1.*allowed_networks"):
        guard.vetted("example.test", 443)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "0x7f000001", "2130706433", "127.1", "0177.0.0.1"]
)
def test_numbers_in_every_dress_are_resolved_before_they_are_judged(host: str) -> None:
    with pytest.raises(AddressRefused):
        Guard().vetted(host, 80)


def test_the_connection_goes_to_the_address_that_was_vetted() -> None:
    """A name that changes its mind after the first look (DNS rebinding) is not asked again."""
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    guard = Guard(["127.0.0.0/8"], resolver=lambda _host, _port: next(answers))
    with pytest.raises(ConnectionRefusedError):
        guard.connect("rebinding.test", 1, timeout_s=5)
    with pytest.raises(AddressRefused):
        guard.connect("rebinding.test", 1, timeout_s=5)
