from django.db import migrations

from django_sessrec.database import OwnDatabaseMigration

# What a list reads of a session, as one value: a statement that gives a value needs no other one for its time
# limit. Its plan is kept and opens the session's days as it runs: with rows in every day Postgres would rather
# plan each time, which takes twice as long as reading. JSON, since an item's id may hold any character; its
# texts are "<event id> <name> <quantity> <item id>".
CREATE = """
CREATE FUNCTION sessrec_session_events(
    session uuid, names text[], since timestamptz, until timestamptz, newest integer
) RETURNS text LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN to_json(ARRAY(
        SELECT event_id || ' ' || name || ' ' || quantity || ' ' || item_id FROM sessrec_event
        WHERE session_id = session AND name = ANY (names) AND NOT bot AND occurred_at BETWEEN since AND until
        ORDER BY occurred_at DESC, event_id DESC LIMIT newest
    ));
END
$$;
"""
DROP = "DROP FUNCTION sessrec_session_events(uuid, text[], timestamptz, timestamptz, integer)"


class Migration(OwnDatabaseMigration):

    dependencies = [
        ('sessrec', '0007_experiments'),
    ]

    operations = [
        migrations.RunSQL(CREATE, DROP),
    ]
