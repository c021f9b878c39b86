import django_sessrec.fields
from django.db import migrations, models

from django_sessrec.database import OwnDatabaseMigration


class Migration(OwnDatabaseMigration):

    dependencies = [
        ('sessrec', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Attribution',
            fields=[
                ('reference', models.TextField(primary_key=True, serialize=False, verbose_name='order line')),
                ('ordered_on', models.DateField(db_index=True, verbose_name='ordered on')),
                ('buyer', models.BigIntegerField(verbose_name='buyer')),
                ('in_session', models.BooleanField(default=True, verbose_name='of a session')),
                ('item_id', models.TextField(blank=True, verbose_name='item')),
                ('quantity', models.IntegerField(default=1, verbose_name='quantity')),
                ('price', models.DecimalField(blank=True, decimal_places=2, max_digits=12, null=True, verbose_name='price')),
                ('currency', models.TextField(blank=True, verbose_name='currency')),
                ('amount', models.DecimalField(decimal_places=2, max_digits=20, verbose_name='amount')),
                ('refunded', models.DecimalField(decimal_places=2, default=0, max_digits=20, verbose_name='refunded')),
                ('credit', models.TextField(choices=[('direct', 'after a click'), ('assisted', 'after a list'), ('none', 'without a list')], default='none', verbose_name='credit')),
                ('shown_on', models.DateField(blank=True, null=True, verbose_name='shown on')),
                ('placement', models.TextField(blank=True, verbose_name='placement')),
                ('model', models.TextField(blank=True, verbose_name='model')),
                ('run_id', models.BigIntegerField(default=0, verbose_name='training run')),
                ('step', models.TextField(blank=True, verbose_name='step')),
                ('experiment', models.TextField(blank=True, verbose_name='experiment')),
                ('variant', models.TextField(blank=True, verbose_name='variant')),
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
                ('day', models.DateField(verbose_name='day')),
                ('item_id', models.TextField(verbose_name='item')),
                ('shown', models.IntegerField(verbose_name='shown')),
                ('seen', models.IntegerField(verbose_name='seen')),
                ('clicked', models.IntegerField(verbose_name='clicked')),
                ('bought', models.IntegerField(verbose_name='bought after a click')),
                ('sold', models.IntegerField(verbose_name='sold')),
            ],
            options={
                'verbose_name': 'figures of an item',
                'verbose_name_plural': 'figures by item',
            },
        ),
        migrations.CreateModel(
            name='DailyLists',
            fields=[
                ('day', models.DateField(verbose_name='day')),
                ('grouped_by', models.TextField(verbose_name='grouped by')),
                ('placement', models.TextField(blank=True, verbose_name='placement')),
                ('model', models.TextField(blank=True, verbose_name='model')),
                ('run_id', models.BigIntegerField(default=0, verbose_name='training run')),
                ('step', models.TextField(blank=True, verbose_name='step')),
                ('experiment', models.TextField(blank=True, verbose_name='experiment')),
                ('variant', models.TextField(blank=True, verbose_name='variant')),
                ('pk', models.CompositePrimaryKey('day', 'grouped_by', 'placement', 'model', 'run_id', 'step', 'experiment', 'variant', blank=True, editable=False, primary_key=True, serialize=False)),
                ('sessions', models.IntegerField(verbose_name='sessions')),
                ('impressions', models.IntegerField(verbose_name='lists')),
                ('items_shown', models.IntegerField(verbose_name='products shown')),
                ('seen_impressions', models.IntegerField(verbose_name='lists seen')),
                ('clicked_impressions', models.IntegerField(verbose_name='lists clicked')),
                ('seen_and_clicked', models.IntegerField(verbose_name='lists seen and clicked')),
                ('clicks', models.IntegerField(verbose_name='clicks')),
                ('carts', models.IntegerField(verbose_name='put into the basket')),
                ('purchases', models.IntegerField(verbose_name='purchases')),
                ('squares', django_sessrec.fields.FloatArrayField(verbose_name='squares')),
            ],
            options={
                'verbose_name': 'figures of a day',
                'verbose_name_plural': 'figures by day',
            },
        ),
        migrations.CreateModel(
            name='DailyRevenue',
            fields=[
                ('day', models.DateField(verbose_name='day')),
                ('grouped_by', models.TextField(verbose_name='grouped by')),
                ('placement', models.TextField(blank=True, verbose_name='placement')),
                ('model', models.TextField(blank=True, verbose_name='model')),
                ('run_id', models.BigIntegerField(default=0, verbose_name='training run')),
                ('step', models.TextField(blank=True, verbose_name='step')),
                ('experiment', models.TextField(blank=True, verbose_name='experiment')),
                ('variant', models.TextField(blank=True, verbose_name='variant')),
                ('pk', models.CompositePrimaryKey('day', 'grouped_by', 'placement', 'model', 'run_id', 'step', 'experiment', 'variant', 'currency', blank=True, editable=False, primary_key=True, serialize=False)),
                ('currency', models.TextField(blank=True, verbose_name='currency')),
                ('direct_orders', models.IntegerField(verbose_name='orders after a click')),
                ('assisted_orders', models.IntegerField(verbose_name='orders after a list')),
                ('orders', models.IntegerField(verbose_name='orders')),
                ('direct', models.DecimalField(decimal_places=2, max_digits=20, verbose_name='sales after a click')),
                ('assisted', models.DecimalField(decimal_places=2, max_digits=20, verbose_name='sales after a list')),
                ('total', models.DecimalField(decimal_places=2, max_digits=20, verbose_name='sales')),
                ('direct_refunded', models.DecimalField(decimal_places=2, max_digits=20, verbose_name='refunded after a click')),
                ('assisted_refunded', models.DecimalField(decimal_places=2, max_digits=20, verbose_name='refunded after a list')),
                ('total_refunded', models.DecimalField(decimal_places=2, max_digits=20, verbose_name='refunded')),
                ('direct_squares', models.FloatField(verbose_name='squares')),
                ('direct_by_total', models.FloatField(verbose_name='products')),
                ('total_squares', models.FloatField(verbose_name='squares of all')),
            ],
            options={
                'verbose_name': 'sales of a day',
                'verbose_name_plural': 'sales by day',
            },
        ),
        migrations.CreateModel(
            name='DailyShop',
            fields=[
                ('day', models.DateField(primary_key=True, serialize=False, verbose_name='day')),
                ('sessions', models.IntegerField(verbose_name='sessions')),
                ('bots', models.IntegerField(verbose_name='bots')),
                ('quarantined', models.IntegerField(verbose_name='quarantined sessions')),
                ('with_list', models.IntegerField(verbose_name='sessions with a list')),
                ('with_basket', models.IntegerField(verbose_name='sessions with a basket')),
                ('with_order', models.IntegerField(verbose_name='sessions with an order')),
            ],
            options={
                'verbose_name': 'sessions of a day',
                'verbose_name_plural': 'sessions by day',
            },
        ),
        migrations.CreateModel(
            name='Refund',
            fields=[
                ('event_id', models.UUIDField(editable=False, primary_key=True, serialize=False, verbose_name='id')),
                ('reference', models.TextField(db_index=True, verbose_name='order line')),
                ('refunded_on', models.DateField(db_index=True, verbose_name='refunded on')),
                ('in_session', models.BooleanField(default=True, verbose_name='of a session')),
                ('quantity', models.IntegerField(default=1, verbose_name='quantity')),
                ('price', models.DecimalField(blank=True, decimal_places=2, max_digits=12, null=True, verbose_name='price')),
                ('currency', models.TextField(blank=True, verbose_name='currency')),
            ],
            options={
                'verbose_name': 'refund',
                'verbose_name_plural': 'refunds',
            },
        ),
        migrations.CreateModel(
            name='RolledUpDay',
            fields=[
                ('day', models.DateField(primary_key=True, serialize=False, verbose_name='day')),
                ('rolled_up_at', models.DateTimeField(verbose_name='rolled up at')),
                ('state', models.TextField(verbose_name='state of the rows')),
            ],
            options={
                'verbose_name': 'rolled-up day',
                'verbose_name_plural': 'rolled-up days',
            },
        ),
    ]
