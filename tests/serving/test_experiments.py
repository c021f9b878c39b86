"""Signed impressions and variants by hash: what proves and splits without a row."""

from collections import Counter
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from django_sessrec.capture.rec_id import sign, verify
from django_sessrec.ids import uuid7
from django_sessrec.models import Impression
from django_sessrec.serving.placements import placement_for, variants_of
from django_sessrec.serving.visit import Visit

DAY = timedelta(days=1)


def test_token_names_its_impression_to_its_session_only():
    impression_id, session_id = uuid7(), uuid7()
    rec_id = sign(impression_id, session_id)
    assert verify(rec_id, session_id, DAY) == impression_id
    assert verify(rec_id, uuid7(), DAY) is None


def test_token_expires_with_its_impression():
    impression_id, session_id = uuid7(timezone.now() - timedelta(hours=2)), uuid7()
    rec_id = sign(impression_id, session_id)
    assert verify(rec_id, session_id, timedelta(hours=3)) == impression_id
    assert verify(rec_id, session_id, timedelta(hours=1)) is None


@given(position=st.integers(0, 42), letter=st.characters())
def test_changing_any_letter_forges_nothing(position: int, letter: str):
    session_id = UUID(int=7)
    rec_id = sign(uuid7(), session_id)
    forged = rec_id[:position] + letter + rec_id[position + 1 :]
    assert (verify(forged, session_id, DAY) is not None) == (forged == rec_id)


@given(st.text())
def test_any_text_is_refused_quietly(text: str):
    assert verify(text, UUID(int=7), DAY) is None


def test_rotated_key_still_verifies_until_it_is_dropped(settings):
    impression_id, session_id = uuid7(), uuid7()
    rec_id = sign(impression_id, session_id)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the new key", [settings.SECRET_KEY]
    assert verify(rec_id, session_id, DAY) == impression_id
    settings.SECRET_KEY_FALLBACKS = []
    assert verify(rec_id, session_id, DAY) is None


@pytest.fixture
def experiment(placement):
    placement(
        EXPERIMENT={
            "NAME": "does-it-pay",
            "VARIANTS": {
                "old": {"SHARE": 75, "MODELS": ["itemknn"]},
                "off": {"SHARE": 0},
                "new": {"SHARE": 25, "MODELS": ["neighbours"], "LIMIT": 4},
            },
        }
    )


def placement_of(session_id: UUID | None):
    return placement_for("product_page", Visit(session_id=session_id))


def test_variants_get_their_shares(experiment):
    sessions = [UUID(int=n << 64) for n in range(4_000)]
    shares = Counter(placement_of(session_id).variant for session_id in sessions)
    assert shares["old"] == pytest.approx(3_000, abs=150)
    assert shares["old"] + shares["new"] == 4_000
    assert [(each.placement.variant, each.share) for each in variants_of("product_page")] == [
        ("old", 0.75),
        ("off", 0),
        ("new", 0.25),
    ]


def test_session_stays_in_its_variant(experiment, settings):
    session_id = uuid4()
    first = placement_of(session_id)
    settings.SECRET_KEY = "rotated"
    assert placement_of(session_id) == first


def test_variant_overrides_the_placement(experiment):
    placements = {each.variant: each for each in (placement_of(UUID(int=n)) for n in range(40))}
    assert (placements["new"].models, placements["new"].limit) == (("neighbours",), 4)
    assert (placements["old"].models, placements["old"].limit) == (("itemknn",), 8)
    assert {each.experiment for each in placements.values()} == {"does-it-pay"}


def test_nobody_without_a_session_takes_part(experiment):
    assert placement_of(None) == placement_for("product_page")
    assert (placement_of(None).experiment, placement_of(None).variant) == ("", "")


def test_placement_without_experiment(placement):
    placement()
    assert placement_of(uuid4()) == placement_for("product_page")
    assert variants_of("product_page") == []


@pytest.mark.parametrize(
    "broken",
    [{"NAME": "no variants"}, {"NAME": "x", "VARIANTS": {"a": {"SHARE": 1}, "b": {}}}, {"VARIANTS": {}}],
    ids=str,
)
def test_an_experiment_that_cannot_be_read_leaves_the_usual_list(placement, broken, caplog):
    placement(EXPERIMENT=broken)
    assert placement_of(uuid4()) == placement_for("product_page")
    assert "could not assign a variant" in caplog.text


@pytest.mark.django_db
def test_variant_decides_the_list_and_is_on_the_impression(experiment, visitor, products, trails, promote):
    promote(trails)
    for _ in range(30):
        visitor.cookies.pop("sessrec", None)
        visitor.get(products[8].get_absolute_url())
    assert {(shown.variant, len(shown.item_ids)) for shown in Impression.objects.all()} == {
        ("old", 8),
        ("new", 4),
    }
