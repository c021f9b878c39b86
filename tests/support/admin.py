"""The admin's pages, and what stands on them."""

from datetime import timedelta
from html.parser import HTMLParser

from django.utils import timezone

from django_sessrec.models import TrainingRun

FIGURES = {
    "hr@20": 53.1,
    "mrr@20": 18.9,
    "ndcg@20": 26.0,
    "coverage@20": 71.0,
    "cases": 400,
    "cases_new": 320,
    "hr@20_new": 45.3,
    "mrr@20_new": 14.2,
    "by_length": {"1": {"cases": 200, "hr@20": 50.2, "mrr@20": 17.0}, "2": {"cases": 200, "hr@20": 56.0}},
    "by_intents": {
        "1": {"cases": 390, "hr@20": 53.2, "mrr@20": 18.0, "cases_new": 315, "hr@20_new": 45.4},
        "2": {"cases": 10, "hr@20": 40.0, "cases_new": 5, "hr@20_new": 20.0},
    },
}


LISTS = [
    *("trainingrun", "promotion", "event", "impression", "failedevent", "heartbeat", "quarantine"),
    "auditentry",
]


def a_run(**columns):
    now = timezone.now()
    given = {
        "model": "neighbours",
        "state": TrainingRun.State.PUBLISHED,
        "trigger": "schedule",
        "estimator": "django_sessrec.recsys.Neighbours",
        "parameters": {"k": 500, "items": 7},
        "started_at": now - timedelta(minutes=2),
        "finished_at": now,
        "counts": {"sessions": 1200, "clicks": 5000, "items": 640},
        "history": [{"progress": step / 10, "loss": 7 - step / 5} for step in range(11)],
        "figures": {"candidate": FIGURES, "incumbent": {**FIGURES, "hr@20": 52.0}, "baseline": FIGURES},
        "verdict": "HR@20 53.10 and MRR@20 18.90.",
        **columns,
    }
    return TrainingRun.objects.create(**given)


class Inline(HTMLParser):
    """Collects what a Content-Security-Policy without 'unsafe-inline' would block."""

    def __init__(self, html):
        super().__init__()
        self.found = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        names = {name for name, _value in attributes}
        script_without_source = tag == "script" and not ({"src"} <= names)
        data = ("type", "application/json") in attributes
        handler = any(name.startswith("on") for name in names)
        if (script_without_source and not data) or tag == "style" or "style" in names or handler:
            self.found.append(self.get_starttag_text())


def page(client, url, status=200):
    answer = client.get(url)
    assert answer.status_code == status
    html = answer.content.decode()
    assert Inline(html).found == []
    return html
