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
from django_sessrec.serving.experiments import variant

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


def test_variants_get_their_shares(experiment):
    sessions = [UUID(int=n << 64) for n in range(4_000)]
    shares = Counter(variant("product_page", session_id).variant for session_id in sessions)
    assert shares["old"] == pytest.approx(3_000, abs=150)
    assert shares["old"] + shares["new"] == 4_000


def test_session_stays_in_its_variant(experiment, settings):
    session_id = uuid4()
    first = variant("product_page", session_id)
    settings.SECRET_KEY = "rotated"
    assert variant("product_page", session_id) == first


def test_variant_overrides_the_placement(experiment):
    assignments = {a.variant: a for a in (variant("product_page", UUID(int=n)) for n in range(40))}
    assert assignments["new"].overrides == {"MODELS": ["neighbours"], "LIMIT": 4}
    assert assignments["old"].overrides == {"MODELS": ["itemknn"]}


def test_nobody_without_a_session_takes_part(experiment):
    assert variant("product_page", None) == ("", "", {})


def test_placement_without_experiment(placement):
    placement()
    assert variant("product_page", uuid4()) == ("", "", {})


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
