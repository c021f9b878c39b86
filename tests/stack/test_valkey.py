"""The embedded Valkey keeps what it was given through kill -9."""

import pytest
from kombu import Connection

from example_shop.stack.valkey import Valkey


@pytest.fixture
def valkey(server_folder):
    server = Valkey(server_folder)
    server.start()
    yield server
    server.stop()


def test_a_task_outlives_a_killed_broker(valkey):
    with Connection(valkey.url) as connection, connection.SimpleQueue("clicks") as queue:
        queue.put({"item": "42"})
    valkey.kill()
    valkey.start()
    with Connection(valkey.url) as connection, connection.SimpleQueue("clicks") as queue:
        assert queue.get(timeout=300).payload == {"item": "42"}


def test_it_forgets_no_task_answers_for_what_is_on_the_disk_and_listens_on_no_port(valkey):
    expected = {"maxmemory-policy": "noeviction", "appendonly": "yes", "appendfsync": "always", "port": "0"}
    with Connection(valkey.url) as connection:
        assert connection.default_channel.client.config_get(*expected) == expected
