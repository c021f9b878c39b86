"""What a page's HTML says about itself: enough to hold it to the rules every page keeps."""

from html.parser import HTMLParser

FIELDS = {"input", "select", "textarea"}


class Markup(HTMLParser):
    """Reads a page; its lists name what they found."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.inline: list[str] = []  # scripts, styles and handlers that the policy would block
        self.unlabelled: list[str] = []
        self.without_alt: list[str] = []
        self.links: list[str] = []
        self.pictures: list[str] = []
        self.headings = 0
        self.labelled: set[str] = set()
        self._fields: list[str] = []
        self.feed(html)
        self.unlabelled = [field for field in self._fields if field not in self.labelled]

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "style" or (tag == "script" and "src" not in given):
            self.inline.append(tag)
        self.inline += [name for name in given if name == "style" or name.startswith("on")]
        if tag == "img":
            self.pictures.append(given["src"])
            if "alt" not in given:
                self.without_alt.append(given["src"])
        if tag == "a":
            self.links.append(given["href"])
        if tag == "label":
            self.labelled.add(given.get("for", ""))
        if tag in FIELDS and given.get("type") != "hidden":
            self._fields.append(given.get("id", "without id"))
        self.headings += tag == "h1"
