"""The language of a page: the shop itself is written in English only."""

from django.conf import settings
from django.http import HttpRequest
from django.middleware.locale import LocaleMiddleware
from django.urls import reverse
from django.utils import translation


class AdminsLanguageMiddleware(LocaleMiddleware):
    """The browser's language in the admin, and everywhere else the one that the shop's texts are written in.

    A list's heading in German amid English texts would help nobody, and a screen reader would read all of
    the page as German.
    """

    def process_request(self, request: HttpRequest) -> None:
        if request.path.startswith(reverse("admin:index")):
            super().process_request(request)
        else:
            translation.activate(settings.LANGUAGE_CODE)
            request.LANGUAGE_CODE = translation.get_language()
