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


def test_the_readme_prints_what_its_reader_has_to_write():
    files = dict(NAMED.findall(read("README.md")))
    assert list(files) == [
        "project/settings.py",
        "shop/recommendations.py",
        "project/urls.py",
        "templates/product.html",
    ]
