"""Whom a request comes from."""

import pytest
from django.test import RequestFactory

from django_sessrec.capture import client_address as room
from django_sessrec.capture.client_address import client_address


@pytest.fixture
def proxies(shop):
    """Set NUM_PROXIES."""

    def set_to(number):
        shop.SESSREC = shop.SESSREC | {"NUM_PROXIES": number}

    return set_to


def asked(forwarded=None, remote="93.184.216.34"):
    headers = {"x-forwarded-for": forwarded} if forwarded else {}
    return client_address(RequestFactory(headers=headers).get("/", REMOTE_ADDR=remote))


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("93.184.216.34", "93.184.216.34"),
        ("::ffff:93.184.216.34", "93.184.216.34"),
        ("93.184.216.34:50000", "93.184.216.34"),
        ("2606:2800:220:1:248:1893:25c8:1946", "2606280002200001::"),
        ("[2606:2800:220:1::9]:443", "2606280002200001::"),
        ("10.1.2.3", None),
        ("::ffff:10.1.2.3", None),
        ("unix:", None),
        ("", None),
    ],
)
def test_without_a_word_on_proxies_a_public_address_is_the_clients(shop, remote, address):
    assert asked(remote=remote) == address


def test_what_was_forwarded_by_nobody_we_know_of_is_unknown_and_told_once(shop, caplog):
    room.warn_of_proxies.cache_clear()
    assert asked("84.20.1.7") is None
    assert asked("84.20.1.8") is None
    assert caplog.text.count("NUM_PROXIES") == 1


@pytest.mark.parametrize(
    ("number", "forwarded", "address"),
    [
        (1, "84.20.1.7", "84.20.1.7"),
        (1, "84.20.1.7:50001", "84.20.1.7"),
        (1, "8.8.8.8, 84.20.1.7", "84.20.1.7"),
        (1, "[2606:2800:220:1::9]:50001", "2606280002200001::"),
        (2, "8.8.8.8, 84.20.1.7, 172.64.10.1", "84.20.1.7"),
        (2, "84.20.1.7", None),
        (1, None, None),
        (1, "unknown", None),
        (0, "84.20.1.7", "93.184.216.34"),
        (1, "10.1.2.3", "10.1.2.3"),
    ],
)
def test_proxies_are_believed_as_far_back_as_there_are_any(proxies, number, forwarded, address):
    proxies(number)
    assert asked(forwarded) == address


def test_the_rest_frameworks_number_counts_where_there_is_no_other(shop, proxies):
    shop.REST_FRAMEWORK = {"NUM_PROXIES": 1}
    assert asked("84.20.1.7") == "84.20.1.7"
    proxies(2)
    assert asked("84.20.1.7") is None
