"""The app's entry in INSTALLED_APPS."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SessrecConfig(AppConfig):
    name = "django_sessrec"
    label = "sessrec"
    verbose_name = _("Recommendations")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django_sessrec import checks  # noqa: F401
