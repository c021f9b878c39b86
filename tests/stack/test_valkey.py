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
    valkey.kill()  # what was answered is with the kernel
    valkey.start()
    with Connection(valkey.url) as connection, connection.SimpleQueue("clicks") as queue:
        assert queue.get(timeout=60).payload == {"item": "42"}


def test_it_refuses_to_forget_tasks_and_listens_on_no_port(valkey):
    with Connection(valkey.url) as connection:
        settings = connection.default_channel.client.config_get("maxmemory-policy", "port", "appendonly")
    assert settings == {"maxmemory-policy": "noeviction", "port": "0", "appendonly": "yes"}
