from django.db import migrations, models

from django_sessrec.database import OwnDatabaseMigration


class Migration(OwnDatabaseMigration):

    dependencies = [
        ('sessrec', '0004_figures'),
    ]

    operations = [
        migrations.CreateModel(
            name='Inspector',
            fields=[
            ],
            options={
                'verbose_name': 'inspector',
                'verbose_name_plural': 'inspector',
                'proxy': True,
                'default_permissions': ('view',),
                'indexes': [],
                'constraints': [],
            },
            bases=('sessrec.impression',),
        ),
        migrations.AlterField(
            model_name='quarantine',
            name='reason',
            field=models.TextField(choices=[('flood', 'more clicks in a minute than a person makes'), ('no_script', "a burst of clicks without a message from the browser's script"), ('even_pace', 'evenly spaced clicks'), ('crawl', 'a crawl of the catalogue'), ('repeat', 'the same product over and over'), ('endless', 'a session without an end'), ('staff', 'taken out by staff')], verbose_name='reason'),
        ),
    ]
