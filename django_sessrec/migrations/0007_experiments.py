import django.db.models.deletion
import django_sessrec.fields
from django.db import migrations, models

from django_sessrec.database import OwnDatabaseMigration


class Migration(OwnDatabaseMigration):

    dependencies = [
        ('sessrec', '0006_bi_views'),
    ]

    operations = [
        migrations.CreateModel(
            name='DailyArm',
            fields=[
                ('pk', models.CompositePrimaryKey('day', 'experiment', 'variant', blank=True, editable=False, primary_key=True, serialize=False)),
                ('day', models.DateField()),
                ('experiment', models.TextField()),
                ('variant', models.TextField()),
                ('sessions', models.IntegerField()),
                ('sums', django_sessrec.fields.FloatArrayField()),
                ('products', django_sessrec.fields.FloatArrayField()),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='Experiment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.TextField(unique=True, verbose_name='name')),
                ('placement', models.TextField(verbose_name='placement')),
                ('kind', models.TextField(choices=[('split', 'A/B test: each session gets one variant'), ('interleaving', 'Interleaving: each list holds products of both models'), ('pilot', 'Pilot: shadow first, then more and more sessions')], default='split', verbose_name='kind')),
                ('goal', models.TextField(choices=[('clicks', 'clicked lists per 100 lists'), ('orders', 'sessions with an order, per 100 sessions'), ('revenue', 'sales per 100 sessions')], default='orders', verbose_name='decided by')),
                ('state', models.TextField(choices=[('draft', 'draft'), ('waiting', 'waiting'), ('running', 'running'), ('stopped', 'stopped')], default='draft', verbose_name='state')),
                ('declared', models.BooleanField(default=False, verbose_name='declared in the settings')),
                ('part', models.FloatField(default=1.0, verbose_name='sessions that take part')),
                ('effect', models.FloatField(default=0.05, verbose_name='smallest difference worth finding')),
                ('stops_itself', models.BooleanField(default=True, verbose_name='stops itself when a guard rail fails')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created at')),
                ('created_by', models.TextField(blank=True, verbose_name='created by')),
                ('counted_from', models.DateTimeField(blank=True, null=True, verbose_name='counted from')),
                ('stopped_at', models.DateTimeField(blank=True, null=True, verbose_name='stopped at')),
                ('stop_reason', models.TextField(blank=True, verbose_name='why it was stopped')),
                ('kept', models.TextField(blank=True, verbose_name='variant that everybody gets since')),
                ('tuned_for', models.IntegerField(blank=True, null=True, verbose_name='planned sessions')),
                ('currency', models.TextField(blank=True, verbose_name='currency')),
                ('cap', models.DecimalField(blank=True, decimal_places=2, max_digits=12, null=True, verbose_name='largest sales of a session')),
            ],
            options={
                'verbose_name': 'experiment',
                'verbose_name_plural': 'experiments',
                'ordering': ['-pk'],
                'constraints': [models.UniqueConstraint(condition=models.Q(('declared', False), ('state__in', ('waiting', 'running'))), fields=('placement',), name='sessrec_one_experiment_a_placement')],
            },
        ),
        migrations.CreateModel(
            name='Variant',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.TextField(verbose_name='name')),
                ('place', models.SmallIntegerField(default=0, verbose_name='place')),
                ('share', models.FloatField(default=1.0, verbose_name='share')),
                ('changes', models.JSONField(blank=True, default=dict, verbose_name='changed settings')),
                ('holdout', models.BooleanField(default=False, verbose_name='no recommendations')),
                ('model', models.TextField(blank=True, verbose_name='first model')),
                ('length', models.SmallIntegerField(default=0, verbose_name='length of its lists')),
                ('experiment', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='variants', to='sessrec.experiment', verbose_name='experiment')),
            ],
            options={
                'verbose_name': 'variant',
                'verbose_name_plural': 'variants',
                'ordering': ['place', 'pk'],
                'constraints': [models.UniqueConstraint(fields=('experiment', 'name'), name='sessrec_variant_name')],
            },
        ),
    ]
