-- tracker/store/upgrade_6.sql - from version 6 of a store to 7; views are made anew afterwards.
-- What MLflow's API knows: deleted things, times of values, several values of a step.
ALTER TABLE experiment ADD COLUMN deleted_ms INTEGER;
ALTER TABLE experiment ADD COLUMN updated_ms INTEGER;
ALTER TABLE experiment ADD COLUMN artifact_location TEXT;
ALTER TABLE trial ADD COLUMN deleted_ms INTEGER;
ALTER TABLE trial ADD COLUMN origin TEXT;
ALTER TABLE metric ADD COLUMN at_ms INTEGER;
DROP INDEX trial_by_sweep;
DROP INDEX trial_by_experiment;
CREATE INDEX trial_by_sweep ON trial (sweep, state, last_run, predicted_s, deleted_ms);
CREATE INDEX trial_by_experiment ON trial (experiment, state, deleted_ms);
CREATE INDEX trial_deleted ON trial (id) WHERE deleted_ms IS NOT NULL;
CREATE TABLE experiment_tag (
    experiment  INTEGER NOT NULL REFERENCES experiment (id),
    key         TEXT NOT NULL CHECK (key <> ''),
    value       TEXT NOT NULL,
    PRIMARY KEY (experiment, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE metric_more (
    run         INTEGER NOT NULL REFERENCES run (id),
    key         INTEGER NOT NULL REFERENCES metric_key (id),
    step        INTEGER NOT NULL,
    at_ms       INTEGER NOT NULL,
    value       REAL NOT NULL,
    kind        INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 4),
    PRIMARY KEY (run, key, step, at_ms, value, kind)
) STRICT, WITHOUT ROWID;
CREATE TABLE run_param (
    run         INTEGER NOT NULL REFERENCES run (id),
    key         TEXT NOT NULL CHECK (key <> ''),
    value       TEXT NOT NULL,
    PRIMARY KEY (run, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE dataset_input (
    run         INTEGER NOT NULL REFERENCES run (id),
    name        TEXT NOT NULL CHECK (name <> ''),
    digest      TEXT NOT NULL CHECK (digest <> ''),
    source_type TEXT NOT NULL,
    source      TEXT NOT NULL,
    schema      TEXT,
    profile     TEXT,
    context     TEXT,
    tags_json   TEXT NOT NULL CHECK (json_valid(tags_json)),
    PRIMARY KEY (run, name, digest)
) STRICT, WITHOUT ROWID;
PRAGMA user_version = 7;
