"""The shop's catalogue as real shops write it: ids of any kind, pictures missing, several categories."""

import contextlib
from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import MinValueValidator, RegexValidator
from django.db import connection
from django.db.models import FileField, IntegerField
from django.db.models.fields.files import FieldFile
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_sessrec.catalogue import Catalogue, ModelCatalogue, TextCatalogue, get_catalogue
from django_sessrec.catalogue.one_model import _cleaned
from django_sessrec.models import Event, Impression
from django_sessrec.recommendations import get_recommendations
from tests.demo.models import Product
from tests.demo.recommendations import DemoCatalogue
from tests.support.visits import request_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def catalogue(settings):
    """catalogue("Numbers") makes a class of this module the shop's."""

    def choose(name: str) -> None:
        settings.SESSREC = settings.SESSREC | {"CATALOGUE": f"{__name__}.{name}"}

    return choose


class Numbers(DemoCatalogue):
    """Answers with primary keys, as values_list("pk", flat=True) gives them."""

    def item_id(self, item):
        return item.pk

    def resolve(self, item_ids, request=None):
        return self.available(self.queryset()).in_bulk(self.native_ids(item_ids))

    def sensitive(self, item_ids):
        found = Product.objects.filter(pk__in=self.native_ids(item_ids), sensitive=True)
        return found.values_list("pk", flat=True)

    def related(self, item_id, limit):
        return Product.objects.filter(category="pot").values_list("pk", flat=True)

    def fallback(self, limit):
        return Product.objects.filter(category="cup").values_list("pk", flat=True)


class Objects(Numbers):
    """Answers with its own objects."""

    def sensitive(self, item_ids):
        return Product.objects.filter(pk__in=self.native_ids(item_ids), sensitive=True)

    def related(self, item_id, limit):
        return Product.objects.filter(category="pot")

    def fallback(self, limit):
        return Product.objects.filter(category="cup")


class OneTuples(Numbers):
    """Forgets flat=True."""

    def sensitive(self, item_ids):
        return Product.objects.filter(sensitive=True).values_list("pk")


@pytest.mark.parametrize("kind", ["Numbers", "Objects"])
def test_sensitive_items_are_kept_out_whatever_kind_their_ids_are(catalogue, visitor, products, kind):
    catalogue(kind)
    Product.objects.filter(pk__in=[products[0].pk, products[20].pk]).update(sensitive=True)
    visitor.get(products[0].get_absolute_url())
    assert not Event.objects.exists()
    shown = get_recommendations(None, "product_page", item=products[3], limit=20).items
    assert len(shown) == 19, "nine pots and ten cups"
    assert products[20] not in [each.item for each in shown]


@pytest.mark.parametrize("kind", ["Numbers", "Objects"])
def test_steps_of_the_catalogue_may_answer_with_numbers_or_objects(catalogue, products, kind):
    catalogue(kind)
    shown = get_recommendations(None, "product_page", item=products[3], limit=12).items
    assert [each.item.category for each in shown] == ["pot"] * 10 + ["cup"] * 2
    assert {type(each.item_id) for each in shown} == {str}


def test_an_answer_that_is_no_id_captures_nothing_and_says_so(catalogue, visitor, products, caplog):
    catalogue("OneTuples")
    Product.objects.filter(pk=products[0].pk).update(sensitive=True)
    visitor.get(products[0].get_absolute_url())
    assert not Event.objects.exists()
    assert "of type tuple names no item" in str([record.exc_info[1] for record in caplog.records])


@pytest.mark.parametrize("item", [None, True, 1.5, b"1", (1,), ["1"], float("nan")], ids=repr)
def test_what_is_no_id_is_refused(item):
    with pytest.raises(TypeError, match="names no item"):
        get_catalogue().id_of(item)


def test_ids_are_text_numbers_uuids_or_the_shops_objects(products):
    catalogue = get_catalogue()
    uuid = UUID(int=7)
    assert [catalogue.id_of(each) for each in ("a b", 7, uuid, products[0])] == [
        "a b", "7", str(uuid), str(products[0].pk),
    ]  # fmt: skip


TEXTS = ["7", " 8 ", "+9", "-1", "0", "٣", "1_0", "2147483647", "2147483648", "9" * 30, "1.0", "x", ""]


def as_the_field_says(field, texts):
    """Each text that the field takes, asked one by one."""
    taken = []
    for text in texts:
        with contextlib.suppress(ValidationError):
            taken.append(field.clean(text, None))
    return taken


@pytest.mark.parametrize("texts", [TEXTS, TEXTS[:9], ["9" * 5000]], ids=["any", "whole numbers", "long"])
def test_text_is_an_id_where_the_fields_own_checks_take_it(texts):
    assert Groups().native_ids(texts) == as_the_field_says(User._meta.pk, texts)


@pytest.mark.parametrize("validators", [[MinValueValidator(5)], [RegexValidator("7")]], ids=["bound", "own"])
def test_a_fields_own_validators_are_heard(validators):
    field = IntegerField(validators=validators)
    field.model, field.name = Group, "code"
    assert _cleaned(field, ["3", "7"]) == as_the_field_says(field, ["3", "7"]) == [7]


class WithFiles(DemoCatalogue):
    """Pictures in a FileField."""

    def resolve(self, item_ids, request=None):
        found = super().resolve(item_ids, request)
        for item in found.values():
            item.picture = FieldFile(item, FileField(name="picture"), item.picture)
        return found


class Raising(DemoCatalogue):
    """Some products can't be described, some have no category that can be told."""

    def describe(self, item, request=None):
        if item.name == "tea 3":
            raise RuntimeError("the shop's own mistake")
        return super().describe(item, request)

    def category(self, item):
        if item.name == "tea 5":
            raise Product.DoesNotExist
        return item.category


class RaisingAlways(DemoCatalogue):
    def describe(self, item, request=None):
        raise RuntimeError("the shop's own mistake")


def test_a_product_without_a_file_is_shown_without_a_picture(catalogue, products, settings):
    settings.MEDIA_URL = "/media/"
    Product.objects.exclude(pk=products[4].pk).update(picture="tea.jpg")
    catalogue("WithFiles")
    shown = get_recommendations(None, "product_page", item=products[0], limit=9).items
    assert {each.item.name: each.fields["image"] for each in shown} == {
        f"tea {n}": None if n == 4 else "/media/tea.jpg" for n in range(1, 10)
    }


def test_a_product_that_cannot_be_described_costs_its_own_place_only(catalogue, products, placement, caplog):
    placement(MAX_PER_CATEGORY=20)
    catalogue("Raising")
    names = [each.item.name for each in get_recommendations(None, "product_page", item=products[0]).items]
    assert names == [f"tea {n}" for n in (1, 2, 4, 6, 7, 8, 9)] + ["pot 9"]
    assert "could not describe an item" in caplog.text
    assert "could not tell an item's category" in caplog.text
    assert f"item {str(products[3].pk)!r}" in caplog.text, "which one, with the traceback"


class WithoutAPage(DemoCatalogue):
    def url(self, item):
        return None if item.name == "tea 3" else super().url(item)


def test_a_product_without_a_page_costs_its_own_place_only(catalogue, products, caplog):
    catalogue("WithoutAPage")
    shown = get_recommendations(request_of(), "product_page", item=products[0], limit=4).items
    assert [each.item.name for each in shown] == [f"tea {n}" for n in (1, 2, 4, 5)]
    assert "could not describe an item" in caplog.text


class Unsayable:
    def __str__(self) -> str:
        raise RuntimeError("the shop's own mistake")


@pytest.mark.parametrize("wrong", [{"TITLE": Unsayable()}, {"TEMPLATE": "nowhere.html"}])
def test_a_list_that_cannot_be_shown_is_not_counted(products, placement, visitor, wrong):
    placement(**wrong)
    assert visitor.get(products[8].get_absolute_url()).status_code == 200
    assert Event.objects.filter(name="view_item").exists()
    assert not Impression.objects.exists()


def test_a_catalogue_that_describes_nothing_is_logged_once_and_not_for_each_item(catalogue, products, caplog):
    catalogue("RaisingAlways")
    assert get_recommendations(None, "product_page", item=products[0]).items == []
    assert [each.message for each in caplog.records] == ["could not describe an item"]


def test_an_item_that_cannot_be_described_is_no_reason_by_name(catalogue, products):
    catalogue("Raising")
    shown = get_recommendations(None, "product_page", item=products[3]).items
    assert len(shown) == 8
    assert {each.because_title for each in shown} == {""}


class Groups(ModelCatalogue):
    """Users stand for products of several categories each."""

    model = "auth.User"
    title_field = "username"
    category_field = "groups"

    def url(self, item):
        return f"/u/{item.pk}/"


@pytest.fixture
def members(db) -> list[User]:
    """Twelve users in five groups: in one of them, in two, or in none."""
    groups = [Group.objects.create(name=f"group {n}") for n in range(5)]
    users = [User.objects.create(username=f"user {n}") for n in range(12)]
    for n, user in enumerate(users[:11]):
        user.groups.add(groups[n % 5])
    users[0].groups.add(groups[1])
    return users


def test_each_of_several_categories_counts(catalogue, members, placement):
    placement(MODELS=[], MAX_PER_CATEGORY=1)
    catalogue("Groups")
    names = {each.item.username for each in get_recommendations(None, "product_page").items}
    assert names == {f"user {n}" for n in (11, 10, 9, 8, 7, 6)}, "11 has no category, 0 has two full ones"


class ByName(DemoCatalogue):
    """Names its products by a text of any kind."""

    id_field = "name"
    sensitive = Catalogue.sensitive


@pytest.mark.parametrize("rubbish", ["tea\x00", "\ud800", "x" * 9999])
def test_an_id_that_no_database_takes_costs_only_itself(catalogue, products, rubbish):
    catalogue("ByName")
    assert [*get_catalogue().resolve([rubbish, "tea 1"])] == ["tea 1"]
    assert len(get_recommendations(None, "product_page", item=rubbish, leave_out=[rubbish]).items) == 8


class Permissions(ModelCatalogue):
    """Django's permissions as goods: each belongs to a row of another table, whose key is a number."""

    model = "auth.Permission"
    title_field = "name"
    category_field = brand_field = "content_type"

    def url(self, item):
        return f"/permission/{item.pk}/"


def test_a_brand_in_a_table_of_its_own_is_known_by_the_key_that_its_name_stands_for(catalogue):
    """So that a rule that a merchant writes by name meets the products."""
    catalogue("Permissions")
    permission = Permission.objects.select_related("content_type").get(codename="add_logentry")
    key, name = str(permission.content_type_id), str(permission.content_type)
    shop = get_catalogue()
    assert shop.attributes(permission).texts == {"category": {key}, "brand": {key}}
    for attribute in ("brand", "category"):
        assert (key, name) in shop.attribute_values(attribute, "admin", 9)
        assert (key, name) in shop.attribute_values(attribute, key, 9), "by its key, as a stored rule has it"


def test_a_text_that_stands_in_another_field_than_the_name_finds_no_row(catalogue):
    """As "tea" finds no kitchen for the teapot in its picture."""
    catalogue("Permissions")
    permission = Permission.objects.select_related("content_type").get(codename="add_logentry")
    assert str(permission.content_type) == "Administration | log entry"
    assert permission.content_type.model == "logentry"
    assert get_catalogue().attribute_values("brand", "logentry", 9) == []


def test_of_many_names_that_contain_the_text_the_one_that_is_meant_comes_first(catalogue, products):
    catalogue("Permissions")
    for n in range(9):
        ContentType.objects.create(app_label=f"{n} tea shop", model=f"a tea {n}")
    tea = ContentType.objects.create(app_label="x", model="tea")
    assert get_catalogue().attribute_values("brand", "tea", 3)[0][0] == str(tea.pk)
    catalogue("Numbers")
    Product.objects.filter(pk=products[0].pk).update(category="a tea")
    assert get_catalogue().attribute_values("category", "tea", 2) == [("tea", "tea"), ("a tea", "a tea")]


@pytest.mark.usefixtures("products")
def test_several_values_of_one_field_are_several(catalogue):
    catalogue("Listing")
    product = Product.objects.first()
    product.kinds = ["tea", "gift", "tea"]
    assert get_catalogue().categories(product) == {"gift", "tea"}
    assert get_catalogue().attributes(product).texts["brand"] == {"gift", "tea"}


class Listing(DemoCatalogue):
    """Its brands and categories are a list, as an array's field has them."""

    category_field = brand_field = "kinds"


def test_related_items_share_any_category_and_come_once(members, django_assert_num_queries):
    catalogue = TextCatalogue(Groups())
    related = catalogue.related(str(members[0].pk), 10)
    assert sorted(related) == sorted(str(members[n].pk) for n in (1, 5, 6, 10))
    with django_assert_num_queries(2):  # the users, and the categories of all of them
        found = catalogue.resolve(related)
        assert {len(catalogue.categories(each)) for each in found.values()} == {1}


def test_main_categories_of_several_are_counted_each(members):
    groups = [str(pk) for pk in Group.objects.order_by("pk").values_list("pk", flat=True)]
    assert TextCatalogue(Groups()).main_categories(2) == groups[:2], "three users each"


def test_limit_as_text_is_a_limit(products):
    page = Client().get(f"/sessrec/slot/product_page/?item_id={products[0].pk}&limit=4")
    assert page.content.count(b'class="sessrec__item"') == 4


class Members(ModelCatalogue):
    model = "auth.User"
    category_field = "is_staff"
    created_field = "last_login"


def test_the_newest_are_so_by_the_field_that_the_shop_names():
    for name, year in (("old", 2020), ("new", 2026), ("older", 2019), ("unknown", None)):
        at = year and datetime(year, 1, 1, tzinfo=UTC)
        User.objects.create(username=name, last_login=at)
    for found in (Members().newest(9), Members().fallback(9), Members().in_category(["False"], 9)):
        names = [User.objects.get(pk=pk).username for pk in found]
        assert names == ["new", "old", "older", "unknown"]


class ByType(Permissions):
    """Families are rows of a table of their own, whose keys begin at 1 as those of products do."""

    parent_field = "content_type"


def test_a_family_is_no_product_of_the_same_number():
    shop = TextCatalogue(ByType())
    one = Permission.objects.order_by("pk").first()
    alike = {str(each.pk) for each in Permission.objects.filter(content_type=one.content_type)}
    family = shop.families({str(one.pk)})
    assert family == {str(one.pk): f"content_type:{one.content_type_id}"}
    assert {*shop.variants(family.values())[family[str(one.pk)]]} == alike
    assert shop.variants({str(one.content_type_id)}) == {}


def test_what_is_looked_up_by_id_is_not_sorted():
    ids = [str(each.pk) for each in Permission.objects.all()[:3]]
    shop = Permissions()  # its Meta orders by columns of another table
    with CaptureQueriesContext(connection) as asked:
        assert [len(shop.resolve(ids)), len(shop.known(ids))] == [3, 3]
    assert len(asked) == 2
    assert not [each["sql"] for each in asked if "ORDER BY" in each["sql"] or "JOIN" in each["sql"]]


class OneOfEachType(Permissions):
    """The first permission of each model: DISTINCT ON takes the first row of each, so the order counts."""

    def queryset(self):
        return super().queryset().order_by("content_type", "-pk").distinct("content_type")


def test_an_order_that_decides_which_row_is_found_stays():
    every = Permission.objects.filter(content_type=ContentType.objects.first())
    found = OneOfEachType().resolve([str(each.pk) for each in every])
    assert [*found] == [max(each.pk for each in every)]


class Forgetful(DemoCatalogue):
    """Narrows, and returns nothing."""

    def available(self, queryset):
        queryset.exclude(category="cup")


@pytest.mark.parametrize("ask", [lambda shop: shop.resolve(["1"]), lambda shop: shop.newest(3)])
def test_available_without_return_is_named(ask):
    with pytest.raises(ImproperlyConfigured, match=r"Forgetful\.available\(\) returns None"):
        ask(Forgetful())
