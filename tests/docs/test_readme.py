"""README's lines, as printed, make a fresh project recommend."""

from tests.docs.project import NAMED, PRODUCTS, VISIT, printed_commands, read


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


# As the reader's visitors before `migrate`: two pages, and a process that ends.
UNMIGRATED = """
from django.test import Client

client = Client(headers={"user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"})
client.cookies["consent"] = "yes"
for number in (1, 3):
    assert client.get(f"/product/{number}/").status_code == 200
"""


def test_a_forgotten_migrate_is_one_line_that_names_it(project):
    project.add_printed(NAMED.findall(read("README.md")))
    project.manage("makemigrations", "shop")
    project.manage("migrate", "shop")
    project.shell(PRODUCTS)
    told = project.shell(UNMIGRATED)
    assert told.count("run manage.py migrate") == 1, told
    assert "4 rows are lost with this process: neither database nor broker took them" in told
    assert "Traceback" not in told
    assert len(told.splitlines()) <= 4, told


def test_the_readme_prints_what_its_reader_has_to_write():
    files = dict(NAMED.findall(read("README.md")))
    assert list(files) == [
        "project/settings.py",
        "shop/recommendations.py",
        "project/urls.py",
        "templates/product.html",
    ]
