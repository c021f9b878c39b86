"""Catalogues of other shops: fussy, plain and broken ones."""

from django.db import connection

from django_sessrec.catalogue import Catalogue
from tests.demo.recommendations import DemoCatalogue


class ByCountry(DemoCatalogue):
    """Sells nothing to Germany."""

    def resolve(self, item_ids, request=None):
        abroad = request is not None and request.headers.get("accept-language") == "de"
        return {} if abroad else super().resolve(item_ids, request)


class NothingSensitive(DemoCatalogue):
    sensitive = Catalogue.sensitive


class Raising(DemoCatalogue):
    def resolve(self, item_ids, request=None):
        raise RuntimeError("the shop's own mistake")


class Silent(DemoCatalogue):
    """Its table is away: every question raises, inside a transaction as well."""

    def queryset(self):
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM no_such_table")


class BrokenSQL(DemoCatalogue):
    def resolve(self, item_ids, request=None):
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM no_such_table")


class RaisingRelated(DemoCatalogue):
    def related(self, item_id, limit):
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM no_such_table")
