"""DATABASE_URL reaches Django whole."""

import pytest

from example_shop.stack.environment import django_database


def test_a_url_with_host_and_password():
    database = django_database("postgresql://ann%40x:p%2Fq@db.example.com:5433/shop?sslmode=require")
    assert database["USER"] == "ann@x"
    assert database["PASSWORD"] == "p/q"
    assert (database["HOST"], database["PORT"], database["NAME"]) == ("db.example.com", "5433", "shop")
    assert database["OPTIONS"] == {"sslmode": "require"}


def test_a_url_with_a_socket_folder():
    database = django_database("postgresql://sessrec@/sessrec?host=%2Fvar%2Fa%20b")
    assert database["HOST"] == "/var/a b"
    assert database["OPTIONS"] == {}


def test_a_pool_takes_the_place_of_persistent_connections():
    database = django_database("postgresql:///shop", pool=True)
    assert database["OPTIONS"] == {"pool": True}
    assert database["CONN_MAX_AGE"] == 0


def test_a_connection_may_keep_its_statements():
    database = django_database("postgresql:///shop", prepared=True)
    assert database["OPTIONS"] == {"server_side_binding": True, "prepare_threshold": 5}


def test_another_database_is_refused_with_the_remedy():
    with pytest.raises(ValueError, match="'mysql://x/y' is not for PostgreSQL: write postgresql://"):
        django_database("mysql://x/y")
