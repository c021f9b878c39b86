import django.db.models.deletion
from django.db import migrations, models

from django_sessrec.database import OwnDatabaseMigration


class Migration(OwnDatabaseMigration):

    dependencies = [
        ('sessrec', '0009_pages_and_orders'),
    ]

    operations = [
        migrations.AddField(
            model_name='trainingrun',
            name='sha256',
            field=models.TextField(blank=True, default='', verbose_name='sha256 of the artifact'),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='trainingrun',
            name='hold_out_sha256',
            field=models.TextField(blank=True, default='', verbose_name='sha256 of the hold-out artifact'),
            preserve_default=False,
        ),
        migrations.CreateModel(
            name='HostedModel',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('host', models.TextField(verbose_name='host')),
                ('model', models.TextField(verbose_name='model')),
                ('problem', models.TextField(blank=True, verbose_name='problem')),
                ('size', models.BigIntegerField(default=0, verbose_name='size')),
                ('changed_at', models.DateTimeField(verbose_name='since')),
                ('seen_at', models.DateTimeField(verbose_name='seen at')),
                ('run', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='sessrec.trainingrun', verbose_name='training run')),
            ],
            options={
                'verbose_name': 'model of a host',
                'verbose_name_plural': 'models of hosts',
                'ordering': ['host', 'model'],
                'constraints': [models.UniqueConstraint(fields=('host', 'model'), name='sessrec_model_of_host')],
            },
        ),
    ]
