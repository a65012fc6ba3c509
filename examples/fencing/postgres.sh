#!/bin/sh
# Notes the last invoice that was sent: elector run ... /billing -- ./postgres.sh NUMBER
# libpq's variables (PGHOST, PGDATABASE, ...) say where.
exec psql --no-psqlrc --quiet --tuples-only --set ON_ERROR_STOP=1 --command "
    BEGIN;
    SELECT fence('/billing', $ELECTOR_TOKEN); -- the fence
    UPDATE progress SET last_invoice = $1;
    COMMIT"
