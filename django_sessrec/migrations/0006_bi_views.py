from django.db import migrations

from django_sessrec.database import OwnDatabaseMigration
from django_sessrec.measuring.views import drop_views


class Migration(OwnDatabaseMigration):
    """The views are made after migrations (apps.make_views); they go before the tables that they read."""

    dependencies = [
        ('sessrec', '0005_inspector'),
    ]

    operations = [
        migrations.RunPython(
            migrations.RunPython.noop, lambda apps, schema_editor: drop_views(schema_editor.connection)
        ),
    ]
