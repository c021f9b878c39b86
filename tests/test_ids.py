"""Ids that carry their time."""

from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_sessrec.ids import time_of, uuid7

TIMES = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


@given(TIMES)
def test_an_id_carries_its_time_to_the_millisecond(at):
    made = uuid7(at)
    assert (made.version, made.variant) == (7, RFC_4122)
    assert timedelta(0) <= at - time_of(made) < timedelta(milliseconds=1)


def test_the_example_of_rfc_9562():
    at = datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC)
    assert time_of(UUID("017F22E2-79B0-7CC3-98C4-DC0C0C07398F")) == at
    assert str(uuid7(at)).startswith("017f22e2-79b0-7000-")


def test_ids_made_one_after_another_keep_their_order():
    made = [uuid7() for _ in range(10_000)]
    assert made == sorted(made)
    assert len(set(made)) == 10_000


def test_microseconds_keep_their_order_too():
    start = datetime(2026, 1, 1, tzinfo=UTC)
    made = [uuid7(start + timedelta(microseconds=n)) for n in range(3_000)]
    assert made == sorted(made)


@pytest.mark.parametrize("stranger", [uuid4(), UUID(int=0), UUID("ffffffff-ffff-7fff-bfff-ffffffffffff")])
def test_an_id_without_a_time_is_refused_by_name(stranger):
    with pytest.raises(ValueError, match=str(stranger)):
        time_of(stranger)
