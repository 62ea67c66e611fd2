-- schema.sql - tables and views of a peftlab store (one SQLite file), version 1.
--
-- Words: an experiment holds sweeps and trials; a trial is one resolved configuration with one
-- seed; a run is one attempt at a trial. Times are Unix milliseconds (_ms), sizes bytes, durations
-- milliseconds or seconds as the name says. Read the views (end of file, docs/store.md); the tables
-- below them may change between versions. A new version changes this file, raises user_version, and
-- adds a step to `steps` in tracker/store.c for the stores that exist.

PRAGMA application_id = 0x50454654;     -- "PEFT"
PRAGMA user_version = 1;                -- STORE_VERSION in tracker/store_priv.h

CREATE TABLE experiment (
    id          INTEGER PRIMARY KEY,    -- number of the experiment
    name        TEXT NOT NULL UNIQUE CHECK (name <> ''), -- what the user calls it
    created_ms  INTEGER NOT NULL        -- when it was first named
) STRICT;

CREATE TABLE sweep (
    id          INTEGER PRIMARY KEY,    -- number of the sweep
    experiment  INTEGER NOT NULL REFERENCES experiment (id), -- what it belongs to
    name        TEXT NOT NULL CHECK (name <> ''), -- unique within its experiment
    file_json   TEXT NOT NULL CHECK (json_valid(file_json)), -- the sweep file's tree
    base_dir    TEXT NOT NULL,          -- folder where relative paths of the file start
    stopped     INTEGER NOT NULL DEFAULT 0 CHECK (stopped IN (0, 1)), -- 1: claims get nothing
    created_ms  INTEGER NOT NULL,       -- when it was first added
    UNIQUE (experiment, name)
) STRICT;

CREATE TABLE trial (
    id          INTEGER PRIMARY KEY,    -- number of the trial, the ID of `peftlab show ID`
    experiment  INTEGER NOT NULL REFERENCES experiment (id), -- what it belongs to
    sweep       INTEGER REFERENCES sweep (id), -- NULL: a trial by hand
    number      INTEGER NOT NULL CHECK (number >= 0), -- order within the sweep, from 0
    key         TEXT NOT NULL CHECK (key <> ''), -- SHA-256 of the configuration without seed
    seed        INTEGER NOT NULL CHECK (seed >= 0), -- seed of the random numbers
    base_dir    TEXT NOT NULL,          -- folder where relative paths of config start
    config_json TEXT NOT NULL CHECK (json_valid(config_json)), -- resolved trial, canonical
    params_json TEXT NOT NULL CHECK (json_valid(params_json)), -- what the sweep sets, in order
    predicted_bytes INTEGER CHECK (predicted_bytes >= 0), -- planned peak memory; NULL: unknown
    predicted_s REAL,                   -- predicted duration, seconds; NULL: unknown
    state       TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'complete', 'pruned',
        'failed', 'oom', 'nan', 'timeout', 'preempted', 'stale', 'cancelled')), -- where it stands
    attempts    INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0), -- runs opened so far
    lost        INTEGER NOT NULL DEFAULT 0 CHECK (lost >= 0), -- leases lost since added or retried
    stop_asked  INTEGER NOT NULL DEFAULT 0 CHECK (stop_asked IN (0, 1)), -- 1: the run shall end
    last_run    INTEGER REFERENCES run (id), -- newest run; NULL: none yet
    summary_run INTEGER REFERENCES run (id), -- newest run that ended by itself: its summary counts
    created_ms  INTEGER NOT NULL        -- when it was added
) STRICT;
-- The same trial twice is one trial; trials without a sweep are unique within their experiment.
CREATE UNIQUE INDEX trial_unique ON trial (experiment, ifnull(sweep, 0), key, seed);
CREATE INDEX trial_by_sweep ON trial (sweep, state);
-- The order of claims: fewest attempts first, then the sweep's own order.
CREATE INDEX trial_claimable ON trial (sweep, attempts, number, id)
    WHERE state IN ('waiting', 'preempted');

CREATE TABLE run (
    id          INTEGER PRIMARY KEY,    -- number of the run
    trial       INTEGER NOT NULL REFERENCES trial (id), -- what is attempted
    attempt     INTEGER NOT NULL CHECK (attempt >= 1), -- 1 for the first run of a trial
    state       TEXT NOT NULL CHECK (state IN ('running', 'complete', 'pruned', 'failed',
        'oom', 'nan', 'timeout', 'preempted', 'stale', 'cancelled')), -- how it stands or ended
    exit_code   INTEGER,                -- exit status, 128 + n for signal n; NULL: not known
    reason      TEXT,                   -- why it ended so, one message; NULL: nothing to say
    run_dir     TEXT,                   -- folder of its files; NULL: none was asked for
    started_ms  INTEGER NOT NULL,       -- when it was claimed
    ended_ms    INTEGER,                -- when it ended; NULL: has not
    heartbeat_ms INTEGER NOT NULL,      -- last sign of life
    lease_until_ms INTEGER NOT NULL,    -- without a sign of life until then it is given up
    owner_host  TEXT NOT NULL,          -- host of the process that holds the lease
    owner_scope TEXT NOT NULL,          -- boot id and PID namespace in which owner_pid has meaning
    owner_pid   INTEGER NOT NULL,       -- that process
    owner_start_ticks INTEGER NOT NULL, -- its start, clock ticks since boot: pids are reused
    environment_json TEXT CHECK (json_valid(ifnull(environment_json, '{}'))), -- machine, program; NULL: not said
    UNIQUE (trial, attempt)
) STRICT;
CREATE INDEX run_alive ON run (lease_until_ms) WHERE state = 'running';

CREATE TABLE metric_key (
    id          INTEGER PRIMARY KEY,    -- number that metric and run_summary use
    name        TEXT NOT NULL UNIQUE CHECK (name <> '') -- slash name: 'eval/accuracy'
) STRICT;

CREATE TABLE metric (                   -- values with steps
    run         INTEGER NOT NULL REFERENCES run (id), -- who logged it
    key         INTEGER NOT NULL REFERENCES metric_key (id), -- which
    step        INTEGER NOT NULL CHECK (step >= 0), -- update number
    value       REAL,                   -- the number where kind is 0, else NULL
    kind        INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 4), -- number, NaN, Inf, -Inf, -0
    PRIMARY KEY (run, key, step),
    CHECK ((kind = 0) = (value IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE run_summary (              -- one value per run
    run         INTEGER NOT NULL REFERENCES run (id), -- who logged it
    key         INTEGER NOT NULL REFERENCES metric_key (id), -- which
    value       REAL,                   -- the number where kind is 0, else NULL
    kind        INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 4), -- number, NaN, Inf, -Inf, -0
    PRIMARY KEY (run, key),
    CHECK ((kind = 0) = (value IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
    id          INTEGER PRIMARY KEY,    -- order of events
    run         INTEGER NOT NULL REFERENCES run (id), -- whom it happened to
    at_ms       INTEGER NOT NULL,       -- when
    kind        TEXT NOT NULL,          -- 'note', 'warning', 'checkpoint', ...
    text        TEXT NOT NULL           -- what
) STRICT;
CREATE INDEX event_by_run ON event (run);

CREATE TABLE artifact (
    run         INTEGER NOT NULL REFERENCES run (id), -- who made it
    name        TEXT NOT NULL CHECK (name <> ''), -- 'adapter', 'trace'
    path        TEXT NOT NULL,          -- file or folder
    bytes       INTEGER CHECK (bytes >= 0), -- size; NULL: not known
    sha256      TEXT,                   -- of a file's bytes, 64 hexadecimal digits; NULL: not taken
    at_ms       INTEGER NOT NULL,       -- when it was logged
    PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;

-- ---- Views: what readers use --------------------------------------------------------------------

-- One row per trial. Times, reason and run are those of its newest run.
CREATE VIEW trial_view AS
SELECT trial.id, trial.sweep, sweep.name AS sweep_name, trial.experiment,
       experiment.name AS experiment_name, trial.number, trial.state, trial.seed, trial.key,
       trial.attempts, trial.params_json AS params, trial.config_json AS config,
       trial.predicted_bytes, trial.predicted_s, run.started_ms, run.ended_ms,
       max(run.ended_ms - run.started_ms, 0) AS duration_ms, run.reason, trial.last_run AS run,
       trial.base_dir, trial.created_ms
  FROM trial
  JOIN experiment ON experiment.id = trial.experiment
  LEFT JOIN sweep ON sweep.id = trial.sweep
  LEFT JOIN run ON run.id = trial.last_run;

-- Summary values of the newest run that ended by itself. value is NULL for NaN, so that avg() and
-- max() leave it out; kind tells ('finite', 'nan', 'inf', '-inf', '-0').
CREATE VIEW summary_view AS
SELECT trial.id AS trial, metric_key.name AS key,
       CASE kind WHEN 0 THEN value WHEN 2 THEN 9e999 WHEN 3 THEN -9e999 WHEN 4 THEN -0.0 END AS value,
       CASE kind WHEN 0 THEN 'finite' WHEN 1 THEN 'nan' WHEN 2 THEN 'inf' WHEN 3 THEN '-inf'
                 ELSE '-0' END AS kind
  FROM trial
  JOIN run_summary ON run_summary.run = trial.summary_run
  JOIN metric_key ON metric_key.id = run_summary.key;

-- Values by step of the newest run, also while it runs.
CREATE VIEW series_view AS
SELECT trial.id AS trial, metric_key.name AS key, step,
       CASE kind WHEN 0 THEN value WHEN 2 THEN 9e999 WHEN 3 THEN -9e999 WHEN 4 THEN -0.0 END AS value,
       CASE kind WHEN 0 THEN 'finite' WHEN 1 THEN 'nan' WHEN 2 THEN 'inf' WHEN 3 THEN '-inf'
                 ELSE '-0' END AS kind
  FROM trial
  JOIN metric ON metric.run = trial.last_run
  JOIN metric_key ON metric_key.id = metric.key;

-- One row per trial and parameter, so that SQL needs no JSON.
CREATE VIEW param_view AS
SELECT trial.id AS trial, p.key AS key, CASE p.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false'
       ELSE p.value END AS value
  FROM trial, json_each(trial.params_json) AS p;

-- One row per run (attempt).
CREATE VIEW run_view AS
SELECT id, trial, attempt, state, exit_code, reason, run_dir, started_ms, ended_ms,
       max(ended_ms - started_ms, 0) AS duration_ms, heartbeat_ms, lease_until_ms, owner_host,
       owner_pid, environment_json AS environment
  FROM run;

-- One row per sweep with its trials counted.
CREATE VIEW sweep_view AS
SELECT sweep.id, sweep.name, sweep.experiment, experiment.name AS experiment_name, sweep.base_dir,
       sweep.stopped, sweep.created_ms, count(trial.id) AS trials,
       count(trial.id) FILTER (WHERE trial.state = 'complete') AS complete,
       count(trial.id) FILTER (WHERE trial.state = 'running') AS running,
       count(trial.id) FILTER (WHERE trial.state IN ('waiting', 'preempted')) AS waiting,
       count(trial.id) FILTER (WHERE trial.state IN ('failed', 'oom', 'nan', 'timeout', 'stale'))
           AS failed
  FROM sweep
  JOIN experiment ON experiment.id = sweep.experiment
  LEFT JOIN trial ON trial.sweep = sweep.id
 GROUP BY sweep.id;

-- One row per experiment with its sweeps and trials counted.
CREATE VIEW experiment_view AS
SELECT id, name, created_ms,
       (SELECT count(*) FROM sweep WHERE sweep.experiment = experiment.id) AS sweeps,
       (SELECT count(*) FROM trial WHERE trial.experiment = experiment.id) AS trials
  FROM experiment;

-- What runs made and said, with the trial they belong to.
CREATE VIEW artifact_view AS
SELECT run.trial, artifact.run, artifact.name, artifact.path, artifact.bytes, artifact.sha256,
       artifact.at_ms
  FROM artifact JOIN run ON run.id = artifact.run;

CREATE VIEW event_view AS
SELECT run.trial, event.run, event.id, event.at_ms, event.kind, event.text
  FROM event JOIN run ON run.id = event.run;
