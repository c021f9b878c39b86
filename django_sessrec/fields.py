"""Postgres's text[] as a field, without django.contrib.postgres in INSTALLED_APPS."""

from __future__ import annotations

import json
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.sql.compiler import SQLCompiler


class TextArrayField(models.Field):  # type: ignore[type-arg]  # subscripted in stubs only
    """A list of texts: Postgres's text[].

    From Django 6.0 on, `django.contrib.postgres`'s field fails a check where that app is not installed.
    """

    empty_strings_allowed = False

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "text[]"

    def to_python(self, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) else value

    def value_to_string(self, obj: models.Model) -> str:
        return json.dumps(self.value_from_object(obj), ensure_ascii=False)


class FloatArrayField(TextArrayField):
    """A list of numbers: Postgres's float8[]."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "float8[]"


@TextArrayField.register_lookup
class Overlaps(models.Lookup):
    """`column__overlap=["a", "b"]`: rows whose list has one of these."""

    lookup_name = "overlap"

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:
        column, column_values = self.process_lhs(compiler, connection)
        texts, text_values = self.process_rhs(compiler, connection)
        return f"{column} && {texts}::text[]", (*column_values, *text_values)
