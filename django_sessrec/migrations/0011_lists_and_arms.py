import django_sessrec.fields
from django.db import migrations, models

from django_sessrec.database import OwnDatabaseMigration
from django_sessrec.measuring.views import drop_views

# As in 0001_initial, with more columns: rows of a version that does not send them keep NULL there.
STORE = """
CREATE OR REPLACE FUNCTION sessrec_store(
    impressions jsonb, events jsonb, resend boolean,
    OUT stored bigint, OUT duplicate bigint, OUT withdrawn bigint
) LANGUAGE plpgsql AS $$
DECLARE
    given bigint := jsonb_array_length(impressions) + jsonb_array_length(events);
    touched bigint;
BEGIN
    stored := 0;
    -- A subquery that gives a value is asked row by row; NOT EXISTS may become a hash join, which shuffles the
    -- rows, and then not the first of two with one id would win.
    IF impressions <> '[]' THEN
        INSERT INTO sessrec_impression (
            impression_id, shown_at, session_id, placement, model, run_id, step, experiment, variant,
            item_ids, reasons, bot{columns}
        )
        SELECT
            impression_id, shown_at, session_id, placement, model, run_id, step, experiment, variant,
            item_ids, reasons, bot{columns}
        FROM jsonb_populate_recordset(NULL::sessrec_impression, impressions) AS arriving
        WHERE (SELECT true FROM sessrec_withdrawal gone WHERE gone.session_id = arriving.session_id) IS NULL
        ON CONFLICT DO NOTHING;
        GET DIAGNOSTICS touched = ROW_COUNT;
        stored := stored + touched;
    END IF;
    IF events <> '[]' THEN
        INSERT INTO sessrec_event (
            event_id, occurred_at, session_id, name, item_id, impression_id, "position", quantity, price,
            currency, source, bot
        )
        SELECT
            event_id, occurred_at, session_id, name, item_id, impression_id, "position", quantity, price,
            currency, source, bot
        FROM jsonb_populate_recordset(NULL::sessrec_event, events) AS arriving
        WHERE (SELECT true FROM sessrec_withdrawal gone WHERE gone.session_id = arriving.session_id) IS NULL
        ON CONFLICT DO NOTHING;
        GET DIAGNOSTICS touched = ROW_COUNT;
        stored := stored + touched;
    END IF;
    withdrawn := 0;
    IF stored < given THEN
        SELECT count(*) INTO withdrawn FROM jsonb_array_elements(impressions || events) AS arriving
        JOIN sessrec_withdrawal gone ON gone.session_id = (arriving ->> 'session_id')::uuid;
    END IF;
    duplicate := given - stored - withdrawn;
    -- What is sent again because its first answer was lost was counted if it had arrived.
    IF NOT resend THEN
        PERFORM sessrec_tally(stored, duplicate, 0, 0, withdrawn, 0);
    ELSIF stored > 0 THEN
        PERFORM sessrec_tally(stored, 0, 0, 0, 0, 0);
    END IF;
END
$$;
"""

ADD_COLUMNS = """
ALTER TABLE sessrec_impression
    ADD COLUMN wanted smallint, ADD COLUMN session_clicks smallint, ADD COLUMN session_intents smallint,
    ADD COLUMN duration_us integer;
"""
DROP_COLUMNS = """
ALTER TABLE sessrec_impression
    DROP COLUMN wanted, DROP COLUMN session_clicks, DROP COLUMN session_intents, DROP COLUMN duration_us;
"""

GROUP = "day, grouped_by, placement, model, run_id, step, experiment, variant"
# The number of lists that a session was shown too short is not known of days before: none.
REKEY = f"""
ALTER TABLE sessrec_dailylists
    DROP CONSTRAINT sessrec_dailylists_pkey, ADD PRIMARY KEY ({GROUP}, session_length, intents);
ALTER TABLE sessrec_dailyrevenue
    DROP CONSTRAINT sessrec_dailyrevenue_pkey, ADD PRIMARY KEY ({GROUP}, session_length, intents, currency);
UPDATE sessrec_dailylists SET squares = squares || ARRAY[0, 0]::float8[];
"""
UNKEY = f"""
DELETE FROM sessrec_dailylists WHERE session_length <> '' OR intents <> '' OR grouped_by IN ('session_length', 'intents');
DELETE FROM sessrec_dailyrevenue WHERE session_length <> '' OR intents <> '' OR grouped_by IN ('session_length', 'intents');
UPDATE sessrec_dailylists SET squares = squares[1:cardinality(squares) - 2];
ALTER TABLE sessrec_dailylists DROP CONSTRAINT sessrec_dailylists_pkey, ADD PRIMARY KEY ({GROUP});
ALTER TABLE sessrec_dailyrevenue DROP CONSTRAINT sessrec_dailyrevenue_pkey, ADD PRIMARY KEY ({GROUP}, currency);
"""

# An arm's orders move into a table of their own. Its days are made anew, where their rows are still there, so
# that it is known which lines belong to it.
SPLIT_ARMS = """
INSERT INTO sessrec_dailyarmorders (day, experiment, variant, sums, products)
SELECT day, experiment, variant, sums[5:8], products[4:5] || products[11:13] FROM sessrec_dailyarm;
UPDATE sessrec_dailyarm SET
    sums = sums[1:4] || sums[9] || 0::float8,
    products = products[1:3] || products[6:10] || ARRAY[0, 0]::float8[];
UPDATE sessrec_rolledupday SET state = '' WHERE day IN (SELECT day FROM sessrec_dailyarm);
"""
JOIN_ARMS = """
DELETE FROM sessrec_dailyarm;
UPDATE sessrec_rolledupday SET state = '';
"""


class Migration(OwnDatabaseMigration):

    dependencies = [
        ('sessrec', '0010_hosts'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(ADD_COLUMNS, DROP_COLUMNS),
                migrations.RunSQL(
                    STORE.format(columns=', wanted, session_clicks, session_intents, duration_us'),
                    STORE.format(columns=''),
                ),
            ],
            state_operations=[
                migrations.AddField(
                    model_name='impression',
                    name='duration_us',
                    field=models.IntegerField(blank=True, null=True, verbose_name='microseconds that it took'),
                ),
                migrations.AddField(
                    model_name='impression',
                    name='session_clicks',
                    field=models.SmallIntegerField(blank=True, null=True, verbose_name='clicks before it'),
                ),
                migrations.AddField(
                    model_name='impression',
                    name='session_intents',
                    field=models.SmallIntegerField(blank=True, null=True, verbose_name='intents of the session'),
                ),
                migrations.AddField(
                    model_name='impression',
                    name='wanted',
                    field=models.SmallIntegerField(blank=True, null=True, verbose_name='items wanted'),
                ),
            ],
        ),
        migrations.CreateModel(
            name='ArmLine',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField(db_index=True)),
                ('experiment', models.TextField()),
                ('variant', models.TextField()),
                ('buyer', models.BigIntegerField()),
                ('reference', models.TextField(db_index=True)),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='DailyArmOrders',
            fields=[
                ('pk', models.CompositePrimaryKey('day', 'experiment', 'variant', blank=True, editable=False, primary_key=True, serialize=False)),
                ('day', models.DateField()),
                ('experiment', models.TextField()),
                ('variant', models.TextField()),
                ('sums', django_sessrec.fields.FloatArrayField()),
                ('products', django_sessrec.fields.FloatArrayField()),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='DailyCatalogue',
            fields=[
                ('day', models.DateField(primary_key=True, serialize=False)),
                ('looked_at', models.IntegerField()),
                ('gone', models.IntegerField()),
            ],
            options={
                'verbose_name': 'catalogue of a day',
                'verbose_name_plural': 'catalogue by day',
            },
        ),
        migrations.RunSQL(SPLIT_ARMS, JOIN_ARMS),
        migrations.RemoveField(
            model_name='variant',
            name='length',
        ),
        migrations.AddField(
            model_name='attribution',
            name='session_clicks',
            field=models.SmallIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='attribution',
            name='session_intents',
            field=models.SmallIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='dailylists',
            name='intents',
            field=models.TextField(blank=True),
        ),
        migrations.AddField(
            model_name='dailylists',
            name='session_length',
            field=models.TextField(blank=True),
        ),
        migrations.AddField(
            model_name='dailylists',
            name='short_impressions',
            field=models.IntegerField(default=0),
        ),
        migrations.AddField(
            model_name='dailyrevenue',
            name='intents',
            field=models.TextField(blank=True),
        ),
        migrations.AddField(
            model_name='dailyrevenue',
            name='session_length',
            field=models.TextField(blank=True),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(REKEY, UNKEY)],
            state_operations=[
                migrations.AlterField(
                    model_name='dailylists',
                    name='pk',
                    field=models.CompositePrimaryKey('day', 'grouped_by', 'placement', 'model', 'run_id', 'step', 'experiment', 'variant', 'session_length', 'intents', blank=True, editable=False, primary_key=True, serialize=False),
                ),
                migrations.AlterField(
                    model_name='dailyrevenue',
                    name='pk',
                    field=models.CompositePrimaryKey('day', 'grouped_by', 'placement', 'model', 'run_id', 'step', 'experiment', 'variant', 'session_length', 'intents', 'currency', blank=True, editable=False, primary_key=True, serialize=False),
                ),
            ],
        ),
        migrations.RunPython(
            migrations.RunPython.noop, lambda apps, schema_editor: drop_views(schema_editor.connection)
        ),
    ]
