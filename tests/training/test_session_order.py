"""Clicks in order of session, whether they lie in memory or on disk."""

import os
from pathlib import Path

import numpy as np
import pytest

from django_sessrec.training import session_order
from django_sessrec.training.dataset import CLICK
from django_sessrec.training.session_order import SessionOrder, keep, room


@pytest.fixture(params=[2**26, 64], ids=["in memory", "on disk"])
def folder(request, monkeypatch, tmp_path, sessrec) -> Path:
    monkeypatch.setattr(session_order, "IN_MEMORY", request.param)
    sessrec["ARTIFACTS"] = tmp_path
    return tmp_path


def drawn(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    clicks = np.zeros(n, CLICK)
    clicks["session"] = rng.choice(rng.integers(-(2**63), 2**63, n // 4 + 1), n)
    clicks["id_high"] = rng.integers(0, 50, n)
    clicks["row"] = np.arange(n)
    return clicks


def test_clicks_of_all_blocks_come_in_order_of_session_and_id_and_equal_ones_as_they_were_added(folder):
    clicks = drawn(5_000)
    with SessionOrder(CLICK) as order:
        for block in np.split(clicks, [1_000, 1_000, 4_200]):
            order.add(block)
        parts = list(order.parts())
    found = np.concatenate(parts)
    assert len(order) == 5_000
    assert len(parts) > 10
    assert (found == clicks[np.lexsort((clicks["id_high"], clicks["session"]))]).all()
    last = None
    for part in filter(len, parts):
        assert last is None or last < part["session"][0], "a session is in one part"
        last = part["session"][-1]


def test_nothing_is_in_no_parts(folder):
    with SessionOrder(CLICK) as order:
        assert sum(map(len, order.parts())) == len(order) == 0


def test_what_lies_on_disk_has_no_name_there(folder):
    with SessionOrder(CLICK) as order:
        order.add(drawn(1_000))
        mapped = room(1_000, np.int64)
        mapped[:] = 7
        assert list(folder.iterdir()) == []
        assert sum(map(len, order.parts())) == 1_000
    assert mapped.sum() == 7_000


def test_room_is_zeros_of_any_size(folder):
    for n in (0, 1, 1_000):
        assert room(n, np.int32).tolist() == [0] * n


def test_a_full_disk_leaves_the_array_in_memory(folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    assert room(1_000, np.int32).sum() == 0


@pytest.mark.parametrize("at_once", [1, 7, 1_000])
@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_kept_values_move_to_the_beginning(share, at_once):
    kept = np.random.default_rng(0).random(100) < share
    one, other = np.arange(100), np.arange(120)
    expected = np.flatnonzero(kept).tolist()
    assert [each.tolist() for each in keep(kept, one, other, at_once=at_once)] == [expected, expected]
