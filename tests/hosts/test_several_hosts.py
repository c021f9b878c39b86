"""Two web hosts, a training host, and consumers on others: processes that share no folder."""

import json
import os
import signal
from contextlib import ExitStack

import pytest

from django_sessrec.host_models import HostedModel
from django_sessrec.models import Event, Impression, TrainingRun
from example_shop.shop.browser import Browser
from example_shop.shop.traffic import BROWSER
from example_shop.stack.running import free_port
from tests.demo.models import Product
from tests.support.processes import process, wait_for
from tests.support.storages import names as in_the_bucket
from tests.support.storages import s3_storage, share_models_through
from tests.support.visits import store_visits, synthetic_visits

pytestmark = pytest.mark.django_db(transaction=True)
WSGI = "django.core.wsgi:get_wsgi_application()"


class Host:
    """A machine: a folder, and the processes that run on it."""

    def __init__(self, name, folder, environment, stack):
        self.name, self.folder, self.stack = name, folder / name, stack
        self.folder.mkdir()
        self.environment = environment | {
            "DJANGO_SETTINGS_MODULE": "tests.hosts.settings",
            "HOST_FOLDER": str(self.folder / "models"),
        }

    def start(self, *command):
        folder = self.folder / f"{command[1]}-{len(list(self.folder.iterdir()))}".replace("/", "-")
        folder.mkdir()
        return self.stack.enter_context(process(*command, cwd=folder, **self.environment))

    def manage(self, *command):
        return self.start("-m", "django", *command)

    def serve(self):
        """Start a web server; returns its address."""
        port = free_port()
        child = self.start("-m", "gunicorn", "--workers", "1", "--bind", f"127.0.0.1:{port}", WSGI)
        address = f"http://127.0.0.1:{port}"
        wait_for(lambda: self._answers(address), child)
        return address

    @staticmethod
    def _answers(address):
        try:
            with Browser(address, BROWSER) as browser:
                return browser.get("/sessrec/health/live").status == 200
        except OSError:
            return False

    def models(self):
        folder = self.folder / "models"
        return {path.name for path in folder.iterdir() if path.is_dir()} if folder.exists() else set()


@pytest.fixture
def host(tmp_path, s3_url, valkey, settings):
    """host("web1"): a new machine. The test itself sees the bucket, and none of their folders."""
    share_models_through(settings, s3_storage(s3_url, tmp_path.name))
    environment = {"S3_URL": s3_url, "S3_LOCATION": tmp_path.name, "STREAM_URL": valkey.stream_url}
    with ExitStack() as stack:
        yield lambda name: Host(name, tmp_path, environment, stack)


def click_through(address, products):
    """A visitor's session on one web host."""
    with Browser(address, BROWSER) as browser:
        browser.cookies["consent"] = "yes"
        assert [browser.get(product.get_absolute_url()).status for product in products] == [200] * len(
            products
        )


def list_on(address, product):
    """The step that fills a list on that host, and its items."""
    with Browser(address, BROWSER) as browser:
        browser.cookies["consent"] = "yes"
        query = f"?placement=product_page&item_id={product.pk}"
        answer = json.loads(browser.get(f"/sessrec/recommendations/{query}").html)
    return answer["step"], [item["item_id"] for item in answer["items"]]


def test_what_one_host_trains_from_the_clicks_on_two_others_serves_on_both(host):
    products = Product.objects.bulk_create(Product(name=f"tea {n}", category="tea") for n in range(8))
    store_visits(
        (session_id, at, [str(products[int(item.split("-")[1]) % 8].pk) for item in items])
        for session_id, at, items in synthetic_visits(items=8, groups=2, sessions=300)
    )
    webs = [host("web1"), host("web2")]
    addresses = [web.serve() for web in webs]
    consumers = [host(name).manage("sessrec_consume") for name in ("consumer1", "consumer2")]
    fetchers = [web.manage("sessrec_fetch", "--every", "0.2", "--host", web.name) for web in webs]

    before = Event.objects.count()
    for address in addresses:
        click_through(address, products)
    wait_for(lambda: Event.objects.count() == before + 2 * len(products), consumers[0])
    assert {list_on(address, products[0])[0] for address in addresses} != {"model"}

    training = host("training")
    child = training.manage("sessrec_train", "neighbours")
    assert child.wait(300) == 0
    run = TrainingRun.objects.get()
    assert run.state == TrainingRun.State.PUBLISHED, run.verdict
    assert training.models() == {run.artifact, f"{run.artifact}-hold-out"}
    assert {name.split("/")[0] for name in in_the_bucket()} == training.models()

    for web, fetcher in zip(webs, fetchers, strict=True):
        wait_for(lambda web=web: web.models() == {run.artifact}, fetcher)
    wait_for(lambda: HostedModel.objects.filter(run=run).count() == 2, fetchers[0])
    for address in addresses:
        wait_for(lambda address=address: list_on(address, products[0])[0] == "model")
    first, second = (list_on(address, products[0]) for address in addresses)
    assert first == second
    wait_for(lambda: Impression.objects.filter(run=run).exists(), consumers[1])

    # One host's fetcher is killed in the middle of the night: it goes on serving, the other moves on.
    os.kill(fetchers[1].pid, signal.SIGKILL)
    assert training.manage("sessrec_train", "neighbours").wait(300) == 0
    newer = TrainingRun.objects.first()
    wait_for(lambda: newer.artifact in webs[0].models(), fetchers[0])
    assert webs[1].models() == {run.artifact}
    assert list_on(addresses[1], products[0])[0] == "model"

    # A third host is prepared before it takes visitors.
    third = host("web3")
    assert third.manage("sessrec_fetch", "--once", "--host", "web3").wait(300) == 0
    assert list_on(third.serve(), products[0])[0] == "model"
    assert set(HostedModel.objects.values_list("host", "run")) == {
        ("web1", newer.pk),
        ("web2", run.pk),
        ("web3", newer.pk),
    }
