-- How one application stands. Times are milliseconds since the epoch, revisions full commit ids
-- with a space between them.
CREATE TABLE application (
    name                  TEXT PRIMARY KEY,
    applied_revisions     TEXT,
    applied_digest        BLOB CHECK (length(applied_digest) = 32),
    applied_at            INTEGER,
    pause_by              TEXT,
    pause_reason          TEXT,
    pause_at              INTEGER,
    pin_revisions         TEXT,
    pin_history_id        INTEGER,
    pin_by                TEXT,
    pin_reason            TEXT,
    pin_at                INTEGER,
    cascade               TEXT CHECK (cascade IN ('foreground', 'background')),
    order_by              TEXT,
    order_reason          TEXT,
    order_terms           TEXT,
    order_at              INTEGER
) STRICT, WITHOUT ROWID;

-- What applications have put on clusters. The key makes an object belong to one application.
CREATE TABLE inventory (
    cluster           TEXT NOT NULL,
    api_group         TEXT NOT NULL,
    kind              TEXT NOT NULL,
    namespace         TEXT NOT NULL,
    name              TEXT NOT NULL,
    application       TEXT NOT NULL,
    version           TEXT NOT NULL,
    uid               TEXT,
    rendered          BLOB CHECK (length(rendered) = 32),
    own_fields        BLOB CHECK (length(own_fields) = 32),
    state             TEXT NOT NULL CHECK (state IN ('intent', 'applied', 'deleting')),
    wave              INTEGER NOT NULL,
    prune             TEXT CHECK (prune IN ('always', 'confirm', 'never')),
    deletion          TEXT CHECK (deletion IN ('always', 'confirm', 'never')),
    prune_last        INTEGER NOT NULL,
    ignore_extraneous INTEGER NOT NULL,
    PRIMARY KEY (cluster, api_group, kind, namespace, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX inventory_by_application ON inventory (application, cluster);

-- What was deployed, newest last; ids count from 1 in each application.
CREATE TABLE history (
    application TEXT NOT NULL,
    id          INTEGER NOT NULL CHECK (id > 0),
    revisions   TEXT NOT NULL,
    source      TEXT NOT NULL,
    digest      BLOB NOT NULL CHECK (length(digest) = 32),
    deployed_at INTEGER NOT NULL,
    actor       TEXT NOT NULL,
    phase       TEXT NOT NULL,
    message     TEXT NOT NULL,
    PRIMARY KEY (application, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE mirror (
    repository TEXT PRIMARY KEY,
    tried_at   INTEGER NOT NULL,
    fetched_at INTEGER,
    failures   INTEGER NOT NULL,
    error      TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE cluster (
    name       TEXT PRIMARY KEY,
    system_uid TEXT NOT NULL,
    seen_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID
