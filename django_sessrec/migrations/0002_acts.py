from django.db import migrations, models

from django_sessrec.database import OwnDatabaseMigration


class Migration(OwnDatabaseMigration):

    dependencies = [
        ('sessrec', '0001_initial'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='report',
            options={'permissions': [('export_figures', 'Can export figures'), ('train_models', 'Can start training runs'), ('promote_models', 'Can promote models and roll back'), ('run_experiments', 'Can run experiments'), ('edit_rules', 'Can change the rules of lists'), ('inspect_sessions', 'Can inspect sessions'), ('quarantine_sessions', 'Can quarantine sessions and release them'), ('replay_events', 'Can retry failed events')], 'verbose_name': 'report', 'verbose_name_plural': 'report'},
        ),
        migrations.AddField(
            model_name='auditentry',
            name='reason',
            field=models.TextField(blank=True, verbose_name='reason'),
        ),
        migrations.AlterField(
            model_name='auditentry',
            name='action',
            field=models.TextField(choices=[('export', 'figures exported'), ('evidence', 'compliance report written'), ('train', 'training run started'), ('promote', 'model promoted'), ('roll_back', 'model rolled back'), ('experiment', 'experiment changed'), ('rules', 'rules changed'), ('inspect', 'session inspected'), ('quarantine', 'sessions quarantined'), ('release', 'sessions released from quarantine'), ('replay', 'failed events retried')], verbose_name='action'),
        ),
    ]
