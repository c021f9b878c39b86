from django.db import migrations

from django_sessrec.database import OwnDatabaseMigration
from django_sessrec.measuring.views import drop_views, make_views


class Migration(OwnDatabaseMigration):

    dependencies = [
        ('sessrec', '0005_inspector'),
    ]

    operations = [
        migrations.RunPython(
            lambda apps, schema_editor: make_views(schema_editor.connection),
            lambda apps, schema_editor: drop_views(schema_editor.connection),
        ),
    ]
