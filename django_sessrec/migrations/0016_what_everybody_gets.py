from django.db import migrations, models

from django_sessrec.database import OwnDatabaseMigration


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
    ]
