from django.db import migrations, models

from django_sessrec.database import OwnDatabaseMigration

# Versions before left the plan of one that was counted anew: it would begin with sessions of before.
PLAN_ANEW = "UPDATE sessrec_experiment SET tuned_for = NULL WHERE declared AND state = 'waiting'"


class Migration(OwnDatabaseMigration):

    dependencies = [
        ('sessrec', '0015_store_counts'),
    ]

    operations = [
        migrations.AddField(
            model_name='experiment',
            name='settled',
            field=models.JSONField(blank=True, null=True, verbose_name='what everybody gets'),
        ),
        migrations.RunSQL(PLAN_ANEW, migrations.RunSQL.noop),
    ]
