"""The tags as a shop's templates use them, and the markup that visitors get."""

import re
from html import unescape
from uuid import uuid4

import pytest
from django.conf import settings as django_settings
from django.template import Context, Template
from django.test import RequestFactory, override_settings
from django.urls import resolve
from django.utils import translation

from django_sessrec.capture.tracker import Tracker
from django_sessrec.models import Event, Impression
from tests.demo.models import Product
from tests.demo.recommendations import DemoCatalogue

pytestmark = pytest.mark.django_db


def rendered(source: str, **context: object) -> str:
    context = {"request": RequestFactory().get("/")} | context
    return Template("{% load sessrec %}" + source).render(Context(context))


def test_default_list_shows_title_price_picture_and_reason(products, trails, promote):
    promote(trails)
    Product.objects.update(picture="/media/tea.svg", price="12.50")
    html = rendered('{% sessrec_recommendations "product_page" item=product limit=2 %}', product=products[8])
    assert html.count("<li") == 2
    for part in ("You may also like", 'src="/media/tea.svg"', "12.50", "From other visits with tea 8"):
        assert part in html
    assert 'alt=""' in html, "the title beside the picture says it already"


def test_reason_of_a_visit_with_several_clicks(visitor, products, trails, promote, placement):
    promote(trails)
    placement(HIDE_VIEWED=False)
    visitor.get(products[6].get_absolute_url())
    html = visitor.get(products[8].get_absolute_url()).content.decode()
    assert "From other visits with tea 8" in html
    assert "You viewed this" in html


def test_recently_viewed_products_are_a_list_of_their_own(visitor, products, placement, settings):
    placement()
    settings.SESSREC["PLACEMENTS"]["seen"] = {"STEPS": ["recently_viewed"], "LIMIT": 4}
    for product in products[:3]:
        visitor.get(product.get_absolute_url())
    items = visitor.get("/sessrec/recommendations/", {"placement": "seen", "item_id": products[2].pk}).json()
    assert [item["title"] for item in items["items"]] == ["tea 1", "tea 0"]
    assert items["title"] == "Recently viewed"
    slot = visitor.get("/sessrec/slot/seen/").content.decode()
    assert slot.count("<li") == 3
    assert "Recently viewed" in slot
    assert "You viewed this" not in slot, "the heading says it of all of them"


@pytest.mark.parametrize("steps", [["recently_viewed", "static"], ["bought_together", "static"]])
def test_a_list_that_other_steps_fill_has_no_title_that_is_true_of_the_first_only(
    visitor, products, placement, settings, promote, steps
):
    pairs = [[str(products[n].pk), str(products[n + 10].pk)] for n in range(4)]
    promote(pairs * 3, "bought_together")
    placement()
    settings.SESSREC["PLACEMENTS"]["seen"] = {"STEPS": steps, "LIMIT": 3}
    for product in products[:2]:
        visitor.get(product.get_absolute_url())
    made = visitor.get(f"/sessrec/recommendations/?placement=seen&item_id={products[1].pk}").json()
    assert [each["step"] for each in made["items"]] == [steps[0], "static", "static"]
    assert made["title"] == "You may also like"
    if steps[0] == "recently_viewed":
        assert visitor.get("/sessrec/slot/seen/").content.decode().count("You viewed this") == 2


def test_recently_viewed_is_empty_without_consent(stranger, products, placement, settings):
    placement()
    settings.SESSREC["PLACEMENTS"]["seen"] = {"STEPS": ["recently_viewed"]}
    stranger.get(products[0].get_absolute_url())
    assert stranger.get("/sessrec/recommendations/", {"placement": "seen"}).json()["items"] == []


def test_pinned_item_is_labelled(products, placement):
    placement(PINNED=[str(products[3].pk)])
    assert rendered('{% sessrec_recommendations "product_page" %}').count("Our pick") == 1


def test_title_of_the_placement(products, placement):
    placement(TITLE="More <tea>")
    html = rendered('{% sessrec_recommendations "product_page" item=product %}', product=products[0])
    assert '<h2 class="sessrec__heading">More &lt;tea&gt;</h2>' in html


def test_empty_slot_renders_nothing(db):
    assert rendered('{% sessrec_recommendations "product_page" %}') == ""


def test_markup_in_product_names_is_text(products):
    Product.objects.update(name='"><script>alert(1)</script>', picture='x" onerror="alert(1)')
    html = rendered('{% sessrec_recommendations "product_page" item=product %}', product=products[0])
    assert "<script" not in html
    assert 'onerror="' not in html
    assert "&lt;script&gt;" in html


def test_no_inline_style_or_script(products):
    html = rendered('{% sessrec_styles %}{% sessrec_scripts %}{% sessrec_recommendations "product_page" %}')
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]* src=)", html)


def test_list_is_handed_over_for_a_loop_of_ones_own(products, trails, promote):
    promote(trails)
    html = rendered(
        '{% sessrec_list "product_page" item=product limit=3 as recs %}'
        "{{ recs.step }}{% for rec in recs.items %} {{ rec.position }}:{{ rec.item.category }}{% endfor %}",
        product=products[8].pk,
    )
    assert re.fullmatch(r"model( \d:(tea|cup|pot)){3}", html)


def overridden(**templates: str) -> override_settings:
    """Templates of the shop that go before the package's."""
    loaders = [
        (
            "django.template.loaders.locmem.Loader",
            {f"sessrec/{name}.html": text for name, text in templates.items()},
        ),
        "django.template.loaders.app_directories.Loader",
    ]
    engine = {"BACKEND": "django.template.backends.django.DjangoTemplates", "OPTIONS": {"loaders": loaders}}
    return override_settings(TEMPLATES=[engine])


def test_shop_overrides_one_piece(products):
    with overridden(item="<li>{{ item.position }} {{ item.item.category }}</li>"):
        html = rendered(
            '{% sessrec_recommendations "product_page" item=product limit=2 %}', product=products[0]
        )
    assert re.findall("<li>.*?</li>", html) == ["<li>1 tea</li>", "<li>2 tea</li>"]
    assert "You may also like" in html


def test_placement_has_a_template_of_its_own(products, placement):
    placement(TEMPLATE="sessrec/strip.html")
    with overridden(strip="{{ recommendations.items|length }} of {{ recommendations.placement }}"):
        assert rendered('{% sessrec_recommendations "product_page" %}') == "8 of product_page"


def test_broken_template_of_the_shop_empties_the_slot(products, caplog):
    with overridden(item="{% for %}"):
        assert rendered('before {% sessrec_recommendations "product_page" %} after') == "before  after"
    assert "could not render" in caplog.text


def test_tags_without_a_request_in_the_context(products):
    template = Template('{% load sessrec %}{% sessrec_recommendations "product_page" limit=1 %}')
    assert template.render(Context()).count("<li") == 1


def test_placeholder_keeps_the_page_cacheable_and_leaves_the_view_to_the_browser(visitor, products, settings):
    settings.SESSREC = settings.SESSREC | {"TRACKED_VIEWS": {"demo:cached": "pk"}}
    page = visitor.get(f"/demo/product/{products[0].pk}/cached/")
    assert page["Cache-Control"] == "public, max-age=60"
    assert not page.has_header("Vary")
    assert not page.cookies
    assert not Event.objects.exists()
    assert not Impression.objects.exists()
    placeholder = re.search(r"<div class=\"sessrec-placeholder\"[^>]*></div>", page.content.decode())[0]
    assert f'slot/product_page/?item_id={products[0].pk}&amp;language=en-us"' in placeholder
    assert f'data-sessrec-view="{products[0].pk}"' in placeholder
    assert re.search(r'<script[^>]* data-sessrec-events="[^"]*/events/"', page.content.decode())


def test_placeholder_of_an_untracked_page_records_no_view(products):
    html = rendered('{% sessrec_placeholder "product_page" item=product limit=4 %}', product=products[0])
    assert f"?item_id={products[0].pk}&amp;limit=4&amp;language=en-us" in html
    assert "data-sessrec-view" not in html


def test_placeholder_without_the_rest_views_is_nothing(products, caplog):
    with override_settings(ROOT_URLCONF="tests.demo.urls"):
        assert rendered('{% sessrec_placeholder "product_page" %}') == ""
    assert "could not leave a place" in caplog.text


@pytest.mark.parametrize(("limit", "shown"), [(0, 1), (-3, 1), (101, 100)])
def test_a_limit_out_of_range_is_logged(products, caplog, limit, shown):
    html = rendered(f'{{% sessrec_recommendations "product_page" limit={limit} %}}')
    assert html.count("<li") == min(shown, len(products))
    assert f"limit={limit} for a list of the placement 'product_page'" in caplog.text


@pytest.mark.parametrize(
    ("tag", "says"),
    [
        ("sessrec_recommendations product_page", "quote the placement's name"),
        ("sessrec_recommendations product", "quote the placement's name"),
        ('sessrec_recommendations "home"', "has no placement 'home'; known: product_page"),
        ("sessrec_placeholder product_page", "quote the placement's name"),
        ('sessrec_placeholder "home"', "has no placement 'home'; known: product_page"),
        ('sessrec_recommendations "product_page"', "the placement 'product_page' has no item to show; if"),
        ('sessrec_recommendations "seen"', "has viewed nothing before this page, has not consented, or is"),
    ],
)
def test_under_debug_a_comment_says_why_there_is_no_list(settings, caplog, tag, says):
    placements = {"product_page": {}, "seen": {"STEPS": ["recently_viewed"]}}
    settings.SESSREC = settings.SESSREC | {"PLACEMENTS": placements}
    source, tea = (
        f"{{% {tag} as list %}}{{% if list %}}<h2>Tea</h2>{{% endif %}}{{{{ list }}}}",
        Product(name="tea"),
    )
    assert re.fullmatch(r"(<div.*></div>)?", rendered(f"{{% {tag} %}}", product=tea))
    settings.DEBUG = True
    comment = rendered(f"{{% {tag} %}}", product=tea)
    assert re.fullmatch("<!-- sessrec: (?:(?!--).)* -->", comment)
    assert says in comment
    assert rendered(source, product=tea) == comment, "it counts as no list"


def test_under_debug_a_comment_names_a_template_that_does_not_render(products, settings):
    with overridden(item="{% for %}"):
        settings.DEBUG = True
        html = rendered('{% sessrec_recommendations "product_page" %}')
    assert html.startswith("<!-- sessrec: 'sessrec/recommendations.html' could not be rendered")


def test_a_comment_under_debug_ends_where_it_should(settings):
    settings.DEBUG = True
    html = rendered("{% sessrec_recommendations name %}", name="--->--!><script>")
    assert re.fullmatch("<!-- sessrec: (?:(?!--).)* -->", html)


@pytest.mark.parametrize(("limit", "shown"), [('"4"', 4), ("4", 4), ('""', 8), ('"four"', 8), ("nothing", 8)])
def test_limit_may_be_text(products, limit, shown):
    html = rendered(f'{{% sessrec_recommendations "product_page" limit={limit} %}}')
    assert html.count("<li") == shown


def test_a_placeholder_brings_the_list_in_the_language_of_its_page(products, stranger):
    with translation.override("de"):
        html = rendered('{% sessrec_placeholder "product_page" %}')
    address = unescape(re.search('data-sessrec-slot="([^"]*)"', html)[1])
    assert address == "/sessrec/slot/product_page/?language=de"
    heard = []
    with override_settings(SESSREC=django_settings.SESSREC | {"CATALOGUE": f"{__name__}.Heard"}):
        Heard.languages = heard
        stranger.get(address, headers={"accept-language": "fr"})
        stranger.get("/sessrec/recommendations/?placement=product_page&language=pt-br")
        stranger.get("/sessrec/recommendations/?placement=product_page&language=tlh")
    assert heard == ["de", "pt-br", "en-us"]


def test_a_placeholder_and_a_page_fetched_ahead_leave_out_what_the_tag_names(products, stranger):
    first = products[-1]
    ahead = RequestFactory().get("/", headers={"sec-purpose": "prefetch"})
    for tag, request in (("placeholder", RequestFactory().get("/")), ("recommendations", ahead)):
        source = f'{{% sessrec_{tag} "product_page" leave_out=product %}}'
        html = rendered(source, request=request, product=first)
        assert f'data-sessrec-item="{first.pk}"' not in html
        address = unescape(re.search(r'data-sessrec-slot="([^"]+)"', html)[1])
        assert f"leave_out={first.pk}" in address
        html = stranger.get(address).content.decode()
        assert html.count("data-sessrec-item=") == 8
        assert f'data-sessrec-item="{first.pk}"' not in html


def test_a_placeholders_address_stays_short_enough_for_any_server(products):
    ids = [str(uuid4()) for _ in range(100)]
    html = rendered('{% sessrec_placeholder "product_page" leave_out=ids %}', ids=ids)
    address = unescape(re.search(r'data-sessrec-slot="([^"]+)"', html)[1])
    assert 2_400 < len(address) < 2_600
    assert [each for each in ids if each in address] == ids[: address.count("leave_out")]


class Heard(DemoCatalogue):
    """Notes the language in which it is asked."""

    languages: list[str] = []

    def fallback(self, limit):
        self.languages.append(translation.get_language())
        return super().fallback(limit)


@pytest.mark.parametrize("header", ["sec-purpose", "x-sec-purpose", "purpose"])
def test_a_page_fetched_ahead_leaves_list_and_view_to_its_visit(visitor, products, settings, header):
    settings.SESSREC = settings.SESSREC | {"TRACKED_VIEWS": {"demo:product": "pk"}}
    visitor.get(products[1].get_absolute_url())
    ahead = visitor.get(products[0].get_absolute_url(), headers={header: "prefetch"})
    html = ahead.content.decode()
    assert f'data-sessrec-view="{products[0].pk}"' in html
    assert "data-sessrec-slot=" in html
    assert html.count('class="sessrec__item') == 8, "a browser without the script shows a list all the same"
    assert "data-sessrec-rec" not in html
    assert "You viewed this" not in html
    assert [event.item_id for event in Event.objects.all()] == [str(products[1].pk)]
    assert Impression.objects.count() == 1


def test_each_list_of_a_page_fetched_ahead_knows_its_item(products, settings):
    """As in a shop whose product page has two tags that name no item, and categories."""
    settings.SESSREC = settings.SESSREC | {"TRACKED_VIEWS": {"demo:product": "pk"}}
    request = RequestFactory().get(products[0].get_absolute_url(), headers={"sec-purpose": "prefetch"})
    request.resolver_match = resolve(request.path)
    request.sessrec = Tracker(request)
    html = rendered(
        '{% sessrec_recommendations "product_page" %}{% sessrec_recommendations "product_page" limit=3 %}'
        '{% sessrec_categories "product_page" %}',
        request=request,
    )
    addresses = [unescape(each) for each in re.findall(r'data-sessrec-slot="([^"]+)"', html)]
    assert len(addresses) == 3
    assert all(f"item_id={products[0].pk}" in each for each in addresses)
    assert html.count("data-sessrec-view=") == 1, "one view"
    assert not request.sessrec.has_work, "the browser tells it"
