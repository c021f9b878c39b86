import django_sessrec.fields
from django.db import migrations, models

from django_sessrec.database import OwnDatabaseMigration


class Migration(OwnDatabaseMigration):

    dependencies = [
        ('sessrec', '0003_placement_rules'),
    ]

    operations = [
        migrations.CreateModel(
            name='Attribution',
            fields=[
                ('reference', models.TextField(primary_key=True, serialize=False)),
                ('ordered_on', models.DateField(db_index=True)),
                ('buyer', models.BigIntegerField()),
                ('in_session', models.BooleanField(default=True)),
                ('item_id', models.TextField(blank=True)),
                ('quantity', models.IntegerField(default=1)),
                ('price', models.DecimalField(blank=True, decimal_places=2, max_digits=12, null=True)),
                ('currency', models.TextField(blank=True)),
                ('amount', models.DecimalField(decimal_places=2, max_digits=20)),
                ('refunded', models.DecimalField(decimal_places=2, default=0, max_digits=20)),
                ('credit', models.TextField(choices=[('direct', 'after a click'), ('assisted', 'after a list'), ('none', 'without a list')], default='none')),
                ('shown_on', models.DateField(blank=True, null=True)),
                ('placement', models.TextField(blank=True)),
                ('model', models.TextField(blank=True)),
                ('run_id', models.BigIntegerField(default=0)),
                ('step', models.TextField(blank=True)),
                ('experiment', models.TextField(blank=True)),
                ('variant', models.TextField(blank=True)),
            ],
            options={
                'verbose_name': 'order line',
                'verbose_name_plural': 'order lines',
            },
        ),
        migrations.CreateModel(
            name='DailyItem',
            fields=[
                ('pk', models.CompositePrimaryKey('day', 'item_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('day', models.DateField()),
                ('item_id', models.TextField()),
                ('shown', models.IntegerField()),
                ('seen', models.IntegerField()),
                ('clicked', models.IntegerField()),
                ('bought', models.IntegerField()),
                ('sold', models.IntegerField()),
            ],
            options={
                'verbose_name': 'figures of an item',
                'verbose_name_plural': 'figures by item',
            },
        ),
        migrations.CreateModel(
            name='DailyLists',
            fields=[
                ('day', models.DateField()),
                ('grouped_by', models.TextField()),
                ('placement', models.TextField(blank=True)),
                ('model', models.TextField(blank=True)),
                ('run_id', models.BigIntegerField(default=0)),
                ('step', models.TextField(blank=True)),
                ('experiment', models.TextField(blank=True)),
                ('variant', models.TextField(blank=True)),
                ('pk', models.CompositePrimaryKey('day', 'grouped_by', 'placement', 'model', 'run_id', 'step', 'experiment', 'variant', blank=True, editable=False, primary_key=True, serialize=False)),
                ('sessions', models.IntegerField()),
                ('impressions', models.IntegerField()),
                ('items_shown', models.IntegerField()),
                ('seen_impressions', models.IntegerField()),
                ('clicked_impressions', models.IntegerField()),
                ('seen_and_clicked', models.IntegerField()),
                ('clicks', models.IntegerField()),
                ('carts', models.IntegerField()),
                ('purchases', models.IntegerField()),
                ('squares', django_sessrec.fields.FloatArrayField()),
            ],
            options={
                'verbose_name': 'figures of a day',
                'verbose_name_plural': 'figures by day',
            },
        ),
        migrations.CreateModel(
            name='DailyRevenue',
            fields=[
                ('day', models.DateField()),
                ('grouped_by', models.TextField()),
                ('placement', models.TextField(blank=True)),
                ('model', models.TextField(blank=True)),
                ('run_id', models.BigIntegerField(default=0)),
                ('step', models.TextField(blank=True)),
                ('experiment', models.TextField(blank=True)),
                ('variant', models.TextField(blank=True)),
                ('pk', models.CompositePrimaryKey('day', 'grouped_by', 'placement', 'model', 'run_id', 'step', 'experiment', 'variant', 'currency', blank=True, editable=False, primary_key=True, serialize=False)),
                ('currency', models.TextField(blank=True)),
                ('direct_orders', models.IntegerField()),
                ('assisted_orders', models.IntegerField()),
                ('orders', models.IntegerField()),
                ('direct', models.DecimalField(decimal_places=2, max_digits=20)),
                ('assisted', models.DecimalField(decimal_places=2, max_digits=20)),
                ('total', models.DecimalField(decimal_places=2, max_digits=20)),
                ('direct_refunded', models.DecimalField(decimal_places=2, max_digits=20)),
                ('assisted_refunded', models.DecimalField(decimal_places=2, max_digits=20)),
                ('total_refunded', models.DecimalField(decimal_places=2, max_digits=20)),
                ('direct_squares', models.FloatField()),
                ('direct_by_total', models.FloatField()),
                ('total_squares', models.FloatField()),
            ],
            options={
                'verbose_name': 'sales of a day',
                'verbose_name_plural': 'sales by day',
            },
        ),
        migrations.CreateModel(
            name='DailyShop',
            fields=[
                ('day', models.DateField(primary_key=True, serialize=False)),
                ('sessions', models.IntegerField()),
                ('bots', models.IntegerField()),
                ('quarantined', models.IntegerField()),
                ('with_list', models.IntegerField()),
                ('with_basket', models.IntegerField()),
                ('with_order', models.IntegerField()),
            ],
            options={
                'verbose_name': 'sessions of a day',
                'verbose_name_plural': 'sessions by day',
            },
        ),
        migrations.CreateModel(
            name='Refund',
            fields=[
                ('event_id', models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ('reference', models.TextField(db_index=True)),
                ('refunded_on', models.DateField(db_index=True)),
                ('in_session', models.BooleanField(default=True)),
                ('quantity', models.IntegerField(default=1)),
                ('price', models.DecimalField(blank=True, decimal_places=2, max_digits=12, null=True)),
                ('currency', models.TextField(blank=True)),
            ],
            options={
                'verbose_name': 'refund',
                'verbose_name_plural': 'refunds',
            },
        ),
        migrations.CreateModel(
            name='RolledUpDay',
            fields=[
                ('day', models.DateField(primary_key=True, serialize=False)),
                ('rolled_up_at', models.DateTimeField()),
                ('state', models.TextField()),
            ],
            options={
                'verbose_name': 'rolled-up day',
                'verbose_name_plural': 'rolled-up days',
            },
        ),
    ]
