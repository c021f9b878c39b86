"""The bed itself: this run has a database, whoever started it."""

import pytest
from django.db import connection
from kombu import Connection


@pytest.mark.django_db
def test_the_tests_run_on_postgres():
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        assert cursor.fetchone()[0].startswith("test_sessrec")


def test_the_tests_have_a_broker(broker_url):
    with Connection(broker_url) as connection, connection.SimpleQueue("bed") as queue:
        queue.put({"answer": 42})
        message = queue.get(timeout=300)
        message.ack()
    assert message.payload == {"answer": 42}
