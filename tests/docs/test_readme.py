"""README's lines, as printed, make a fresh project recommend."""

from tests.docs.project import NAMED, PRODUCTS, printed_commands, read

VISIT = """
import re
from django.test import Client
from django_sessrec.models import Event

client = Client(headers={"user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"})
declined = client.get("/product/1/").content.decode()
assert len(re.findall(r'href="/product/', declined)) == 8, declined
assert "Tea 5<" not in declined, "sold out, and recommended"
assert not client.cookies and not Event.objects.exists()

client.cookies["consent"] = "yes"
client.get("/product/1/")
page = client.get("/product/3/").content.decode()
assert [event.item_id for event in Event.objects.order_by("event_id")] == ["1", "3"]
assert "sessrec=" in page, page
"""


def test_the_lines_of_the_readme_make_a_shop_recommend(project):
    text = read("README.md")
    project.add_printed(NAMED.findall(text))
    project.manage("makemigrations", "shop")
    commands = printed_commands(text, "python manage.py")
    assert commands == [["check"], ["migrate"]]
    for command in commands:
        project.manage(*command)
    project.manage("check", "--fail-level", "WARNING")
    project.shell(PRODUCTS)
    project.shell(VISIT)


def test_the_readme_prints_what_its_reader_has_to_write():
    files = dict(NAMED.findall(read("README.md")))
    assert list(files) == [
        "project/settings.py",
        "shop/recommendations.py",
        "project/urls.py",
        "templates/product.html",
    ]
