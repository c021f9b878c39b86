"""A wrong set-up is a numbered check with a hint."""

import sys
from importlib.util import spec_from_file_location

import pytest

from django_sessrec.conf import MODEL_SETTINGS, SETTINGS, entries
from tests.support.checks import GOOD, findings


async def unawaited(request):
    """A shop's function, written as its async views are: its answer is a coroutine, which is true."""


def model(**keys):
    return GOOD | {"MODELS": {"mine": keys}}


def experiment(placement=(), **variants):
    test = {"EXPERIMENT": {"NAME": "x", "VARIANTS": variants}}
    return GOOD | {"PLACEMENTS": {"home": dict(placement) | test}}


def test_a_right_set_up_has_no_error():
    assert not [id_ for id_ in findings(SESSREC=GOOD) if id_.startswith("sessrec.E")]


def test_a_model_that_inherits_a_weight_above_0_passes():
    own = {"VIEW": 0, "DWELL": 0, "PURCHASE": 0}
    found = findings(SESSREC=model(ESTIMATOR="x.Y", EVENT_WEIGHTS=own) | {"EVENT_WEIGHTS": {"BASKET": 2}})
    assert "sessrec.E015" not in found


def test_a_model_that_no_list_asks_is_told():
    models = {"MODELS": {name: {"ESTIMATOR": "django_sessrec.recsys.Neighbours"} for name in ("mine", "it")}}
    found = findings(SESSREC=GOOD | models | {"PLACEMENTS": {"home": {"MODELS": ["mine"]}}})["sessrec.W045"]
    assert "'it'" in found.msg
    assert "MODELS of a placement" in found.hint


@pytest.mark.parametrize(
    ("name", "placement"),
    [
        ("neighbours", {}),
        ("mine", {"MODELS": ["neighbours", "mine"]}),
        ("mine", {"EXPERIMENT": {"NAME": "x", "VARIANTS": {"a": {"SHARE": 1, "MODELS": ["mine"]}}}}),
        ("bought_together", {"MODELS": []}),
        ("itemknn", {"MODELS": []}),
    ],
)
def test_a_model_that_a_placement_a_variant_or_a_step_asks_passes(name, placement):
    models = {"MODELS": {name: {"ESTIMATOR": "django_sessrec.recsys.Neighbours"}}}
    assert "sessrec.W045" not in findings(SESSREC=GOOD | models | {"PLACEMENTS": {"home": placement}})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"class Mine(:\n", "line 1"),
        (b"class Mine:\n    name = '\xfc'\n", "utf-8"),
        (b"class Mine: pass\n\0", "null bytes"),
    ],
)
def test_an_estimators_module_that_cannot_be_read_is_told(tmp_path, monkeypatch, text, reason):
    (tmp_path / "unreadable_estimator.py").write_bytes(text)
    monkeypatch.syspath_prepend(tmp_path)
    found = findings(SESSREC=model(ESTIMATOR="unreadable_estimator.Mine"))["sessrec.E006"]
    assert "can't be read" in found.msg
    assert reason in found.msg


def test_an_estimators_module_in_another_encoding_is_read(tmp_path, monkeypatch):
    text = "# -*- coding: latin-1 -*-\nclass Mine:\n    name = 'Grün'\n"
    (tmp_path / "latin_estimator.py").write_text(text, encoding="latin-1")
    monkeypatch.syspath_prepend(tmp_path)
    assert "sessrec.E006" not in findings(SESSREC=model(ESTIMATOR="latin_estimator.Mine"))


def test_an_estimator_of_an_editable_install_is_found_without_importing_it(tmp_path, monkeypatch):
    package = tmp_path / "anywhere"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "nets.py").write_text("class Mine: pass")

    class Finder:
        """As setuptools writes one for `pip install -e`."""

        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == "editable_nets":
                folders = {"submodule_search_locations": [str(package)]}
                return spec_from_file_location(name, package / "__init__.py", **folders)
            return None

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    assert "sessrec.E006" not in findings(SESSREC=model(ESTIMATOR="editable_nets.nets.Mine"))
    assert "sessrec.E006" in findings(SESSREC=model(ESTIMATOR="editable_nets.nets.Theirs"))
    assert "sessrec.E006" in findings(SESSREC=model(ESTIMATOR="editable_nets.nothing.Mine"))


@pytest.mark.parametrize(
    ("settings", "expected", "hint"),
    [
        ([], "sessrec.E001", "SESSREC = {"),
        (GOOD | {"RETENTION_DAY": 3}, "sessrec.E002", "RETENTION_DAYS"),
        (GOOD | {"TRACKED_VIEWS": ["shop:product"]}, "sessrec.E003", "dict"),
        (GOOD | {"SESSION_IDLE_MINUTES": -1}, "sessrec.E015", "above 0"),
        (GOOD | {"VALIDATION_FRACTION": 7}, "sessrec.E015", "at most 0.5"),
        (GOOD | {"EVENT_WEIGHTS": {"CART": 2}}, "sessrec.E002", "Known keys: BASKET"),
        (GOOD | {"EVENT_WEIGHTS": {"BASKET": "2"}}, "sessrec.E003", "number, such as 1.0"),
        (GOOD | {"EVENT_WEIGHTS": {"PURCHASE": -1}}, "sessrec.E015", "at least 0 and at most 100"),
        (
            GOOD | {"EVENT_WEIGHTS": dict.fromkeys(("VIEW", "DWELL", "BASKET", "PURCHASE"), 0)},
            "sessrec.E015",
            "a weight above 0",
        ),
        (model(ESTIMATOR="x.Y", EVENT_WEIGHTS={"DWEL": 2}), "sessrec.E002", "DWELL"),
        (
            model(ESTIMATOR="x.Y", EVENT_WEIGHTS={"BASKET": 0, "PURCHASE": 0})
            | {"EVENT_WEIGHTS": {"VIEW": 0, "DWELL": 0}},
            "sessrec.E015",
            "above 0",
        ),
        (GOOD | {"QUARANTINE": {"MAX_CLICKS": 9}}, "sessrec.E002", "MAX_CLICKS_PER_MINUTE"),
        (GOOD | {"QUARANTINE": {"MAX_CLICKS_PER_MINUTE": "9"}}, "sessrec.E003", "int or None"),
        ({}, "sessrec.E004", "ModelCatalogue"),
        ({"CATALOGUE": "django_sessrec.conf.Settings"}, "sessrec.E005", "Subclass"),
        ({"CATALOGUE": "nowhere.Catalogue"}, "sessrec.E006", "spelling"),
        (GOOD | {"CONSENT": "django_sessrec.conf.SETTINGS"}, "sessrec.E005", "function"),
        *(
            (GOOD | {key: "tests.doors.test_checks.unawaited"}, "sessrec.E005", "with def")
            for key in ("CONSENT", "IGNORE_REQUEST", "CUSTOMER_GROUP")
        ),
        (GOOD | {"ITEM_VECTORS": "django_sessrec.conf.vectors"}, "sessrec.E006", "spelling"),
        (GOOD | {"ITEM_VECTORS": "nowhere.vectors"}, "sessrec.E006", "spelling"),
        *(
            (GOOD | {key: 999_999}, "sessrec.E015", "at most 36500")
            for key in ("RETENTION_DAYS", "ORDER_LINES_DAYS", "TRAINING_WINDOW_DAYS")
        ),
        (GOOD | {"MODELS": {"mine": {}}}, "sessrec.E007", "estimator"),
        (
            GOOD | {"MODELS": {"mine": {"ESTIMATOR": "django_sessrec.recsys.no.Model"}}},
            "sessrec.E006",
            "spelling",
        ),
        (
            GOOD | {"MODELS": {"mine": {"ESTIMATOR": "django_sessrec.conf.Setings"}}},
            "sessrec.E006",
            "spelling",
        ),
        (GOOD | {"MODELS": {"mine": {"ESTIMATER": "x.Y"}}}, "sessrec.E002", "ESTIMATOR"),
        (GOOD | {"PLACEMENTS": {"home": {"MODELS": ["none"]}}}, "sessrec.E008", "neighbours"),
        (GOOD | {"PLACEMENTS": {"home": {"STEPS": ["recently"]}}}, "sessrec.E035", "recently_viewed"),
        (GOOD | {"PLACEMENTS": {"home": {"STEPS": "popular"}}}, "sessrec.E003", "list"),
        (GOOD | {"PLACEMENTS": {"home": {"EXPERIMENT": {"NAME": "x"}}}}, "sessrec.E009", "two VARIANTS"),
        (GOOD | {"PLACEMENTS": {"home": {"EXPERIMENT": "blue"}}}, "sessrec.E003", "dict"),
        (
            GOOD | {"PLACEMENTS": {"home": {"EXPERIMENT": {"NAME": "x", "VARIANTS": ["a", "b"]}}}},
            "sessrec.E009",
            "two",
        ),
        (experiment(a={"SHARE": 1}, b={}), "sessrec.E009", "SHARE"),
        (experiment(a={"SHARE": 0}, b={"SHARE": 0}), "sessrec.E009", "more than 0"),
        (experiment(a={"SHARE": -1}, b={"SHARE": 2}), "sessrec.E015", "at least 0"),
        (experiment(a={"SHARE": 1}, b={"SHARE": 1, "LIMITS": 4}), "sessrec.E002", "LIMIT"),
        (experiment(a={"SHARE": 1}, b={"SHARE": 1, "LIMIT": "4"}), "sessrec.E003", "int"),
        (experiment(a={"SHARE": 1}, b={"SHARE": 1, "MODELS": ["none"]}), "sessrec.E008", "neighbours"),
        (experiment(a={"SHARE": 1}, b={"SHARE": 1, "EXPERIMENT": {}}), "sessrec.E002", "Known keys"),
        (experiment(a={"SHARE": 1}, b=8), "sessrec.E003", "dict"),
        (
            experiment({"TEMPLATE": "demo/page.html"}, a={"SHARE": 1}, b={"SHARE": 1, "SPONSORED": ["1"]}),
            "sessrec.E018",
            "item.sponsored",
        ),
        (
            experiment({"SPONSORED": ["1"]}, a={"SHARE": 1}, b={"SHARE": 1, "TEMPLATE": "demo/page.html"}),
            "sessrec.E018",
            "item.sponsored",
        ),
        (GOOD | {"PLACEMENTS": {"home": {"RULES": ["shop.nowhere"]}}}, "sessrec.E006", "spelling"),
        (GOOD | {"PLACEMENTS": {"home": {"LIMIT": 0}}}, "sessrec.E015", "at least 1"),
        (GOOD | {"PLACEMENTS": {"home": {"LIMIT": True}}}, "sessrec.E003", "int"),
        (model(ESTIMATOR="django_sessrec.neural.GRU4Rec", GATE_TOLERANCE=2), "sessrec.E015", "at most 1"),
        (model(ESTIMATOR="django_sessrec.neural.GRU4Rec", RECOMMENDER="x.Y"), "sessrec.E006", "spelling"),
        (
            model(ESTIMATOR="django_sessrec.recsys.ItemKNN", RECOMMENDER="django_sessrec.recsys.ItemKNN"),
            "sessrec.E005",
            "Subclass django_sessrec.recsys.Recommender",
        ),
        (
            model(ESTIMATOR="django_sessrec.recsys.ItemKNN", RECOMMENDER="django_sessrec.recsys.Recommender"),
            "sessrec.E005",
            "kind is a text",
        ),
        *(
            (GOOD | {"TRUSTED_ORIGINS": [wrong]}, "sessrec.E026", "no slash")
            for wrong in (
                "www.example.com",
                "https://example.com/",
                "https://*.example.com",
                "HTTPS://X.COM",
                "https://www.example.com:443",
                "http://[::1]:80",
                "https://bücher.example",
                7,
            )
        ),
        (GOOD | {"CURRENCY": "Euro"}, "sessrec.E015", "ISO 4217"),
        (GOOD | {"COOKIE_SAMESITE": "none"}, "sessrec.E015", "'Lax'"),
        (GOOD | {"COOKIE_SAMESITE": "None", "COOKIE_SECURE": False}, "sessrec.E019", "unset"),
        (
            GOOD | {"PLACEMENTS": {"home": {"SPONSORED": ["1"], "TEMPLATE": "demo/page.html"}}},
            "sessrec.E018",
            "item.sponsored",
        ),
        (
            GOOD | {"PLACEMENTS": {"home": {"SPONSORED": ["1"], "TEMPLATE": "no.html"}}},
            "sessrec.E016",
            "name",
        ),
        (GOOD | {"PLACEMENTS": {"home": {"TEMPLATE": "no.html"}}}, "sessrec.E016", "name"),
        (experiment(a={"SHARE": 1}, b={"SHARE": 1, "TEMPLATE": "no.html"}), "sessrec.E016", "name"),
        (GOOD | {"PLACEMENTS": {"home": {"RULES": [7]}}}, "sessrec.E005", "functions"),
        (GOOD | {"PLACEMENTS": {"home": {"LIMIT": 101}}}, "sessrec.E015", "at most 100"),
        (GOOD | {"PLACEMENTS": {"home": {"MODELS": None}}}, "sessrec.E003", "list"),
        (GOOD | {"PLACEMENTS": {"home": {"LIMIT": "8"}}}, "sessrec.E003", "int"),
        (GOOD | {"THROTTLE_EVENTS": "often"}, "sessrec.E015", "'120/min'"),
        (GOOD | {"PLACEMENTS": {"home": 8}}, "sessrec.E003", "dict"),
        (GOOD | {"MODELS": {"mine": 8}}, "sessrec.E003", "dict"),
        *(
            (GOOD | {key: {name: {}}}, "sessrec.E044", "letters, digits")
            for key in ("PLACEMENTS", "MODELS")
            for name in ("home/top", "", "..", "a b", "a?", 7)
        ),
        (GOOD | {"MODELS": ["neighbours"]}, "sessrec.E003", "dict"),
        (GOOD | {"DATABASE": "elsewhere"}, "sessrec.E010", "default"),
        (GOOD | {"TRACKED_VIEWS": {"no:view": "pk"}}, "sessrec.W013", "reverse"),
    ],
)
def test_each_mistake_has_its_number_and_remedy(settings, expected, hint):
    found = findings(SESSREC=settings)
    assert expected in found, found
    assert hint in found[expected].hint


WRONG_VALUES = (object(), len, ["a"], {"a": 1}, 7, 1.5, True)


def in_model(key, value):
    used = {"PLACEMENTS": {"home": {"MODELS": ["mine"]}}}
    return model(**{"ESTIMATOR": "django_sessrec.recsys.TunedNeighbours", key: value}) | used


def in_placement(key, value):
    return GOOD | {"PLACEMENTS": {"home": {key: value}}}


@pytest.mark.parametrize(
    ("written", "setting"),
    [
        *((lambda value, key=key: GOOD | {key: value}, each) for key, each in SETTINGS.items()),
        *((lambda value, key=key: in_model(key, value), each) for key, each in MODEL_SETTINGS.items()),
        *((lambda value, key=key: in_placement(key, value), each) for key, each in entries.PLACEMENT.items()),
    ],
    ids=[
        *SETTINGS,
        *(f"model {key}" for key in MODEL_SETTINGS),
        *(f"placement {key}" for key in entries.PLACEMENT),
    ],
)
def test_a_value_of_a_wrong_type_is_one_finding(written, setting):
    right = findings(SESSREC=GOOD).keys()
    for value in WRONG_VALUES:
        if not setting.takes(value):
            assert findings(SESSREC=written(value)).keys() - right == {"sessrec.E003"}, value


@pytest.mark.parametrize("name", ["home", "product-page_2.b", "größe"])
def test_names_that_addresses_and_files_can_have_pass(name):
    named = {"MODELS": {name: {"ESTIMATOR": "django_sessrec.recsys.ItemKNN"}}, "PLACEMENTS": {name: {}}}
    assert "sessrec.E044" not in findings(SESSREC=GOOD | named)


def test_a_wrong_argument_of_a_tracked_view_breaks_no_check():
    assert "sessrec.W022" in findings(SESSREC=GOOD | {"TRACKED_VIEWS": {"demo:product": ["pk"]}})


@pytest.mark.parametrize("template", ["sessrec/recommendations.html", "sessrec/item.html"])
def test_a_template_that_labels_what_is_paid_for_passes(template):
    placements = {"home": {"SPONSORED": ["1"], "TEMPLATE": template}}
    assert not {"sessrec.E016", "sessrec.E018"} & findings(SESSREC=GOOD | {"PLACEMENTS": placements}).keys()


def test_a_part_of_another_engine_with_the_same_name_breaks_no_check(tmp_path, settings):
    (tmp_path / "sessrec").mkdir()
    (tmp_path / "sessrec" / "reason.html").write_text("another engine's")
    mails = {"BACKEND": "django.template.backends.dummy.TemplateStrings", "DIRS": [tmp_path], "OPTIONS": {}}
    placements = {"home": {"SPONSORED": ["1"]}}
    found = findings(SESSREC=GOOD | {"PLACEMENTS": placements}, TEMPLATES=[mails, *settings.TEMPLATES])
    assert not found.keys() & {"sessrec.E016", "sessrec.E018"}


def test_estimators_of_torch_are_checked_without_importing_them():
    models = {"gru4rec": {"ESTIMATOR": "django_sessrec.neural.GRU4Rec"}}
    placements = {"product_page": {"MODELS": ["gru4rec"]}}
    assert "sessrec.E006" not in findings(SESSREC=GOOD | {"MODELS": models, "PLACEMENTS": placements})


@pytest.mark.parametrize(
    "origin",
    [
        "https://www.example.com",
        "http://localhost:8000",
        "https://[::1]:8000",
        "http://x.example:443",
        "https://xn--bcher-kva.example",
        "shop-app://android",
    ],
)
def test_origins_as_clients_send_them_pass(origin):
    assert "sessrec.E026" not in findings(SESSREC=GOOD | {"TRUSTED_ORIGINS": (origin,)})


def test_a_stream_of_another_scheme_is_told_without_its_password():
    found = findings(SESSREC=GOOD | {"STREAM_URL": "http://shop:secret@127.0.0.1:6379/1"})["sessrec.E015"]
    assert "'http://**@127.0.0.1:6379/1'" in found.msg
    assert "'redis://host:port/0'" in found.hint


@pytest.mark.parametrize(
    "url", ["", "redis://nowhere", "rediss://:p@host:6380/0", "unix:///run/valkey.sock?db=1"]
)
def test_addresses_of_a_stream_pass(url):
    assert "sessrec.E015" not in findings(SESSREC=GOOD | {"STREAM_URL": url})
