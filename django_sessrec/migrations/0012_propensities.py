from importlib import import_module

import django_sessrec.fields
from django.db import migrations

from django_sessrec.database import OwnDatabaseMigration

STORE = import_module('django_sessrec.migrations.0011_lists_and_arms').STORE
COLUMNS = ', wanted, session_clicks, session_intents, duration_us'


class Migration(OwnDatabaseMigration):

    dependencies = [
        ('sessrec', '0011_lists_and_arms'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    'ALTER TABLE sessrec_impression ADD COLUMN propensities float8[]',
                    'ALTER TABLE sessrec_impression DROP COLUMN propensities',
                ),
                migrations.RunSQL(STORE.format(columns=f'{COLUMNS}, propensities'), STORE.format(columns=COLUMNS)),
            ],
            state_operations=[
                migrations.AddField(
                    model_name='impression',
                    name='propensities',
                    field=django_sessrec.fields.FloatArrayField(blank=True, null=True, verbose_name='propensities'),
                ),
            ],
        ),
    ]
