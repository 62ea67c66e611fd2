-- tracker/store/upgrade_1.sql - from version 1 of a store to 2; views are made anew afterwards.
ALTER TABLE sweep ADD COLUMN note TEXT;
ALTER TABLE sweep ADD COLUMN budget_json TEXT CHECK (json_valid(ifnull(budget_json, '{}')));
ALTER TABLE trial ADD COLUMN parent INTEGER REFERENCES trial (id);
ALTER TABLE trial ADD COLUMN warm INTEGER NOT NULL DEFAULT 0 CHECK (warm IN (0, 1));
ALTER TABLE trial ADD COLUMN note TEXT;
ALTER TABLE trial ADD COLUMN stop_as TEXT CHECK (stop_as IN ('pruned', 'cancelled'));
ALTER TABLE trial ADD COLUMN stop_reason TEXT;
ALTER TABLE run ADD COLUMN cores INTEGER NOT NULL DEFAULT 1 CHECK (cores >= 1);
ALTER TABLE run ADD COLUMN lease_mono_ms INTEGER;
ALTER TABLE run ADD COLUMN until_step INTEGER CHECK (until_step >= 0);
ALTER TABLE artifact ADD COLUMN stored INTEGER NOT NULL DEFAULT 0 CHECK (stored IN (0, 1));
DROP INDEX trial_by_sweep;
CREATE INDEX trial_by_sweep ON trial (sweep, state, last_run, predicted_s);
CREATE INDEX trial_by_state ON trial (state);
CREATE INDEX trial_by_experiment ON trial (experiment, state);
CREATE INDEX trial_by_parent ON trial (parent) WHERE parent IS NOT NULL;
CREATE INDEX artifact_by_sha256 ON artifact (sha256) WHERE sha256 IS NOT NULL;
CREATE TABLE tag (
    trial INTEGER NOT NULL REFERENCES trial (id),
    key   TEXT NOT NULL CHECK (key <> ''),
    value TEXT NOT NULL,
    PRIMARY KEY (trial, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX tag_by_key ON tag (key, value);
PRAGMA user_version = 2;
