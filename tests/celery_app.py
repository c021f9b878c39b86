"""The Celery application of the test project: `celery --app tests.celery_app worker`."""

import os

from celery import Celery

from django_sessrec.tasks import schedule

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
app = Celery("tests")
app.conf.update(
    broker_url=os.environ.get("BROKER_URL"),
    beat_schedule=schedule(),
    task_ignore_result=True,
    worker_hijack_root_logger=False,
)
app.autodiscover_tasks()
