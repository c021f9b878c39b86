"""The reference's model of one's own is trained, passes the gate and serves, as printed."""

import sys

import pytest
from django.core.management import call_command

from tests.docs.project import TITLED, read
from tests.support.visits import store_visits, synthetic_visits

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.api.urls"),
    pytest.mark.usefixtures("fresh_process"),
]
FILES = dict(TITLED.findall(read("docs/reference/models.md")))
TUTORIAL = TITLED.findall(read("docs/tutorial.md"))


@pytest.fixture
def own_model(settings, tmp_path, monkeypatch):
    """The page's files in a shop, its settings added to the tutorial's."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "next_click.py").write_text(FILES["shop/next_click.py"], encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    shop = {"INSTALLED_APPS": [], "MIDDLEWARE": []}
    for code in [text for name, text in TUTORIAL if name == "project/settings.py"] + [FILES["settings.py"]]:
        exec(code, shop)
    settings.SESSREC = settings.SESSREC | {key: shop["SESSREC"][key] for key in ("MODELS", "PLACEMENTS")}
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
        del sys.modules[name]


@pytest.fixture
def products_clicked(products, transactional_db):
    """Thirty products, and visits that click them along the synthetic shop's planted transitions."""
    store_visits(
        (session, at, [str(products[int(item_id.removeprefix("item-")) - 1].pk) for item_id in item_ids])
        for session, at, item_ids in synthetic_visits(items=30, groups=3)
    )
    return products


def test_the_model_of_the_page_is_trained_and_serves(own_model, products_clicked, visitor):
    call_command("sessrec_train", "next_click")
    item_id = str(products_clicked[0].pk)
    body = visitor.get(
        "/sessrec/recommendations/", {"placement": "product_page", "item_id": item_id, "limit": 3}
    ).json()
    assert body["model"] == "next_click"
    first = body["items"][0]
    assert first["reason"] == {"code": "next_click", "because": [item_id]}
    assert "Counts most: what earlier visitors clicked next" in visitor.get("/sessrec/why/").content.decode()
