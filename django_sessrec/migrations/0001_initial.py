import django.db.models.deletion
from django.db import migrations, models

import django_sessrec.fields
from django_sessrec.database import OwnDatabaseMigration


# The id leads the key, so that one event is found by its id in every partition; the time must be in it.
CREATE_PARTITIONED = """
CREATE TABLE sessrec_impression (
    impression_id uuid NOT NULL,
    shown_at timestamptz NOT NULL,
    session_id uuid NOT NULL,
    placement text NOT NULL,
    model text NOT NULL,
    run_id bigint,
    step text NOT NULL,
    experiment text NOT NULL,
    variant text NOT NULL,
    item_ids text[] NOT NULL,
    reasons text[] NOT NULL,
    bot boolean NOT NULL,
    PRIMARY KEY (impression_id, shown_at)
) PARTITION BY RANGE (shown_at);
CREATE INDEX sessrec_impression_session ON sessrec_impression (session_id, shown_at);

CREATE TABLE sessrec_event (
    event_id uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    session_id uuid NOT NULL,
    name text NOT NULL,
    item_id text NOT NULL,
    impression_id uuid,
    position smallint,
    quantity integer NOT NULL,
    price numeric(12, 2),
    currency text NOT NULL,
    source text NOT NULL,
    bot boolean NOT NULL,
    PRIMARY KEY (event_id, occurred_at)
) PARTITION BY RANGE (occurred_at);
CREATE INDEX sessrec_event_session ON sessrec_event (session_id, occurred_at);
CREATE INDEX sessrec_event_impression ON sessrec_event (impression_id) WHERE impression_id IS NOT NULL;
"""

# The one way into the tables, for pages and for the stream's consumer: a session's plans are kept, and what
# is counted commits with what is stored. All of it PL/pgSQL: the ledger's line by a function in SQL took a
# page 14 µs more.
CREATE_FUNCTIONS = """
CREATE FUNCTION sessrec_tally(
    stored bigint, duplicate bigint, failed bigint, refused bigint, withdrawn bigint, replayed bigint
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO sessrec_ledger AS so_far (day, slot, stored, duplicate, failed, refused, withdrawn, replayed)
    VALUES ((now() AT TIME ZONE 'UTC')::date, pg_backend_pid() % 32, $1, $2, $3, $4, $5, $6)
    ON CONFLICT (day, slot) DO UPDATE SET
        stored = so_far.stored + excluded.stored,
        duplicate = so_far.duplicate + excluded.duplicate,
        failed = so_far.failed + excluded.failed,
        refused = so_far.refused + excluded.refused,
        withdrawn = so_far.withdrawn + excluded.withdrawn,
        replayed = so_far.replayed + excluded.replayed;
END
$$;

CREATE FUNCTION sessrec_store(
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
            item_ids, reasons, bot
        )
        SELECT
            impression_id, shown_at, session_id, placement, model, run_id, step, experiment, variant,
            item_ids, reasons, bot
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

-- The same for one event, which is what most pages have: without JSON it takes half the time.
CREATE FUNCTION sessrec_store_event(
    event_id uuid, occurred_at timestamptz, session_id uuid, name text, item_id text, impression_id uuid,
    place smallint, quantity integer, price numeric, currency text, source text, bot boolean, resend boolean
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    outcome text := 'stored';
BEGIN
    INSERT INTO sessrec_event (
        event_id, occurred_at, session_id, name, item_id, impression_id, "position", quantity, price, currency,
        source, bot
    )
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12
    WHERE NOT EXISTS (SELECT FROM sessrec_withdrawal gone WHERE gone.session_id = $3)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        PERFORM FROM sessrec_withdrawal gone WHERE gone.session_id = $3;
        outcome := CASE WHEN FOUND THEN 'withdrawn' ELSE 'duplicate' END;
    END IF;
    -- As sessrec_tally, whose call would cost a page another 10 µs.
    IF outcome = 'stored' OR NOT resend THEN
        INSERT INTO sessrec_ledger AS so_far
            (day, slot, stored, duplicate, failed, refused, withdrawn, replayed)
        VALUES (
            (now() AT TIME ZONE 'UTC')::date, pg_backend_pid() % 32,
            (outcome = 'stored')::int, (outcome = 'duplicate')::int, 0, 0, (outcome = 'withdrawn')::int, 0
        )
        ON CONFLICT (day, slot) DO UPDATE SET
            stored = so_far.stored + excluded.stored,
            duplicate = so_far.duplicate + excluded.duplicate,
            withdrawn = so_far.withdrawn + excluded.withdrawn;
    END IF;
    RETURN outcome;
END
$$;

-- What waited in a process's memory: [{"receipt", "impressions", "events", "resend"}, ..], each message once,
-- whoever brings it.
CREATE FUNCTION sessrec_store_messages(messages jsonb) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    message jsonb;
    taken bigint := 0;
BEGIN
    FOR message IN SELECT * FROM jsonb_array_elements(messages) LOOP
        INSERT INTO sessrec_receipt (name, messages, received_at)
        VALUES (message ->> 'receipt', ARRAY[]::text[], now()) ON CONFLICT DO NOTHING;
        IF FOUND THEN
            PERFORM sessrec_store(message -> 'impressions', message -> 'events', (message ->> 'resend')::boolean);
            taken := taken + 1;
        END IF;
    END LOOP;
    RETURN taken;
END
$$;

-- What is not stored, with the reason: [{"code", "detail", "session_id", "payload"}, ..].
CREATE FUNCTION sessrec_store_failed(rows jsonb, refused boolean) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    given bigint := jsonb_array_length(rows);
    kept bigint;
BEGIN
    INSERT INTO sessrec_failedevent (received_at, code, detail, session_id, payload)
    SELECT now(), arriving.code, arriving.detail, arriving.session_id, arriving.payload
    FROM jsonb_to_recordset(rows) AS arriving(code text, detail text, session_id uuid, payload jsonb)
    WHERE NOT EXISTS (SELECT FROM sessrec_withdrawal gone WHERE gone.session_id = arriving.session_id);
    GET DIAGNOSTICS kept = ROW_COUNT;
    PERFORM sessrec_tally(
        0, 0, CASE WHEN refused THEN 0 ELSE kept END, CASE WHEN refused THEN kept ELSE 0 END, given - kept, 0
    );
    RETURN kept;
END
$$;

-- Delete the sessions' rows, after their withdrawal has been committed: a write that begins from then on sees
-- it, and those that had begun are waited for. They are found in pg_locks and not by a lock of ours, behind
-- which every other visitor's write would queue: the insert takes its lock before its snapshot.
CREATE FUNCTION sessrec_erase(
    session_ids uuid[], patience interval,
    OUT events bigint, OUT impressions bigint, OUT failed_events bigint, OUT quarantines bigint,
    OUT unfinished boolean
) LANGUAGE plpgsql AS $$
DECLARE
    writers text[];
    until timestamptz := clock_timestamp() + patience;
BEGIN
    LOOP
        SELECT array_agg(virtualtransaction) INTO writers FROM pg_locks
        WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted AND pid <> pg_backend_pid()
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND relation IN (
              'sessrec_event'::regclass, 'sessrec_impression'::regclass, 'sessrec_failedevent'::regclass
          )
          AND (writers IS NULL OR virtualtransaction = ANY (writers));
        unfinished := writers IS NOT NULL;
        EXIT WHEN NOT unfinished OR clock_timestamp() >= until;
        PERFORM pg_sleep(0.005);
    END LOOP;
    DELETE FROM sessrec_event WHERE session_id = ANY (session_ids);
    GET DIAGNOSTICS events = ROW_COUNT;
    DELETE FROM sessrec_impression WHERE session_id = ANY (session_ids);
    GET DIAGNOSTICS impressions = ROW_COUNT;
    DELETE FROM sessrec_failedevent WHERE session_id = ANY (session_ids);
    GET DIAGNOSTICS failed_events = ROW_COUNT;
    DELETE FROM sessrec_quarantine WHERE session_id = ANY (session_ids);
    GET DIAGNOSTICS quarantines = ROW_COUNT;
END
$$;
"""
DROP_FUNCTIONS = """
DROP FUNCTION sessrec_erase(uuid[], interval);
DROP FUNCTION sessrec_store_failed(jsonb, boolean);
DROP FUNCTION sessrec_store_messages(jsonb);
DROP FUNCTION sessrec_store_event(
    uuid, timestamptz, uuid, text, text, uuid, smallint, integer, numeric, text, text, boolean, boolean
);
DROP FUNCTION sessrec_store(jsonb, jsonb, boolean);
DROP FUNCTION sessrec_tally(bigint, bigint, bigint, bigint, bigint, bigint);
"""


class Migration(OwnDatabaseMigration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='FailedEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('received_at', models.DateTimeField(auto_now_add=True, db_index=True, verbose_name='received at')),
                ('code', models.TextField(verbose_name='reason')),
                ('detail', models.TextField(blank=True, verbose_name='detail')),
                ('session_id', models.UUIDField(blank=True, db_index=True, null=True, verbose_name='session')),
                ('payload', models.JSONField(verbose_name='payload')),
            ],
            options={
                'verbose_name': 'failed event',
                'verbose_name_plural': 'failed events',
            },
        ),
        migrations.CreateModel(
            name='Heartbeat',
            fields=[
                ('name', models.TextField(primary_key=True, serialize=False, verbose_name='name')),
                ('seen_at', models.DateTimeField(auto_now=True, verbose_name='seen at')),
                ('broker', models.TextField(blank=True, verbose_name='broker')),
            ],
            options={
                'verbose_name': 'heartbeat',
                'verbose_name_plural': 'health',
            },
        ),
        migrations.CreateModel(
            name='Ledger',
            fields=[
                ('pk', models.CompositePrimaryKey('day', 'slot', blank=True, editable=False, primary_key=True, serialize=False)),
                ('day', models.DateField(verbose_name='day')),
                ('slot', models.SmallIntegerField(verbose_name='slot')),
                ('stored', models.BigIntegerField(default=0, verbose_name='stored')),
                ('duplicate', models.BigIntegerField(default=0, verbose_name='duplicate')),
                ('failed', models.BigIntegerField(default=0, verbose_name='failed')),
                ('refused', models.BigIntegerField(default=0, verbose_name='refused')),
                ('withdrawn', models.BigIntegerField(default=0, verbose_name='withdrawn')),
                ('replayed', models.BigIntegerField(default=0, verbose_name='replayed')),
            ],
            options={
                'verbose_name': 'ledger',
                'verbose_name_plural': 'ledger',
            },
        ),
        migrations.CreateModel(
            name='Receipt',
            fields=[
                ('name', models.TextField(primary_key=True, serialize=False, verbose_name='name')),
                ('messages', django_sessrec.fields.TextArrayField(blank=True, default=list, verbose_name='messages')),
                ('received_at', models.DateTimeField(auto_now=True, db_index=True, verbose_name='received at')),
            ],
            options={
                'verbose_name': 'receipt',
                'verbose_name_plural': 'receipts',
            },
        ),
        migrations.CreateModel(
            name='Withdrawal',
            fields=[
                ('session_id', models.UUIDField(primary_key=True, serialize=False, verbose_name='session')),
                ('withdrawn_at', models.DateTimeField(auto_now_add=True, db_index=True, verbose_name='withdrawn at')),
            ],
            options={
                'verbose_name': 'withdrawal',
                'verbose_name_plural': 'withdrawals',
            },
        ),
        migrations.CreateModel(
            name='Quarantine',
            fields=[
                ('session_id', models.UUIDField(editable=False, primary_key=True, serialize=False, verbose_name='session')),
                ('reason', models.TextField(choices=[('flood', 'more clicks in a minute than a person makes'), ('no_script', "a burst of clicks without a message from the browser's script"), ('even_pace', 'evenly spaced clicks'), ('crawl', 'a crawl of the catalogue'), ('repeat', 'the same product over and over'), ('endless', 'a session without an end')], verbose_name='reason')),
                ('clicks', models.IntegerField(verbose_name='clicks')),
                ('found_at', models.DateTimeField(auto_now_add=True, db_index=True, verbose_name='found at')),
                ('released_at', models.DateTimeField(blank=True, null=True, verbose_name='released at')),
                ('released_by', models.TextField(blank=True, verbose_name='released by')),
            ],
            options={
                'verbose_name': 'quarantined session',
                'verbose_name_plural': 'quarantined sessions',
            },
        ),
        migrations.CreateModel(
            name='AuditEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('happened_at', models.DateTimeField(auto_now_add=True, db_index=True, verbose_name='time')),
                ('action', models.TextField(choices=[('export', 'figures exported'), ('evidence', 'compliance report written'), ('release', 'sessions released from quarantine')], verbose_name='action')),
                ('done_by', models.TextField(verbose_name='by')),
                ('detail', models.JSONField(default=dict, verbose_name='detail')),
            ],
            options={
                'verbose_name': 'audit entry',
                'verbose_name_plural': 'audit trail',
                'ordering': ['-pk'],
            },
        ),
        migrations.CreateModel(
            name='TrainingRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('model', models.TextField(verbose_name='model')),
                ('state', models.TextField(choices=[('running', 'running'), ('published', 'published'), ('refused', 'refused'), ('failed', 'failed')], default='running', verbose_name='state')),
                ('trigger', models.TextField(verbose_name='started by')),
                ('estimator', models.TextField(verbose_name='estimator')),
                ('parameters', models.JSONField(default=dict, verbose_name='parameters')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created at')),
                ('started_at', models.DateTimeField(blank=True, null=True, verbose_name='started at')),
                ('heartbeat_at', models.DateTimeField(blank=True, null=True, verbose_name='last sign of life')),
                ('finished_at', models.DateTimeField(blank=True, null=True, verbose_name='finished at')),
                ('window_start', models.DateTimeField(blank=True, null=True, verbose_name='window start')),
                ('window_end', models.DateTimeField(blank=True, null=True, verbose_name='window end')),
                ('counts', models.JSONField(default=dict, verbose_name='counts')),
                ('stage', models.TextField(blank=True, verbose_name='stage')),
                ('progress', models.FloatField(default=0.0, verbose_name='progress')),
                ('history', models.JSONField(default=list, verbose_name='history')),
                ('figures', models.JSONField(default=dict, verbose_name='figures')),
                ('verdict', models.TextField(blank=True, verbose_name='verdict')),
                ('error', models.TextField(blank=True, verbose_name='error')),
                ('artifact', models.TextField(blank=True, verbose_name='artifact')),
                ('started_from', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='refreshes', to='sessrec.trainingrun', verbose_name='started from')),
            ],
            options={
                'verbose_name': 'training run',
                'verbose_name_plural': 'training runs',
                'ordering': ['-pk'],
                'indexes': [models.Index(fields=['model', '-id'], name='sessrec_run_by_model')],
            },
        ),
        migrations.CreateModel(
            name='Promotion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('model', models.TextField(verbose_name='model')),
                ('promoted_at', models.DateTimeField(auto_now_add=True, verbose_name='promoted at')),
                ('promoted_by', models.TextField(verbose_name='promoted by')),
                ('reason', models.TextField(blank=True, verbose_name='reason')),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='promotions', to='sessrec.trainingrun', verbose_name='training run')),
            ],
            options={
                'verbose_name': 'promotion',
                'verbose_name_plural': 'promotions',
                'ordering': ['-pk'],
                'indexes': [models.Index(fields=['model', '-id'], name='sessrec_promotion_by_model')],
            },
        ),
        # Partitioned by day, so that retention is DROP PARTITION; Django has no words for that.
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(CREATE_PARTITIONED, "DROP TABLE sessrec_impression, sessrec_event")
            ],
            state_operations=[
                migrations.CreateModel(
                    name='Impression',
                    fields=[
                        ('impression_id', models.UUIDField(editable=False, primary_key=True, serialize=False, verbose_name='id')),
                        ('shown_at', models.DateTimeField(verbose_name='shown at')),
                        ('session_id', models.UUIDField(verbose_name='session')),
                        ('placement', models.TextField(verbose_name='placement')),
                        ('model', models.TextField(blank=True, verbose_name='model')),
                        ('run', models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='impressions', to='sessrec.trainingrun', verbose_name='training run')),
                        ('step', models.TextField(verbose_name='step')),
                        ('experiment', models.TextField(blank=True, verbose_name='experiment')),
                        ('variant', models.TextField(blank=True, verbose_name='variant')),
                        ('item_ids', django_sessrec.fields.TextArrayField(verbose_name='items')),
                        ('reasons', django_sessrec.fields.TextArrayField(blank=True, default=list, verbose_name='reasons')),
                        ('bot', models.BooleanField(default=False, verbose_name='bot')),
                    ],
                    options={
                        'verbose_name': 'impression',
                        'verbose_name_plural': 'impressions',
                    },
                ),
                migrations.CreateModel(
                    name='Report',
                    fields=[],
                    options={
                        'verbose_name': 'report',
                        'verbose_name_plural': 'report',
                        'proxy': True,
                        'indexes': [],
                        'constraints': [],
                    },
                    bases=('sessrec.impression',),
                ),
                migrations.CreateModel(
                    name='Event',
                    fields=[
                        ('event_id', models.UUIDField(editable=False, primary_key=True, serialize=False, verbose_name='id')),
                        ('occurred_at', models.DateTimeField(verbose_name='time')),
                        ('session_id', models.UUIDField(verbose_name='session')),
                        ('name', models.TextField(choices=[('view_item', 'product viewed'), ('view_item_list', 'list seen'), ('select_item', 'recommendation clicked'), ('add_to_cart', 'added to basket'), ('remove_from_cart', 'removed from basket'), ('add_to_wishlist', 'added to wishlist'), ('view_search_results', 'search viewed'), ('view_category', 'category viewed'), ('purchase', 'purchased'), ('refund', 'refunded')], verbose_name='event')),
                        ('item_id', models.TextField(blank=True, verbose_name='item')),
                        ('position', models.SmallIntegerField(blank=True, null=True, verbose_name='position')),
                        ('quantity', models.IntegerField(default=1, verbose_name='quantity')),
                        ('price', models.DecimalField(blank=True, decimal_places=2, max_digits=12, null=True, verbose_name='price')),
                        ('currency', models.TextField(blank=True, verbose_name='currency')),
                        ('source', models.TextField(default='server', verbose_name='source')),
                        ('bot', models.BooleanField(default=False, verbose_name='bot')),
                        ('impression', models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='events', to='sessrec.impression', verbose_name='impression')),
                    ],
                    options={
                        'verbose_name': 'event',
                        'verbose_name_plural': 'events',
                    },
                ),
            ],
        ),
        migrations.RunSQL(CREATE_FUNCTIONS, DROP_FUNCTIONS),
    ]
