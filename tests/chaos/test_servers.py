"""Web servers as shops run them: whatever the server and its databases, every click is a row."""

import os
import pwd
import shutil
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import psycopg
import pytest
from django.db import connection

from django_sessrec.models import Event
from example_shop.shop.browser import Browser
from example_shop.shop.traffic import BROWSER
from example_shop.stack.folders import own_folder, scratch_folder
from example_shop.stack.postgres import Postgres
from example_shop.stack.program import Program
from example_shop.stack.running import free_port
from tests.demo.models import Product
from tests.support.processes import process, wait_for

pytestmark = [pytest.mark.chaos, pytest.mark.django_db(transaction=True)]

ADDRESS = ("--host", "127.0.0.1", "--port", "{port}")
WSGI, ASGI = "django.core.wsgi:get_wsgi_application", "django.core.asgi:get_asgi_application"
GUNICORN = ("gunicorn", "--workers", "2", "--bind", "127.0.0.1:{port}", f"{WSGI}()")
SERVERS = {
    "gunicorn": (*GUNICORN, "--preload"),
    "gunicorn, threads": (*GUNICORN, "--worker-class", "gthread", "--threads", "4"),
    "granian": ("granian", "--interface", "wsgi", "--workers", "2", *ADDRESS, "--factory", WSGI),
    "granian, async": ("granian", "--interface", "asginl", *ADDRESS, "--factory", ASGI),
}
if find_spec("gevent"):
    SERVERS["gunicorn, gevent"] = (*GUNICORN, "--worker-class", "gevent")
VISITORS, PAGES = 6, 5
PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
POOLER_PORT = 6432  # a part of its socket's name


@pytest.fixture
def products():
    return Product.objects.bulk_create(Product(name=f"tea {n}") for n in range(PAGES))


@pytest.fixture
def clicks_through(products, tmp_path):
    """Start a web server, send visitors to every product, and stop it at once."""

    def answers(port):
        try:
            with Browser(f"http://127.0.0.1:{port}", BROWSER) as browser:
                return browser.get("/demo/").status == 200
        except OSError:
            return False

    def visit(port):
        with Browser(f"http://127.0.0.1:{port}", BROWSER) as browser:
            browser.cookies["consent"] = "yes"
            return [browser.get(product.get_absolute_url()).status for product in products]

    def clicks_through(server, **environment):
        port = free_port()
        command = [part.format(port=port) for part in SERVERS[server]]
        settings = {"DJANGO_SETTINGS_MODULE": "tests.chaos.server_settings", **environment}
        with process("-m", *command, cwd=tmp_path, **settings) as child:
            wait_for(lambda: answers(port), child)
            with ThreadPoolExecutor(VISITORS) as visitors:
                statuses = list(visitors.map(visit, [port] * VISITORS))
        assert statuses == [[200] * PAGES] * VISITORS

    return clicks_through


def clicks_by_visit(url=None):
    """How many products each visit saw."""
    query = "SELECT count(DISTINCT item_id) FROM sessrec_event WHERE name = 'view_item' GROUP BY session_id"
    if url is None:
        with connection.cursor() as cursor:
            cursor.execute(query)
            return [seen for (seen,) in cursor.fetchall()]
    with psycopg.connect(url) as other:
        return [seen for (seen,) in other.execute(query)]


@pytest.mark.parametrize("atomic_requests", ["0", "1"])
@pytest.mark.parametrize("server", SERVERS)
def test_every_click_is_a_row(clicks_through, server, atomic_requests):
    clicks_through(server, ATOMIC_REQUESTS=atomic_requests)
    assert clicks_by_visit() == [PAGES] * VISITORS


@pytest.fixture
def elsewhere(tmp_path):
    """A Postgres for the events, and the settings of the router that leads there."""
    events = Postgres(own_folder(scratch_folder() / "routed"), durable=False)
    events.start()
    settings = {"EVENTS_URL": events.url, "DJANGO_SETTINGS_MODULE": "tests.chaos.server_settings"}
    try:
        with process(
            "-m", "django", "migrate", "--database", "events", cwd=tmp_path, **settings
        ) as migration:
            assert migration.wait(300) == 0
        yield settings
    finally:
        events.stop()


def test_a_router_leads_the_events_to_their_own_database(clicks_through, elsewhere):
    clicks_through("gunicorn", **elsewhere)
    assert clicks_by_visit(elsewhere["EVENTS_URL"]) == [PAGES] * VISITORS
    assert not Event.objects.exists()


class PgBouncer(Program):
    """A pooler before the tests' Postgres that hands a connection on after each transaction."""

    def __init__(self, folder):
        self.folder = folder
        self.ini = folder / "pgbouncer.ini"
        super().__init__(
            "pgbouncer",
            [PGBOUNCER, self.ini],
            log=folder / "pgbouncer.log",
            answers=(folder / f".s.PGSQL.{POOLER_PORT}").exists,
        )

    def account(self):
        """It refuses to be root, and Postgres's socket is open to its owner."""
        return pwd.getpwnam("nobody") if os.geteuid() == 0 else None

    def prepare(self):
        database = connection.settings_dict
        self.ini.write_text(
            f"[databases]\n{database['NAME']} = host={database['HOST']} user={database['USER']}\n"
            f"[pgbouncer]\nunix_socket_dir = {self.folder}\nlisten_port = {POOLER_PORT}\n"
            "auth_type = any\npool_mode = transaction\ndefault_pool_size = 2\n"
        )
        if account := self.account():
            os.chown(self.folder, account.pw_uid, account.pw_gid)

    @property
    def url(self):
        database = connection.settings_dict
        return f"postgresql://{database['USER']}@:{POOLER_PORT}/{database['NAME']}?host={self.folder}"


@pytest.fixture
def pooler():
    folder = own_folder(scratch_folder() / "pooled")
    program = PgBouncer(folder)
    program.start()
    yield program
    program.stop()
    shutil.rmtree(folder)


@pytest.mark.skipif(not PGBOUNCER, reason="pgbouncer is not installed")
@pytest.mark.parametrize("atomic_requests", ["0", "1"])
def test_a_pooler_that_changes_connections_between_transactions_loses_nothing(
    clicks_through, pooler, atomic_requests
):
    clicks_through("granian", DATABASE_URL=pooler.url, ATOMIC_REQUESTS=atomic_requests)
    assert clicks_by_visit() == [PAGES] * VISITORS
