from importlib import import_module

from django.db import migrations

from django_sessrec.database import OwnDatabaseMigration

# As in 0012_propensities, but that no row is counted twice, and that the caller may count.
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
            item_ids, reasons, bot, wanted, session_clicks, session_intents, duration_us, propensities
        )
        SELECT
            impression_id, shown_at, session_id, placement, model, run_id, step, experiment, variant,
            item_ids, reasons, bot, wanted, session_clicks, session_intents, duration_us, propensities
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
        -- At most the rest: of a session that is withdrawn in between, rows may be among the stored ones.
        withdrawn := least(withdrawn, given - stored);
    END IF;
    duplicate := given - stored - withdrawn;
    -- What is sent again because its first answer was lost was counted if it had arrived. Where resend is null,
    -- nothing is counted here.
    IF NOT resend THEN
        PERFORM sessrec_tally(stored, duplicate, 0, 0, withdrawn, 0);
    ELSIF resend AND stored > 0 THEN
        PERFORM sessrec_tally(stored, 0, 0, 0, 0, 0);
    END IF;
END
$$;
"""
BEFORE = import_module('django_sessrec.migrations.0011_lists_and_arms').STORE.format(
    columns=', wanted, session_clicks, session_intents, duration_us, propensities'
)


class Migration(OwnDatabaseMigration):

    dependencies = [
        ('sessrec', '0014_decimals'),
    ]

    operations = [
        migrations.RunSQL(STORE, BEFORE),
    ]
