"""Programs that make a fifth of all visits and push one item: by how much it is shown more."""

import numpy as np
import pytest

from benchmarks.poisoning.attacks import STYLES, measure, shop_of
from django_sessrec.recsys.neighbours import Neighbours
from django_sessrec.recsys.synthetic import synthetic_shop

BOUND = 0.05  # of people's lists


@pytest.mark.django_db
def test_what_a_fifth_of_all_visits_moves_is_bounded():
    log = synthetic_shop(items=1_000, groups=20, sessions=4_000).log
    shop = shop_of("synthetic shop", log, np.random.default_rng(0), own_times=False)
    figures = measure(shop, list(STYLES), {"neighbours": Neighbours()}, lists=600)
    clean = figures["clean"]["neighbours"]
    moved = {style: figures[style]["both"]["neighbours"] - clean for style in STYLES}
    undefended = {style: figures[style]["none"]["neighbours"] - clean for style in STYLES}
    assert max(moved.values()) < BOUND, moved
    assert min(undefended[style] for style in STYLES if style != "flood") > 4 * BOUND, "the attack is one"
