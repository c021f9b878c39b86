"""The embedded Valkey keeps what it was given through kill -9."""

import pytest
from kombu import Connection
from redis import Redis

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


@pytest.mark.parametrize("name", ["c#", "100%20", "my shop", "a?b=c&d"])
def test_its_urls_lead_there_from_a_folder_of_any_name(server_folder, name):
    folder = server_folder / name
    folder.mkdir()
    server = Valkey(folder)
    server.start()
    try:
        with Connection(server.url) as connection, connection.SimpleQueue("clicks") as queue:
            queue.put({"item": "42"})
            assert queue.get(timeout=300).payload == {"item": "42"}
        assert " " not in server.stream_url, "the check of STREAM_URL takes none"
        stream = Redis.from_url(server.stream_url)
        assert stream.ping()
        stream.close()
    finally:
        server.stop()
