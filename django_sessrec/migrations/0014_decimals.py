from django.db import migrations, models

from django_sessrec.database import OwnDatabaseMigration
from django_sessrec.measuring.views import drop_views

SUMS = (
    *('direct', 'assisted', 'total', 'direct_refunded', 'assisted_refunded', 'total_refunded'),
    'without_session',
)
# Without a scale each amount keeps the decimals that it came with, two or three, and no row is written anew.
EXACT = f"""
ALTER TABLE sessrec_event ALTER COLUMN price TYPE numeric;
ALTER TABLE sessrec_attribution
    ALTER COLUMN price TYPE numeric, ALTER COLUMN amount TYPE numeric, ALTER COLUMN refunded TYPE numeric;
ALTER TABLE sessrec_refund ALTER COLUMN price TYPE numeric;
ALTER TABLE sessrec_dailyrevenue {', '.join(f'ALTER COLUMN {name} TYPE numeric' for name in SUMS)};
"""
ROUNDED = f"""
ALTER TABLE sessrec_event ALTER COLUMN price TYPE numeric(12, 2);
ALTER TABLE sessrec_attribution
    ALTER COLUMN price TYPE numeric(12, 2), ALTER COLUMN amount TYPE numeric(20, 2),
    ALTER COLUMN refunded TYPE numeric(20, 2);
ALTER TABLE sessrec_refund ALTER COLUMN price TYPE numeric(12, 2);
ALTER TABLE sessrec_dailyrevenue {', '.join(f'ALTER COLUMN {name} TYPE numeric(20, 2)' for name in SUMS)};
"""


def without_views(apps, schema_editor):
    """Postgres changes no column that a view reads; apps.make_views makes them again after migrations."""
    drop_views(schema_editor.connection)


def price(**words):
    return models.DecimalField(blank=True, decimal_places=3, max_digits=13, null=True, **words)


def amount(**default):
    return models.DecimalField(decimal_places=3, max_digits=21, **default)


class Migration(OwnDatabaseMigration):

    dependencies = [
        ('sessrec', '0013_store_list'),
    ]

    operations = [
        migrations.RunPython(without_views, migrations.RunPython.noop),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(EXACT, ROUNDED)],
            state_operations=[
                migrations.AlterField('event', 'price', price(verbose_name='price')),
                migrations.AlterField('refund', 'price', price()),
                migrations.AlterField('attribution', 'price', price()),
                migrations.AlterField('attribution', 'amount', amount()),
                migrations.AlterField('attribution', 'refunded', amount(default=0)),
                *(
                    migrations.AlterField(
                        'dailyrevenue', name, amount(**({'default': 0} if name == 'without_session' else {}))
                    )
                    for name in SUMS
                ),
            ],
        ),
        migrations.RunPython(migrations.RunPython.noop, without_views),
    ]
