"""A click on a recommendation counts where its link proves it."""

from datetime import UTC, datetime, timedelta

import pytest

from django_sessrec.capture.rec_id import sign
from django_sessrec.ids import uuid7
from tests.support.capture import captured
from tests.support.visits import visit_in


@pytest.fixture
def session_id(visitor):
    """The visit of somebody who has looked at item 1."""
    return visit_in(visitor.get("/product/1/").cookies["sessrec"].value)


def test_a_genuine_link_is_a_click_before_the_view(visitor, session_id):
    impression_id = uuid7()
    visitor.get(f"/product/2/?sessrec={sign(impression_id, session_id)}.3&utm_source=x")
    assert captured("name", "item_id", "impression_id", "position") == [
        ("view_item", "1", None, None),
        ("select_item", "2", impression_id, 3),
        ("view_item", "2", None, None),
    ]


@pytest.mark.parametrize(
    "link",
    [
        "",
        ".",
        "3",
        "{genuine}",
        "{genuine}.",
        "{genuine}.-1",
        "{genuine}.three",
        "{genuine}.\u0663",  # a digit, but not one of ours
        "{genuine}.100000",
        "{genuine}." + 5_000 * "1",  # Python makes no number of so many digits
        "{genuine}.3.3",
        "{foreign}.3",
        "{old}.3",
        "forged.3",
        "%00.3",
        "{genuine}A.3",
    ],
)
def test_anything_else_is_a_view_only(visitor, session_id, link):
    tokens = {
        "genuine": sign(uuid7(), session_id),
        "foreign": sign(uuid7(), uuid7()),
        "old": sign(uuid7(datetime.now(UTC) - timedelta(hours=25)), session_id),
    }
    assert visitor.get(f"/product/2/?sessrec={link.format(**tokens)}").status_code == 200
    assert captured() == [("view_item", "1"), ("view_item", "2")]
