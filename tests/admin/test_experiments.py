"""Experiments in the admin: made, started, ramped, stopped, and who may."""

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone

from django_sessrec.experiment_models import INTERLEAVED, Experiment
from django_sessrec.models import AuditEntry, Heartbeat, Promotion
from django_sessrec.operations.experiments import tend
from django_sessrec.serving.placements import placement_for
from tests.support.admin import a_run, page
from tests.support.experiments import an_experiment, page_of, takes_part

pytestmark = pytest.mark.django_db

LIST = "admin:sessrec_experiment_changelist"
NAME = "Does it pay?"


@pytest.fixture(autouse=True)
def shop(fresh_process, placement):
    placement()


def act(client, name, experiment, **answers):
    url = reverse(f"admin:sessrec_experiment_{name}", args=[experiment.pk])
    return client.post(url, {"confirmed": "1", "reason": "because", **answers}, follow=True)


def said(answer):
    return " ".join(str(message) for message in answer.context["messages"])


def serve(*models):
    for model in models:
        Promotion.objects.create(model=model, run=a_run(model=model), promoted_by="test")


GIVEN = {
    "name": NAME,
    "placement": "product_page",
    "kind": "split",
    "goal": "orders",
    "effect": "10",
    "stops_itself": "on",
    "reason": "the ranker costs a second core",
    "variants-TOTAL_FORMS": "5",
    "variants-INITIAL_FORMS": "0",
    "variants-0-name": "as it is",
    "variants-0-share": "50",
    "variants-1-name": "co-views",
    "variants-1-share": "50",
    "variants-1-model_1": "itemknn",
    "variants-1-model_2": "neighbours",
    "variants-1-limit": "6",
    **{f"variants-{number}-share": "50" for number in (2, 3, 4)},
}
NEW = "admin:sessrec_experiment_new"


def test_a_new_experiment_is_a_draft(admin_client):
    assert "Save as draft" in page(admin_client, reverse(NEW))
    answer = admin_client.post(reverse(NEW), GIVEN, follow=True)
    assert "A draft: no session takes part yet." in answer.content.decode()
    experiment = Experiment.objects.get()
    assert (experiment.state, experiment.effect, experiment.part) == ("draft", 0.1, 1.0)
    entry = AuditEntry.objects.get(action="experiment")
    assert (entry.done_by, entry.reason) == ("admin", "the ranker costs a second core")
    assert entry.detail == {"experiment": NAME, "change": "created"}
    assert [(each.name, each.share, each.changes) for each in experiment.variants.all()] == [
        ("as it is", 50, {}),
        ("co-views", 50, {"MODELS": ["itemknn", "neighbours"], "LIMIT": 6}),
    ]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (
            dict.fromkeys(
                ["variants-1-name", "variants-1-model_1", "variants-1-model_2", "variants-1-limit"], ""
            ),
            "at least two variants",
        ),
        ({"variants-1-name": "as it is"}, "a name of its own"),
        ({"variants-1-share": "0"}, "share of more than 0"),
        ({"variants-1-model_1": "crystal-ball"}, "crystal-ball is not one of the available choices"),
        ({"variants-1-model_1": ""}, "Choose the first model, too"),
        ({"variants-0-holdout": "on", "variants-1-holdout": "on"}, "holdout of everybody"),
        ({"goal": "clicks", "variants-1-holdout": "on"}, "no lists to click"),
        (
            {"goal": "clicks", "variants-0-holdout": "on", "variants-2-name": "third"},
            "no lists to click",
        ),
        ({"variants-0-name": INTERLEAVED}, "This name is taken"),
        (
            {"kind": "interleaving", "variants-1-model_1": "", "variants-1-model_2": ""},
            "two variants with different models",
        ),
        ({"kind": "interleaving", "variants-2-name": "third"}, "two variants with different models"),
        ({"effect": "0"}, "greater than or equal to 0.5"),
        ({"reason": ""}, "This field is required"),
        ({"placement": "nowhere"}, "nowhere"),
    ],
)
def test_what_compares_nothing_is_refused(admin_client, changed, told):
    answer = admin_client.post(reverse(NEW), GIVEN | changed)
    assert told in answer.content.decode()
    assert not Experiment.objects.exists()


def test_models_are_not_compared_where_no_step_asks_one(admin_client, placement):
    placement(STEPS=["bought_together", "trending", "static"])
    for kind in ("split", "interleaving"):
        answer = admin_client.post(reverse(NEW), GIVEN | {"kind": kind})
        assert "steps asks a model" in answer.content.decode()
    assert not Experiment.objects.exists()
    no_models = {"variants-1-model_1": "", "variants-1-model_2": ""}
    admin_client.post(reverse(NEW), GIVEN | no_models)
    for keys in (
        {"STEPS": ["co_views", "static"]},
        {"STEPS": ["category", "popular"]},
        {"STEPS": ["category", "static"], "VARIETY": 0.5},
    ):
        placement(**keys)
        admin_client.post(reverse(NEW), GIVEN | {"name": str(keys)})
    assert Experiment.objects.count() == 4


def test_a_name_is_given_once(admin_client, placement):
    an_experiment(NAME)
    assert "has this name" in admin_client.post(reverse(NEW), GIVEN).content.decode()
    placement(EXPERIMENT={"NAME": "declared", "VARIANTS": {"a": {"SHARE": 1}, "b": {"SHARE": 1}}})
    assert "has this name" in admin_client.post(reverse(NEW), GIVEN | {"name": "declared"}).content.decode()


def test_a_pilot_begins_in_the_shadow(admin_client):
    admin_client.post(reverse(NEW), GIVEN | {"kind": "pilot"})
    assert Experiment.objects.get().part == 0


def test_start_asks_and_waits_for_the_models(admin_client):
    serve("neighbours")
    experiment = an_experiment()
    asked = admin_client.post(reverse("admin:sessrec_experiment_start", args=[experiment.pk]))
    assert "itemknn serves. The schedule that begins it does not run" in asked.content.decode()
    for name in ("beat", "worker"):
        Heartbeat.objects.create(name=name)
    asked = admin_client.post(reverse("admin:sessrec_experiment_start", args=[experiment.pk]))
    assert "waits until a run of itemknn serves, and begins by itself." in asked.content.decode()
    assert Experiment.objects.get().state == "draft"
    html = act(admin_client, "start", experiment).content.decode()
    assert "Waiting for itemknn, of which no run serves yet." in html
    entry = AuditEntry.objects.get(action="experiment")
    assert (entry.done_by, entry.reason) == ("admin", "because")
    assert entry.detail == {"experiment": NAME, "change": "started"}


def test_ramp_stop_and_what_everybody_gets(admin_client):
    serve("neighbours", "itemknn")
    experiment = an_experiment()
    act(admin_client, "start", experiment)
    act(admin_client, "ramp", experiment, part="0.25")
    experiment.refresh_from_db()
    assert (experiment.state, experiment.part) == ("running", 0.25)
    html = act(admin_client, "stop", experiment, keep="new").content.decode()
    assert "Everybody gets since" in html
    experiment.refresh_from_db()
    assert (experiment.state, experiment.kept, experiment.stop_reason) == ("stopped", "new", "because")
    act(admin_client, "keep", experiment, keep="")
    assert Experiment.objects.get().kept == ""
    changes = [entry.detail["change"] for entry in AuditEntry.objects.order_by("pk")]
    assert changes == ["started", "ramped", "stopped", "kept"]


def test_a_stop_names_what_earlier_experiments_left_on_the_placement(admin_client):
    serve("neighbours")
    variants = {"as it is": {}, "many": {"LIMIT": 12}}
    earlier = an_experiment("Is 12 better?", variants=variants)
    an_experiment("No change?", variants=variants, state="stopped", kept="as it is")
    an_experiment("Elsewhere?", variants=variants, state="stopped", kept="many", placement="home")
    experiment = an_experiment(variants={"as it is": {}, "four": {"LIMIT": 4}})

    def left(name, experiment):
        answer = admin_client.post(reverse(f"admin:sessrec_experiment_{name}", args=[experiment.pk]))
        assert "the placement without this experiment" in answer.content.decode()
        return answer.context["form"].fields["keep"].help_text

    act(admin_client, "start", earlier)
    assert left("stop", earlier) == ""
    act(admin_client, "stop", earlier, keep="many")
    assert left("keep", earlier) == ""
    act(admin_client, "start", experiment)
    told = "“Is 12 better?” left on this placement: length of the list: 12."
    assert left("stop", experiment) == told
    act(admin_client, "stop", experiment, keep="")
    assert placement_for("product_page").limit == 12


def test_what_the_settings_declare_on_the_placement_pauses_meanwhile_and_says_so(admin_client, placement):
    placement(EXPERIMENT={"NAME": "declared", "VARIANTS": {"a": {"SHARE": 1}, "b": {"SHARE": 1}}})
    serve("neighbours")
    takes_part(timezone.now(), "a", experiment="declared")
    tend()
    declared = Experiment.objects.get()
    experiment = an_experiment(variants={"as it is": {}, "four": {"LIMIT": 4}})
    pauses = "“declared”, which the settings declare on this placement, pauses as long as this one runs."
    goes_on = "“declared”, which the settings declare on this placement, goes on: its variants change what"

    def question(name):
        address = reverse(f"admin:sessrec_experiment_{name}", args=[experiment.pk])
        return admin_client.post(address).content.decode()

    assert pauses in question("start")
    assert "paused" not in page(admin_client, reverse(LIST)).lower()
    assert pauses in act(admin_client, "start", experiment).content.decode()
    today = reverse("admin:app_list", args=["sessrec"])
    for address in (reverse(LIST), page_of(declared), today):
        html = page(admin_client, address)
        assert "Paused: “Does it pay?” stands in its place." in html
        assert "At this traffic" not in html
    assert 'sessrec-refused">paused</span>' in page(admin_client, page_of(declared))
    assert goes_on in question("stop")
    assert "“declared” is counted anew: its sessions saw other lists" in question("stop")
    assert goes_on in act(admin_client, "stop", experiment, keep="four").content.decode()
    assert goes_on in question("keep")
    assert "Paused" not in page(admin_client, page_of(declared))
    anew = AuditEntry.objects.get(detail__change="counted anew")
    assert (anew.done_by, anew.detail["experiment"]) == ("admin", "declared")


@pytest.mark.parametrize(
    ("act_name", "column", "theirs", "mine"), [("ramp", "part", 0.5, 0.25), ("keep", "kept", "new", "old")]
)
def test_a_change_starts_from_what_holds_and_replaces_nobodys(admin_client, act_name, column, theirs, mine):
    experiment = an_experiment(state="running" if act_name == "ramp" else "stopped", part=0.1)
    address = reverse(f"admin:sessrec_experiment_{act_name}", args=[experiment.pk])
    asked = admin_client.post(address)
    field = {"ramp": "part", "keep": "keep"}[act_name]
    assert str(asked.context["form"][field].value()) == str(getattr(experiment, column))
    assert [*asked.context["form"].fields] == [field, "reason"]
    seen = {"about": asked.context["question"].about}
    act(admin_client, act_name, experiment, **{field: theirs, **seen})
    answer = act(admin_client, act_name, experiment, **{field: mine, **seen})
    assert "This has changed" in answer.content.decode()
    experiment.refresh_from_db()
    assert getattr(experiment, column) == theirs


def test_the_form_says_when_it_stops_by_itself_and_a_ramp_who_stays(admin_client):
    form = page(admin_client, reverse(NEW))
    assert "Stop by itself when no variant is as good as the control" in form
    assert "A pilot always does." in form
    experiment = an_experiment(state="running")
    asked = admin_client.post(reverse("admin:sessrec_experiment_ramp", args=[experiment.pk])).content.decode()
    assert "With fewer, those beyond the new share see the placement without the experiment" in asked


def test_what_the_state_does_not_allow_is_refused_with_its_reason(admin_client):
    experiment = an_experiment()
    assert "Only an open experiment" in said(act(admin_client, "stop", experiment, keep=""))
    assert "Only an open experiment" in said(act(admin_client, "ramp", experiment, part="0.5"))
    an_experiment("Other?", state="running")
    assert "stop it first" in said(act(admin_client, "start", experiment))
    assert not AuditEntry.objects.exists()


def test_a_draft_is_discarded_and_nothing_else(admin_client):
    running = an_experiment("Other?", state="running")
    assert "Only a draft" in said(act(admin_client, "discard", running))
    draft = an_experiment()
    assert "The draft is discarded" in said(act(admin_client, "discard", draft))
    assert list(Experiment.objects.all()) == [running]


@pytest.mark.parametrize("name", ["start", "ramp", "stop", "keep", "discard"])
def test_only_who_may_run_experiments_acts_and_a_link_changes_nothing(client, django_user_model, name):
    experiment = an_experiment()
    url = reverse(f"admin:sessrec_experiment_{name}", args=[experiment.pk])
    user = django_user_model.objects.create_user("clerk", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_experiment"))
    client.force_login(user)
    assert client.post(url).status_code == 403
    assert client.get(url).status_code == 405
    assert client.get(reverse(NEW)).status_code == 403
    assert url not in page(client, page_of(experiment))
    assert "New experiment" not in page(client, reverse(LIST))


def test_who_may_not_look_does_not_see(client, django_user_model):
    client.force_login(django_user_model.objects.create_user("nobody", is_staff=True))
    experiment = an_experiment()
    page(client, reverse(LIST), status=403)
    page(client, page_of(experiment), status=403)


def test_an_experiment_of_the_settings_that_nobody_can_read_hides_no_page(admin_client, placement):
    experiment = an_experiment()
    placement(EXPERIMENT={"NAME": "declared", "VARIANTS": {"a": {"SHARE": 1}, "b": {}}})
    assert NAME in page(admin_client, reverse(LIST))
    page(admin_client, page_of(experiment))
    html = page(admin_client, reverse("admin:sessrec_placement_page", args=["product_page"]))
    assert "Settings" in html


def test_an_experiment_that_is_discarded_already_is_told_as_gone(admin_client):
    assert "no such experiment" in said(
        admin_client.get(reverse("admin:sessrec_experiment_change", args=[99]), follow=True)
    )
    for view in ("start", "ramp", "stop", "keep", "discard"):
        address = reverse(f"admin:sessrec_experiment_{view}", args=[99])
        assert "no such experiment" in said(
            admin_client.post(address, {"confirmed": "1", "reason": "x"}, follow=True)
        ), view
