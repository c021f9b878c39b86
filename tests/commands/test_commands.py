"""Training, evaluating, pruning and the doctor, by hand."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from celery import current_app
from django.core.management import call_command
from django.core.management.base import CommandError, OutputWrapper
from django.db import ProgrammingError, connection
from django.utils import timezone

from django_sessrec.capture import partitions
from django_sessrec.catalogue import Catalogue
from django_sessrec.ids import uuid7
from django_sessrec.management.progress import Progress
from django_sessrec.models import Heartbeat, TrainingRun
from django_sessrec.training.lock import training_lock
from tests.support.capture import renamed
from tests.support.visits import store_visits

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sessrec")]


def test_train_says_what_became_of_each_model(visits, run):
    output = run("sessrec_train").splitlines()
    assert [line.split(" ")[0] for line in output] == ["neighbours", "popularity"]
    assert all("published after" in line for line in output)


def test_a_refused_training_is_a_verdict_not_an_error(run):
    assert "refused after" in run("sessrec_train", "neighbours")


def test_a_failed_training_fails_the_command(visits, run, sessrec):
    sessrec["MODELS"]["broken"] = {"ESTIMATOR": "nowhere.Estimator"}
    with pytest.raises(CommandError, match="failed: broken #") as failure:
        run("sessrec_train", "broken")
    assert failure.value.returncode == 1


def test_a_model_that_is_being_trained_elsewhere_stops_no_other(visits, run):
    with (
        training_lock("neighbours"),
        pytest.raises(CommandError, match="neighbours is being trained by another process"),
    ):
        run("sessrec_train")
    assert [each.model for each in TrainingRun.objects.all()] == ["popularity"]


def test_an_unknown_model_is_named_with_the_known_ones(run):
    with pytest.raises(CommandError, match="no model 'gru'; known: neighbours, popularity"):
        run("sessrec_train", "gru")


def test_evaluate_finds_what_the_gate_found(visits, run):
    run("sessrec_train")
    figures = json.loads(run("sessrec_evaluate", "--json"))
    for trained in TrainingRun.objects.all():
        assert figures[str(trained)]["hr@20"] == pytest.approx(trained.figures["candidate"]["hr@20"])
        assert figures[str(trained)]["by_intents"] == trained.figures["candidate"]["by_intents"]
    latest = TrainingRun.objects.first()
    table = run("sessrec_evaluate", str(latest.pk))
    assert f"{latest}: " in table
    assert [line.split()[0] for line in table.splitlines() if "HR@20" in line] == [
        "clicks",
        "intents",
        "cases",
    ]


def test_evaluate_warns_of_a_folder_that_has_seen_the_days_it_is_tested_on(visits, run):
    run("sessrec_train", "neighbours")
    trained = TrainingRun.objects.get()
    for folder, seen in (
        (trained.folder, True),
        (trained.hold_out_folder, False),
    ):
        out, err = StringIO(), StringIO()
        call_command("sessrec_evaluate", str(folder), stdout=out, stderr=err)
        assert f"{folder.name}: " in out.getvalue()
        assert ("fitted on the days that it is tested on" in err.getvalue()) == seen


def test_evaluate_warns_of_a_hold_out_model_whose_own_last_days_were_fewer(visits, run, sessrec):
    sessrec["MODELS"]["neighbours"]["VALIDATION_FRACTION"] = 0.02
    sessrec["VALIDATION_FRACTION"] = 0.3
    run("sessrec_train", "neighbours")
    err = StringIO()
    call_command("sessrec_evaluate", "neighbours", stdout=StringIO(), stderr=err)
    assert "neighbours #" in err.getvalue()
    assert "was fitted on some of the days that it is tested on here" in err.getvalue()


def test_evaluate_reads_no_further_back_than_the_runs_did(visits, run, sessrec):
    """Clicks that are older than the window are on a mature shop's disk: RETENTION_DAYS keeps a week more."""
    long_ago = timezone.now() - timedelta(days=86)
    store_visits((uuid7(long_ago), long_ago, ["item-1", "item-2"]) for _ in range(200))
    sessrec["VALIDATION_FRACTION"] = 0.3
    run("sessrec_train", "neighbours")
    out, err = StringIO(), StringIO()
    call_command("sessrec_evaluate", "neighbours", "--json", stdout=out, stderr=err)
    trained = TrainingRun.objects.get()
    assert json.loads(out.getvalue())[str(trained)]["cases"] == trained.figures["candidate"]["cases"]
    assert "was fitted on some of the days" not in err.getvalue()


@pytest.mark.parametrize("command", ["sessrec_rollup", "sessrec_export"])
def test_a_day_that_is_none_is_named(run, command):
    with pytest.raises(CommandError, match="--since: 'last week' is not a day such as 2026-01-31"):
        run(command, "--since", "last week")


@pytest.mark.parametrize("target", ["neighbours", "77", "nowhere"])
def test_evaluate_names_a_target_that_is_none(run, target):
    with pytest.raises(CommandError, match=f"'{target}' is not an active model"):
        run("sessrec_evaluate", target)


def test_prune_does_the_upkeep(run):
    long_ago = timezone.now() - timedelta(days=100)
    store_visits([(uuid7(long_ago), long_ago, ["a"])])
    TrainingRun.objects.create(model="popularity", state=TrainingRun.State.RUNNING)
    output = run("sessrec_prune")
    assert "2 dropped" in output
    assert "1 killed training runs" in output
    assert f"sessrec_event_{long_ago:%Y%m%d}" not in connection.introspection.table_names()


def examined(capsys):
    try:
        call_command("sessrec_doctor")
    except SystemExit as end:
        return capsys.readouterr().out, end.code
    return capsys.readouterr().out, 0


class KnowsAll(Catalogue):
    """A catalogue of whatever was clicked."""

    def resolve(self, item_ids, request=None):
        return {item_id: item_id for item_id in item_ids}

    def url(self, item):
        return f"/{item}/"


def test_the_doctor_finds_nothing_in_a_healthy_shop(visits, run, capsys, sessrec, broker_url, monkeypatch):
    sessrec["CATALOGUE"] = f"{__name__}.KnowsAll"
    monkeypatch.setattr(current_app.conf, "broker_url", broker_url)
    partitions.ensure_ahead()
    run("sessrec_train")
    for name in ("beat", "worker", "train"):
        Heartbeat.objects.create(name=name)
    output, code = examined(capsys)
    assert "fail" not in output
    assert code == 0
    for line in (
        "PostgreSQL 1",
        "answers",
        "train was seen",
        f"{TrainingRun.objects.last()} serves",
        "The newest was captured",
    ):
        assert line in output


def test_the_doctor_names_what_is_ill_and_what_to_do(visits, run, capsys, sessrec, monkeypatch):
    monkeypatch.setattr(current_app.conf, "broker_url", "redis://127.0.0.1:9/0")
    run("sessrec_train", "popularity")
    trained = TrainingRun.objects.get()
    trained.folder.joinpath("manifest.json").write_text("{")
    Heartbeat.objects.create(name="beat")
    Heartbeat.objects.update(seen_at=timezone.now() - timedelta(hours=3))
    sessrec["CONSENT"] = None
    output, code = examined(capsys)
    assert code == 1
    for line in (
        "127.0.0.1:9/0 does not answer",
        f"fail model      {trained} serves but does not open",
        "warn model      No run of neighbours serves yet",
        "-> Run sessrec_train neighbours",
        "warn process    beat was last seen 3 hours ago",
        "warn process    worker was never seen",
        "-> Start celery --app PROJECT worker --hostname shop@%h\n",
        "-> Start celery --app PROJECT worker --hostname train@%h --queues train",
        "fail catalogue  0 of 20 ids of view_item exist in your catalogue",
        "warn consent    No CONSENT: nothing is captured",
    ):
        assert line in output, line


def test_the_doctor_survives_a_catalogue_of_faults(capsys, sessrec):
    sessrec.update(CATALOGUE="nowhere.Catalogue", CONSENT="nowhere.consent", TYPO=1)
    output, code = examined(capsys)
    assert code == 1
    assert "fail consent    ModuleNotFoundError: No module named 'nowhere'" in output
    assert "TYPO" in output


@pytest.mark.parametrize(
    ("table", "command"),
    [
        ("sessrec_event", ["sessrec_compliance_report", "--out", "compliance"]),
        ("sessrec_withdrawal", ["sessrec_erase", str(uuid7())]),
        ("sessrec_promotion", ["sessrec_evaluate"]),
        ("sessrec_event", ["sessrec_import", "clicks.csv", "--time", "at"]),
        ("sessrec_event", ["sessrec_prune"]),
        ("sessrec_failedevent", ["sessrec_replay"]),
        ("sessrec_event", ["sessrec_rollup"]),
        ("sessrec_trainingrun", ["sessrec_train"]),
    ],
)
def test_a_command_asks_for_migrate_where_a_table_of_the_app_is_missing(run, here, table, command):
    (here / "clicks.csv").write_text(f"session_id,item_id,at\n1,1,{timezone.now().isoformat()}\n")
    with renamed("TABLE", table), pytest.raises(CommandError) as failure:
        run(*command)
    assert str(failure.value) == "The app's tables are missing or out of date: run manage.py migrate."


def test_a_command_asks_for_migrate_where_a_column_of_the_app_is_missing(run):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE sessrec_trainingrun RENAME COLUMN heartbeat_at TO later")
        try:
            with pytest.raises(CommandError, match=r"run manage\.py migrate"):
                run("sessrec_train")
        finally:
            cursor.execute("ALTER TABLE sessrec_trainingrun RENAME COLUMN later TO heartbeat_at")


def test_a_table_of_the_shop_that_is_missing_is_no_forgotten_migrate(run, here):
    (here / "clicks.csv").write_text(f"session_id,item_id,at\n1,1,{timezone.now().isoformat()}\n")
    with renamed("TABLE", "demo_product"), pytest.raises(ProgrammingError, match="demo_product"):
        run("sessrec_import", "clicks.csv", "--time", "at", "--check")


class Terminal(StringIO):
    def isatty(self):
        return True


def test_progress_is_a_bar_on_a_terminal_and_lines_in_a_log():
    terminal, log = Terminal(), StringIO()
    for stream in (terminal, log):
        progress = Progress(OutputWrapper(stream), "gru4rec")
        progress("fit", 0.5, {"loss": 5.125, "rows": 1_200})
        progress("publish", 0.0, {})
        progress.end()
    assert log.getvalue() == "gru4rec: fit\ngru4rec: publish\n"
    assert "gru4rec: fit       ████████████░░░░░░░░░░░░  50%" in terminal.getvalue()
    assert "loss 5.12  rows 1,200" in terminal.getvalue()
    assert terminal.getvalue().endswith("\n")
