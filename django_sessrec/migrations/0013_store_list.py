from django.db import migrations

from django_sessrec.database import OwnDatabaseMigration

# What most pages with a list write: its impression, and the view of the page's item ($18 is null where there is
# none, as behind REST). Plain values: JSON takes the server longer to read than the rows take to store.
CREATE = """
CREATE FUNCTION sessrec_store_list(
    session_id uuid, bot boolean,
    impression_id uuid, shown_at timestamptz, placement text, model text, run_id bigint, step text,
    experiment text, variant text, item_ids text[], reasons text[], propensities float8[], wanted smallint,
    session_clicks smallint, session_intents smallint, duration_us integer,
    event_id uuid, occurred_at timestamptz, name text, item_id text, led_from uuid, place smallint,
    quantity integer, price numeric, currency text, source text,
    resend boolean
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    given int := CASE WHEN $18 IS NULL THEN 1 ELSE 2 END;
    stored int;
    touched int;
    withdrawn int := 0;
BEGIN
    INSERT INTO sessrec_impression (
        impression_id, shown_at, session_id, placement, model, run_id, step, experiment, variant, item_ids,
        reasons, bot, propensities, wanted, session_clicks, session_intents, duration_us
    )
    SELECT $3, $4, $1, $5, $6, $7, $8, $9, $10, $11, $12, $2, $13, $14, $15, $16, $17
    WHERE NOT EXISTS (SELECT FROM sessrec_withdrawal gone WHERE gone.session_id = $1)
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS stored = ROW_COUNT;
    IF given = 2 THEN
        INSERT INTO sessrec_event (
            event_id, occurred_at, session_id, name, item_id, impression_id, "position", quantity, price,
            currency, source, bot
        )
        SELECT $18, $19, $1, $20, $21, $22, $23, $24, $25, $26, $27, $2
        WHERE NOT EXISTS (SELECT FROM sessrec_withdrawal gone WHERE gone.session_id = $1)
        ON CONFLICT DO NOTHING;
        GET DIAGNOSTICS touched = ROW_COUNT;
        stored := stored + touched;
    END IF;
    IF stored < given THEN
        PERFORM FROM sessrec_withdrawal gone WHERE gone.session_id = $1;
        IF FOUND THEN
            withdrawn := given - stored;
        END IF;
    END IF;
    IF stored > 0 OR NOT resend THEN
        INSERT INTO sessrec_ledger AS so_far
            (day, slot, stored, duplicate, failed, refused, withdrawn, replayed)
        VALUES (
            (now() AT TIME ZONE 'UTC')::date, pg_backend_pid() % 32,
            stored, CASE WHEN resend THEN 0 ELSE given - stored - withdrawn END, 0, 0,
            CASE WHEN resend THEN 0 ELSE withdrawn END, 0
        )
        ON CONFLICT (day, slot) DO UPDATE SET
            stored = so_far.stored + excluded.stored,
            duplicate = so_far.duplicate + excluded.duplicate,
            withdrawn = so_far.withdrawn + excluded.withdrawn;
    END IF;
    RETURN stored || ',' || given - stored - withdrawn || ',' || withdrawn;
END
$$;
"""
DROP = """
DROP FUNCTION sessrec_store_list(
    uuid, boolean, uuid, timestamptz, text, text, bigint, text, text, text, text[], text[], float8[], smallint,
    smallint, smallint, integer, uuid, timestamptz, text, text, uuid, smallint, integer, numeric, text, text,
    boolean
)
"""


class Migration(OwnDatabaseMigration):

    dependencies = [
        ('sessrec', '0012_propensities'),
    ]

    operations = [
        migrations.RunSQL(CREATE, DROP),
    ]
