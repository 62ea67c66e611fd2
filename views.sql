-- views.sql - what readers of a store use; see schema.sql and docs/store.md. Made anew whenever a
-- store is upgraded, so a change here needs a new version of the store but no script. What was
-- deleted (by MLflow's API, which can restore it) is in none of them.

-- One row per trial. Times, reason and run are those of its newest run; duration_ms counts the
-- slices before it too; method_facts holds what the newest run that told knows of it. Names are looked up one by
-- one, so that a count over many trials needs no join.
CREATE VIEW trial_view AS
SELECT trial.id, trial.sweep, (SELECT name FROM sweep WHERE sweep.id = trial.sweep) AS sweep_name,
       trial.experiment,
       (SELECT name FROM experiment WHERE experiment.id = trial.experiment) AS experiment_name,
       trial.number, trial.state, trial.seed, trial.key, trial.attempts, trial.params_json AS params, trial.config_json AS config,
       trial.predicted_bytes, trial.predicted_s, run.started_ms, run.ended_ms,
       max(run.ended_ms - run.started_ms, 0) +
           ifnull((SELECT sum(max(slice.ended_ms - slice.started_ms, 0)) FROM run AS slice
                    WHERE slice.trial = trial.id AND slice.id <> run.id
                      AND slice.until_step IS NOT NULL), 0) AS duration_ms,
       iif(trial.state = 'spared', trial.stop_reason, run.reason) AS reason, trial.last_run AS run,
       trial.base_dir, trial.created_ms, trial.parent, trial.warm, trial.note,
       (SELECT method_json FROM run WHERE run.trial = trial.id AND method_json IS NOT NULL
         ORDER BY attempt DESC LIMIT 1) AS method_facts, trial.origin
  FROM trial
  LEFT JOIN run ON run.id = trial.last_run
 WHERE trial.deleted_ms IS NULL;

-- Summary values of the newest run that ended by itself. value is NULL for NaN, so that avg() and
-- max() leave it out; kind tells ('finite', 'nan', 'inf', '-inf', '-0').
CREATE VIEW summary_view AS
SELECT trial.id AS trial, metric_key.name AS key,
       CASE kind WHEN 0 THEN value WHEN 2 THEN 9e999 WHEN 3 THEN -9e999 WHEN 4 THEN -0.0 END AS value,
       CASE kind WHEN 0 THEN 'finite' WHEN 1 THEN 'nan' WHEN 2 THEN 'inf' WHEN 3 THEN '-inf'
                 ELSE '-0' END AS kind
  FROM trial
  JOIN run_summary ON run_summary.run = trial.summary_run
  JOIN metric_key ON metric_key.id = run_summary.key
 WHERE trial.deleted_ms IS NULL;

-- Values by step of the newest run, also while it runs.
CREATE VIEW series_view AS
SELECT trial.id AS trial, metric_key.name AS key, step,
       CASE kind WHEN 0 THEN value WHEN 2 THEN 9e999 WHEN 3 THEN -9e999 WHEN 4 THEN -0.0 END AS value,
       CASE kind WHEN 0 THEN 'finite' WHEN 1 THEN 'nan' WHEN 2 THEN 'inf' WHEN 3 THEN '-inf'
                 ELSE '-0' END AS kind, at_ms
  FROM trial
  JOIN metric ON metric.run = trial.last_run
  JOIN metric_key ON metric_key.id = metric.key
 WHERE trial.deleted_ms IS NULL;

-- One row per trial and parameter, so that SQL needs no JSON.
CREATE VIEW param_view AS
SELECT trial.id AS trial, p.key AS key, CASE p.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false'
       ELSE p.value END AS value
  FROM trial, json_each(trial.params_json) AS p
 WHERE trial.deleted_ms IS NULL;

-- One row per parameter that a program of the user's logged by MLflow's API into its run.
CREATE VIEW run_param_view AS
SELECT run.trial, run_param.run, run_param.key, run_param.value
  FROM run_param JOIN run ON run.id = run_param.run
 WHERE run.trial NOT IN (SELECT id FROM trial WHERE deleted_ms IS NOT NULL);

-- One row per dataset that a run read, as MLflow's clients say it.
CREATE VIEW input_view AS
SELECT run.trial, dataset_input.run, name, context, digest, source_type, source, schema, profile
  FROM dataset_input JOIN run ON run.id = dataset_input.run
 WHERE run.trial NOT IN (SELECT id FROM trial WHERE deleted_ms IS NOT NULL);

-- One row per run (attempt).
CREATE VIEW run_view AS
SELECT id, trial, attempt, state, exit_code, reason, run_dir, started_ms, ended_ms,
       max(ended_ms - started_ms, 0) AS duration_ms, heartbeat_ms, lease_until_ms, owner_host,
       owner_pid, environment_json AS environment, until_step,
       cores, method_json AS method_facts
  FROM run
 WHERE trial NOT IN (SELECT id FROM trial WHERE deleted_ms IS NOT NULL);

-- One row per sweep with its trials counted.
CREATE VIEW sweep_view AS
SELECT sweep.id, sweep.name, sweep.experiment, experiment.name AS experiment_name, sweep.base_dir,
       sweep.stopped, sweep.created_ms, count(trial.id) AS trials,
       count(trial.id) FILTER (WHERE trial.state = 'complete') AS complete,
       count(trial.id) FILTER (WHERE trial.state = 'running') AS running,
       count(trial.id) FILTER (WHERE trial.state IN ('waiting', 'preempted')) AS waiting,
       count(trial.id) FILTER (WHERE trial.state IN ('failed', 'oom', 'nan', 'timeout', 'stale'))
           AS failed,
       sweep.note, sweep.budget_json AS budget
  FROM sweep
  JOIN experiment ON experiment.id = sweep.experiment
  LEFT JOIN trial ON trial.sweep = sweep.id AND trial.deleted_ms IS NULL
 WHERE experiment.deleted_ms IS NULL
 GROUP BY sweep.id;

-- One row per experiment with its sweeps and trials counted.
CREATE VIEW experiment_view AS
SELECT id, name, created_ms,
       (SELECT count(*) FROM sweep WHERE sweep.experiment = experiment.id) AS sweeps,
       (SELECT count(*) FROM trial
         WHERE trial.experiment = experiment.id AND trial.deleted_ms IS NULL) AS trials
  FROM experiment
 WHERE deleted_ms IS NULL;

-- What runs made and said, with the trial they belong to.
CREATE VIEW artifact_view AS
SELECT run.trial, artifact.run, artifact.name, artifact.path, artifact.bytes, artifact.sha256,
       artifact.at_ms, artifact.stored
  FROM artifact JOIN run ON run.id = artifact.run
 WHERE run.trial NOT IN (SELECT id FROM trial WHERE deleted_ms IS NOT NULL);

CREATE VIEW event_view AS
SELECT run.trial, event.run, event.id, event.at_ms, event.kind, event.text
  FROM event JOIN run ON run.id = event.run
 WHERE run.trial NOT IN (SELECT id FROM trial WHERE deleted_ms IS NOT NULL);

-- One row per trial and tag.
CREATE VIEW tag_view AS
SELECT trial, key, value FROM tag
 WHERE trial NOT IN (SELECT id FROM trial WHERE deleted_ms IS NOT NULL);

-- What `peftlab bench` measured: runs of it, settings, points, batches.
CREATE VIEW bench_view AS
SELECT id, file_json AS file, base_dir, model, target, method, backend, machine,
       environment_json AS environment, limit_ms, requests_path, started_ms, ended_ms,
       (SELECT count(*) FROM bench_point WHERE bench_point.bench = bench.id) AS points
  FROM bench;

CREATE VIEW bench_setting_view AS SELECT * FROM bench_setting;
CREATE VIEW bench_point_view AS
SELECT bench_point.*, bench_setting.kind AS answered_by, bench_setting.adapters,
       bench_setting.popularity, bench_setting.slots
  FROM bench_point
  JOIN bench_setting ON bench_setting.bench = bench_point.bench
                    AND bench_setting.number = bench_point.setting;
CREATE VIEW bench_batch_view AS SELECT * FROM bench_batch;
