import django.db.models.deletion
from django.db import migrations, models

from django_sessrec.database import OwnDatabaseMigration


class Migration(OwnDatabaseMigration):

    dependencies = [
        ('sessrec', '0002_acts'),
    ]

    operations = [
        migrations.CreateModel(
            name='RuleSet',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('placement', models.TextField(verbose_name='placement')),
                ('changes', models.JSONField(blank=True, default=dict, verbose_name='changed settings')),
                ('changed_at', models.DateTimeField(auto_now=True, verbose_name='changed at')),
                ('changed_by', models.TextField(verbose_name='changed by')),
                ('published_at', models.DateTimeField(blank=True, null=True, verbose_name='live since')),
                ('published_by', models.TextField(blank=True, verbose_name='made live by')),
                ('reason', models.TextField(blank=True, verbose_name='reason')),
            ],
            options={
                'verbose_name': 'rule set',
                'verbose_name_plural': 'placements',
                'indexes': [models.Index(fields=['placement', '-published_at'], name='sessrec_rules_by_placement')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('published_at', None)), fields=('placement',), name='sessrec_one_draft')],
            },
        ),
        migrations.CreateModel(
            name='PlacementRule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.TextField(choices=[('hide', 'Hide products'), ('related', 'Same or other brand or category as the product on the page'), ('price', 'Price window'), ('stock', 'Stock'), ('boost', 'Move products up'), ('bury', 'Move products down'), ('beside', 'Never beside each other'), ('cap', 'At most so many of a kind'), ('pin', 'Pin a product to a place'), ('sponsored', 'Sponsored product')], verbose_name='kind')),
                ('parameters', models.JSONField(default=dict, verbose_name='parameters')),
                ('starts_at', models.DateTimeField(blank=True, null=True, verbose_name='from')),
                ('ends_at', models.DateTimeField(blank=True, null=True, verbose_name='until')),
                ('group', models.TextField(blank=True, verbose_name='customer group')),
                ('note', models.TextField(blank=True, verbose_name='note')),
                ('rule_set', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='rules', to='sessrec.ruleset', verbose_name='rule set')),
            ],
            options={
                'verbose_name': 'rule',
                'verbose_name_plural': 'rules',
                'ordering': ['pk'],
            },
        ),
    ]
