from django.db import migrations, models

from django_sessrec.database import OwnDatabaseMigration
from django_sessrec.measuring.views import drop_views


class Migration(OwnDatabaseMigration):

    dependencies = [
        ('sessrec', '0008_session_events'),
    ]

    operations = [
        migrations.CreateModel(
            name='DailyPages',
            fields=[
                ('day', models.DateField(primary_key=True, serialize=False)),
                ('with_consent', models.BigIntegerField(default=0)),
                ('without_consent', models.BigIntegerField(default=0)),
                ('staff', models.BigIntegerField(default=0)),
                ('bots', models.BigIntegerField(default=0)),
            ],
            options={
                'verbose_name': 'pages of a day',
                'verbose_name_plural': 'pages by day',
            },
        ),
        migrations.AddField(
            model_name='dailyrevenue',
            name='without_session',
            field=models.DecimalField(decimal_places=2, default=0, max_digits=20),
        ),
        migrations.RunPython(
            migrations.RunPython.noop, lambda apps, schema_editor: drop_views(schema_editor.connection)
        ),
    ]
