"""A database that DATABASE_URL names is shown, and used only if it is empty or the example shop's own."""

import psycopg
import pytest
from django.apps import apps

from example_shop import settings as shop_settings
from example_shop.stack.named_database import OURS, examine


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url) as connection:
        for statement in statements:
            connection.execute(statement)


def test_an_empty_one_is_named_without_its_password(postgres):
    url = postgres.url.replace("sessrec@", "sessrec:geheim@")
    assert examine(url) == f"'sessrec' on {postgres.folder}, as 'sessrec'"


def test_one_with_the_tables_of_others_is_refused(postgres):
    execute(postgres.url, "CREATE TABLE blog_post ()", "CREATE TABLE auth_user ()")
    with pytest.raises(RuntimeError, match=r"'sessrec' on .*\(blog_post\): name an empty database"):
        examine(postgres.url)


def test_one_with_somebodys_users_is_refused(postgres):
    execute(postgres.url, "CREATE TABLE auth_user (id int)")
    examine(postgres.url)  # a migration that was interrupted
    execute(postgres.url, "INSERT INTO auth_user VALUES (1)")
    with pytest.raises(RuntimeError, match=r"\(auth_user\)"):
        examine(postgres.url)


def test_the_shops_own_is_used_again(postgres):
    tables = ("auth_user", "django_migrations", "shop_product", "sessrec_event", "sessrec_event_20261128")
    execute(postgres.url, *(f"CREATE TABLE {name} (id int)" for name in tables))
    execute(postgres.url, "INSERT INTO auth_user VALUES (1)")
    examine(postgres.url)


def test_each_table_of_the_shops_apps_is_its_own():
    installed = [app for app in apps.get_app_configs() if app.name in shop_settings.INSTALLED_APPS]
    models = [model for app in installed for model in app.get_models(include_auto_created=True)]
    assert {"shop_product", "sessrec_event", "auth_user"} <= {model._meta.db_table for model in models}
    assert [each for each in models if each._meta.managed and not OURS.fullmatch(each._meta.db_table)] == []


def test_one_that_does_not_answer_is_told_with_the_remedy(tmp_path):
    with pytest.raises(RuntimeError, match=r"can't be used: (.|\n)*`unset DATABASE_URL`"):
        examine(f"postgresql://ann:geheim@/shop?host={tmp_path}")


@pytest.mark.parametrize(
    "url", ["mysql://ann:geheim@db/shop", "password=geheim", "postgresql://ann:geheim@[db/shop"]
)
def test_what_is_no_url_is_told_without_its_password(url):
    with pytest.raises(RuntimeError, match="must be like postgresql://") as refused:
        examine(url)
    assert "geheim" not in str(refused.value)
