-- schema.sql - tables of a peftlab store (one SQLite file); its views are in views.sql.
--
-- Words: an experiment holds sweeps and trials; a trial is one resolved configuration with one
-- seed; a run is one attempt at a trial. Times are Unix milliseconds (_ms), sizes bytes, durations
-- milliseconds or seconds as the name says. Read the views (views.sql, docs/store.md); the tables
-- may change between versions. A new version changes this file, raises user_version, and adds a
-- script tracker/upgrade_N.sql for the stores that exist (`upgrades` in tracker/store/store.c); its new
-- columns stand at the end of their tables, where ALTER TABLE puts them.

PRAGMA application_id = 0x50454654;     -- "PEFT"
PRAGMA user_version = 7;                -- STORE_VERSION in tracker/store/store_priv.h

CREATE TABLE store (                    -- one row
    id          TEXT NOT NULL CHECK (id <> '') -- tells this store's run folders from others'
) STRICT;
INSERT INTO store VALUES (lower(hex(randomblob(8))));

CREATE TABLE experiment (
    id          INTEGER PRIMARY KEY,    -- number of the experiment
    name        TEXT NOT NULL UNIQUE CHECK (name <> ''), -- what the user calls it
    created_ms  INTEGER NOT NULL,       -- when it was first named
    deleted_ms  INTEGER,                -- when it was deleted, which hides it; NULL: it was not
    updated_ms  INTEGER,                -- last renamed, deleted or restored; NULL: as it was made
    artifact_location TEXT              -- where MLflow's clients put artifacts; NULL: with us
) STRICT;

CREATE TABLE experiment_tag (           -- what MLflow's clients write on an experiment
    experiment  INTEGER NOT NULL REFERENCES experiment (id), -- what is tagged
    key         TEXT NOT NULL CHECK (key <> ''), -- 'team'
    value       TEXT NOT NULL,          -- 'nlp'
    PRIMARY KEY (experiment, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE sweep (
    id          INTEGER PRIMARY KEY,    -- number of the sweep
    experiment  INTEGER NOT NULL REFERENCES experiment (id), -- what it belongs to
    name        TEXT NOT NULL CHECK (name <> ''), -- unique within its experiment
    file_json   TEXT NOT NULL CHECK (json_valid(file_json)), -- the sweep file's tree
    base_dir    TEXT NOT NULL,          -- folder where relative paths of the file start
    stopped     INTEGER NOT NULL DEFAULT 0 CHECK (stopped IN (0, 1)), -- 1: claims get nothing
    created_ms  INTEGER NOT NULL,       -- when it was first added
    note        TEXT,                   -- what the user wrote about it; NULL: nothing
    budget_json TEXT CHECK (json_valid(ifnull(budget_json, '{}'))), -- limits that claims keep to; NULL: none
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
        'failed', 'oom', 'nan', 'timeout', 'preempted', 'stale', 'cancelled', 'spared')), -- where it stands
    attempts    INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0), -- runs opened so far
    lost        INTEGER NOT NULL DEFAULT 0 CHECK (lost >= 0), -- leases lost since added or retried
    stop_asked  INTEGER NOT NULL DEFAULT 0 CHECK (stop_asked IN (0, 1)), -- 1: the run shall end
    last_run    INTEGER REFERENCES run (id), -- newest run; NULL: none yet
    summary_run INTEGER REFERENCES run (id), -- newest run that ended by itself: its summary counts
    created_ms  INTEGER NOT NULL,       -- when it was added
    parent      INTEGER REFERENCES trial (id), -- trial it is a clone of; NULL: none
    warm        INTEGER NOT NULL DEFAULT 0 CHECK (warm IN (0, 1)), -- 1: starts from the parent's weights
    note        TEXT,                   -- what the user wrote about it; NULL: nothing
    stop_as     TEXT CHECK (stop_as IN ('pruned', 'cancelled')), -- with stop_asked: state it ends in; NULL: preempted
    stop_reason TEXT,                   -- and why; why it was spared
    deleted_ms  INTEGER,                -- when it was deleted, which hides it; NULL: it was not
    origin      TEXT                    -- who made it: 'mlflow' a client of that API, 'shell' peftlab log; NULL: others
) STRICT;
-- The same trial twice is one trial; trials without a sweep are unique within their experiment.
CREATE UNIQUE INDEX trial_unique ON trial (experiment, ifnull(sweep, 0), key, seed);
-- Holds all that counting, and reckoning the time left, needs.
CREATE INDEX trial_by_sweep ON trial (sweep, state, last_run, predicted_s, deleted_ms);
CREATE INDEX trial_by_state ON trial (state);
CREATE INDEX trial_by_experiment ON trial (experiment, state, deleted_ms);
CREATE INDEX trial_by_parent ON trial (parent) WHERE parent IS NOT NULL;
CREATE INDEX trial_deleted ON trial (id) WHERE deleted_ms IS NOT NULL;
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
    cores       INTEGER NOT NULL DEFAULT 1 CHECK (cores >= 1), -- threads that it may use
    lease_mono_ms INTEGER,              -- lease_until_ms by the monotonic clock of owner_scope's boot, which its host goes by; NULL: not known
    until_step  INTEGER CHECK (until_step >= 0), -- update where it shall park; NULL: it goes to the end
    method_json TEXT CHECK (json_valid(ifnull(method_json, '{}'))), -- facts of the trainer's method; NULL: not known
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
    at_ms       INTEGER,                -- when, by whoever logged it; NULL: not known
    PRIMARY KEY (run, key, step),
    CHECK ((kind = 0) = (value IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- Of several values of a step metric has the last, by at_ms and value; the others are here, and
-- those of MLflow's steps below 0.
CREATE TABLE metric_more (
    run         INTEGER NOT NULL REFERENCES run (id), -- who logged it
    key         INTEGER NOT NULL REFERENCES metric_key (id), -- which
    step        INTEGER NOT NULL,       -- update number
    at_ms       INTEGER NOT NULL,       -- when, by whoever logged it
    value       REAL NOT NULL,          -- the number where kind is 0, else 0
    kind        INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 4), -- number, NaN, Inf, -Inf, -0
    PRIMARY KEY (run, key, step, at_ms, value, kind)
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
    stored      INTEGER NOT NULL DEFAULT 0 CHECK (stored IN (0, 1)), -- 1: a copy is under its sha256 in FILE.artifacts
    PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX artifact_by_sha256 ON artifact (sha256) WHERE sha256 IS NOT NULL;

CREATE TABLE tag (
    trial       INTEGER NOT NULL REFERENCES trial (id), -- what is tagged
    key         TEXT NOT NULL CHECK (key <> ''), -- 'owner'
    value       TEXT NOT NULL,          -- 'ana'; '' where the key says it all
    PRIMARY KEY (trial, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX tag_by_key ON tag (key, value);

CREATE TABLE run_param (                -- what a program said of its run of ours by MLflow's API
    run         INTEGER NOT NULL REFERENCES run (id), -- whose
    key         TEXT NOT NULL CHECK (key <> ''), -- 'optimizer'
    value       TEXT NOT NULL,          -- 'adamw'; what the sweep set is in trial.params_json
    PRIMARY KEY (run, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE dataset_input (            -- what data a run read, by what MLflow's clients say
    run         INTEGER NOT NULL REFERENCES run (id), -- who read it
    name        TEXT NOT NULL CHECK (name <> ''), -- 'sst2'
    digest      TEXT NOT NULL CHECK (digest <> ''), -- of its content, by the client
    source_type TEXT NOT NULL,          -- 'hugging_face', 'local', ...
    source      TEXT NOT NULL,          -- where it came from, often JSON
    schema      TEXT,                   -- its columns, JSON of the client; NULL: not said
    profile     TEXT,                   -- its size and the like, JSON of the client; NULL: not said
    context     TEXT,                   -- 'train', 'eval': the tag mlflow.data.context; NULL: none
    tags_json   TEXT NOT NULL CHECK (json_valid(tags_json)), -- [{"key", "value"}], that one too
    PRIMARY KEY (run, name, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE bench (                    -- one run of `peftlab bench`
    id          INTEGER PRIMARY KEY,    -- number of the bench
    file_json   TEXT NOT NULL CHECK (json_valid(file_json)), -- the bench file's tree, as it was run
    base_dir    TEXT NOT NULL,          -- folder where relative paths of the file start
    model       TEXT NOT NULL,          -- base as the file names it; '' where a server was asked
    target      TEXT NOT NULL,          -- 'engine': in its own process; else a server's address
    method      TEXT NOT NULL,          -- methods of the adapters, ', ' between; '' not known
    backend     TEXT NOT NULL,          -- 'cpu', 'cuda'; '' not known
    machine     TEXT NOT NULL,          -- processor and threads, in words, of who measured
    environment_json TEXT NOT NULL CHECK (json_valid(environment_json)), -- machine, program
    limit_ms    REAL,                   -- what p99 has to stay within; NULL: no limit
    requests_path TEXT,                 -- requests.csv, each request with its times; NULL: none
    started_ms  INTEGER NOT NULL,       -- when it began
    ended_ms    INTEGER                 -- when all was measured; NULL: it has not come to its end
) STRICT;

CREATE TABLE bench_setting (            -- so many adapters, asked so, with room for so many
    bench       INTEGER NOT NULL REFERENCES bench (id), -- where it was measured
    number      INTEGER NOT NULL CHECK (number >= 0), -- order in the bench, from 0
    kind        TEXT NOT NULL CHECK (kind IN ('base', 'merged', 'adapters')), -- what answered
    adapters    INTEGER NOT NULL CHECK (adapters >= 0), -- that requests went to; 0: the base alone
    popularity  TEXT NOT NULL,          -- 'zipf 1.1', 'uniform', ...
    slots       INTEGER CHECK (slots > 0), -- most adapters in memory; NULL: all
    tokens      REAL,                   -- of a request, mean; NULL: not known
    rate        REAL,                   -- highest requests per second within the limit; NULL: not looked for
    rate_low    REAL,                   -- its 95 % interval over seeds; NULL: one seed
    rate_high   REAL,                   -- upper end
    phi         REAL,                   -- rate over that of the base alone; NULL: one of both is missing
    phi_low     REAL,                   -- its 95 % interval over seeds, paired; NULL: one seed
    phi_high    REAL,                   -- upper end
    capacity    REAL,                   -- most requests per second of clients in a circle; NULL: not measured
    fixed_s     REAL,                   -- seconds of a batch: in any case; NULL: not known
    token_s     REAL,                   -- for each token
    row_s       REAL,                   -- for each row
    adapter_s   REAL,                   -- for each different adapter
    cold_s      REAL,                   -- for each adapter that was loaded for it
    residual_s  REAL,                   -- standard deviation of what is left over
    batches     INTEGER NOT NULL DEFAULT 0 CHECK (batches >= 0), -- that this was fitted to
    PRIMARY KEY (bench, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE bench_point (              -- a setting at one load, by one seed
    bench       INTEGER NOT NULL REFERENCES bench (id), -- where it was measured
    number      INTEGER NOT NULL CHECK (number >= 0), -- order in the bench, from 0; that of requests.csv
    setting     INTEGER NOT NULL CHECK (setting >= 0), -- bench_setting.number
    kind        TEXT NOT NULL CHECK (kind IN ('open', 'closed', 'trace')), -- how requests came
    load        REAL NOT NULL,          -- requests per second, of 'closed' clients
    seed        INTEGER NOT NULL CHECK (seed >= 0), -- of the plan
    sent        INTEGER NOT NULL,       -- requests that count
    answered    INTEGER NOT NULL,       -- of these
    refused     INTEGER NOT NULL,       -- of these
    failed      INTEGER NOT NULL,       -- of these
    cold        INTEGER NOT NULL,       -- of these: an adapter was loaded for it
    completed_per_s REAL,               -- answered per second
    goodput_per_s REAL,                 -- answered within the limit per second
    attainment  REAL,                   -- answered within the limit, share of those sent; NULL: no limit
    mean_ms     REAL,                   -- latency from the intended time
    p50_ms      REAL,                   -- its percentiles, with 95 % intervals by order statistics
    p50_low_ms  REAL,                   -- NULL ends: too few requests
    p50_high_ms REAL,                   -- upper end
    p95_ms      REAL,                   -- the 95th
    p95_low_ms  REAL,                   -- lower end
    p95_high_ms REAL,                   -- upper end
    p99_ms      REAL,                   -- the 99th
    p99_low_ms  REAL,                   -- lower end
    p99_high_ms REAL,                   -- upper end
    longest_ms  REAL,                   -- the largest
    growth      REAL,                   -- mean latency of the last third over the middle third
    generator_late INTEGER NOT NULL CHECK (generator_late IN (0, 1)), -- 1: the sender was the bottleneck, not to be used
    share       REAL,                   -- load over the setting's highest rate, where it was chosen by that
    simulated_p50_ms REAL,              -- what an event simulation of the same requests says; NULL: not simulated
    simulated_p95_ms REAL,              -- the same, the 95th
    simulated_p99_ms REAL,              -- the same, the 99th
    hot_p99_ms  REAL,                   -- of the adapter that was asked most
    median_p99_ms REAL,                 -- median over adapters that were asked often enough
    cold_p99_ms REAL,                   -- of the tenth of the adapters that were asked least
    fairness    REAL,                   -- least share within the limit of an adapter over the median one
    ttft_p50_ms REAL,                   -- intended time to first token; NULL, as the next: answers came in one piece
    ttft_p99_ms REAL,                   -- the 99th
    tpot_p50_ms REAL,                   -- from the first token to the last, for each
    tpot_p99_ms REAL,                   -- the 99th
    itl_p50_ms  REAL,                   -- between pieces as they came, of all answers
    itl_p99_ms  REAL,                   -- the 99th
    tokens_per_s REAL,                  -- tokens that were answered per second
    PRIMARY KEY (bench, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE bench_batch (              -- batches as they ran: what simulations draw from
    bench       INTEGER NOT NULL REFERENCES bench (id), -- where it ran
    setting     INTEGER NOT NULL CHECK (setting >= 0), -- bench_setting.number
    number      INTEGER NOT NULL CHECK (number >= 0), -- order among those kept, from 0
    point       INTEGER NOT NULL CHECK (point >= 0), -- bench_point.number
    rows        INTEGER NOT NULL CHECK (rows > 0), -- texts in it
    tokens      INTEGER NOT NULL CHECK (tokens > 0), -- of all rows
    adapters    INTEGER NOT NULL CHECK (adapters >= 0), -- different ones
    cold        INTEGER NOT NULL CHECK (cold >= 0), -- of these loaded for it
    seconds     REAL NOT NULL,          -- until the next could begin
    PRIMARY KEY (bench, setting, number)
) STRICT, WITHOUT ROWID;
