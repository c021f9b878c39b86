"""What the app promises of visitors' data, asked of every table there is."""

import numpy as np
import pytest
from django.test import Client

from django_sessrec.capture.bot_rules import quarantine
from django_sessrec.models import Withdrawal
from django_sessrec.recsys import artifact
from django_sessrec.recsys.synthetic import synthetic_shop
from tests.support.api import an_event, send
from tests.support.tables import rows_of_the_app
from tests.support.visits import session_of

pytestmark = pytest.mark.django_db(transaction=True)

BROWSER = {"Sec-Fetch-Site": "same-origin"}


def test_a_fresh_installation_keeps_nothing_and_sets_no_cookie(settings, products):
    """No CONSENT: nobody was asked."""
    settings.SESSREC = {key: value for key, value in settings.SESSREC.items() if key != "CONSENT"}
    before = list(rows_of_the_app())
    client = Client(headers={"user-agent": "Mozilla/5.0 Firefox/140.0"})
    for path in ("/demo/", f"/demo/product/{products[0].pk}/", "/sessrec/why/"):
        assert client.get(path).status_code == 200
    listed = client.get("/sessrec/recommendations/", {"placement": "product_page"}).json()
    assert (len(listed["items"]), listed["personalised"], listed["rec_id"]) == (8, False, None)
    assert send(client, an_event(), **BROWSER).json()["rejected"] == [{"index": 0, "code": "no_consent"}]
    assert client.cookies.output() == ""
    assert list(rows_of_the_app()) == before


def test_after_erasure_no_table_holds_the_visit_but_the_one_that_keeps_it_out(visitor, products):
    for product in products[:20] * 2:
        visitor.get(f"/demo/product/{product.pk}/")
    send(visitor, an_event(), an_event("nonsense"), **BROWSER)
    visit = session_of(visitor)
    assert quarantine() == {"flood": 1}
    assert sum(str(visit) in row for row in rows_of_the_app()) > 40
    visitor.delete("/sessrec/my-data/", headers=BROWSER)
    assert sum(str(visit) in row for row in rows_of_the_app()) == 1
    assert Withdrawal.objects.filter(pk=visit).exists()


def test_no_array_of_a_net_grows_with_the_number_of_visits(tmp_path):
    """So no parameter belongs to a visit, and erasing one needs no unlearning."""
    from django_sessrec.neural import GRU4Rec

    shapes = []
    for sessions in (300, 600):
        log = synthetic_shop(items=40, groups=4, sessions=sessions).log
        folder = tmp_path / str(sessions)
        artifact.save(GRU4Rec(embedding_size=8, epochs=1).fit(log), folder, card={})
        arrays = {path.name: np.load(path).shape for path in folder.rglob("*.npy")}
        weights = {path.name: path.stat().st_size // 1_000 for path in folder.rglob("*.onnx")}
        shapes.append((len(log.index), arrays, weights))
    assert shapes[0] == shapes[1]
    assert shapes[0][1]
