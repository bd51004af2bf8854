-- One row a record. `entry` is the text that was hashed; the last columns are computed from it, so
-- that they cannot disagree with it. Times are milliseconds since the epoch.
CREATE TABLE record (
    sequence    INTEGER PRIMARY KEY CHECK (sequence > 0),
    at          INTEGER NOT NULL CHECK (at >= 0),
    previous    BLOB NOT NULL CHECK (length(previous) = 32),
    entry       TEXT NOT NULL,
    hash        BLOB NOT NULL CHECK (length(hash) = 32),
    application TEXT AS (json_extract(entry, '$.application')) VIRTUAL,
    cluster     TEXT AS (json_extract(entry, '$.cluster')) VIRTUAL,
    actor       TEXT AS (coalesce(json_extract(entry, '$.actor.person.name'), 'automation')) VIRTUAL
) STRICT;

CREATE INDEX record_by_application ON record (application) WHERE application IS NOT NULL;

CREATE INDEX record_by_cluster ON record (cluster) WHERE cluster IS NOT NULL;

-- A seat belt for our own mistakes. What shows the changes of others is the chain.
CREATE TRIGGER record_not_updated BEFORE UPDATE ON record
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

CREATE TRIGGER record_not_deleted BEFORE DELETE ON record
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

CREATE TRIGGER record_without_gap BEFORE INSERT ON record
WHEN NEW.sequence IS NOT (SELECT coalesce(max(sequence), 0) + 1 FROM record)
BEGIN SELECT RAISE(ABORT, 'the audit log has no gaps'); END
