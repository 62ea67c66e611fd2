#!/usr/bin/env bats
# Runs of other trackers, as their own writers left them (tests/golden/foreign).
bats_require_minimum_version 1.5.0
load common

setup_file() {
    find_program
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    export PEFTLAB_STORE=$BATS_TEST_TMPDIR/s.db
    RUNS=$ROOT/tests/golden/foreign
}

import() { # STATUS PATH...
    local status=$1
    shift
    run "-$status" "$PEFTLAB" import "$@"
}
says() { # SQL: one value, or lines
    "$PEFTLAB" query --format tsv "$1" | tail -n +2
}
# What the first W&B run of the two is on its own, to be changed.
one_run() {
    cp -r "$RUNS"/wandb/offline-run-20261129_191749-aaaa1111 run
    file=run/run-aaaa1111.wandb
    chmod u+w "$file"
}
long_ago() { # FILE or folder
    find "$1" -exec touch -d '2 hours ago' {} +
}

@test "a folder of W&B's runs: configuration, seed, state, tags, values; again adds nothing" {
    import 0 "$RUNS/wandb"
    has "2 trials added, 0 were known; 2 runs added" "left out: media (2), texts and lists in the history (7)"
    import 0 "$RUNS/wandb"
    has "0 trials added, 2 were known; 0 runs added"
    [ "$(says "SELECT experiment_name, key, t.state, seed, params ->> '\$.\"optim.name\"', params ->> 'late', exit_code FROM trial_view t JOIN run_view ON trial = t.id ORDER BY t.id")" = \
"reviews	wandb:aaaa1111	complete	7	adamw	yes	0
reviews	wandb:bbbb2222	failed	8			3" ]
    [ "$(says "SELECT group_concat(key) FROM param_view WHERE trial = 1")" = learning_rate,optim.name,optim.betas,late ]
    [ "$(says "SELECT group_concat(key || '=' || value, ' ') FROM (SELECT key, value FROM tag_view WHERE trial = 1 ORDER BY key)")" = \
        "bf16= group=lora job_type=train name=lora r8 nightly= wandb=aaaa1111" ]
    run -0 "$PEFTLAB" show 1
    has "first try" "look: at this" "files/output.log" "0.31.0"
}

@test "W&B's values: names, words for what is no number, a summary of its own" {
    import 0 "$RUNS/wandb"
    [ "$(says "SELECT step, value, kind FROM series_view WHERE trial = 1 AND key = 'train/loss' AND step IN (0, 4, 7)")" = \
"0	1.0	finite
4	0.25	finite
7		nan" ]
    [ "$(says "SELECT key, value, kind FROM summary_view WHERE trial = 1 AND key IN ('acc', 'acc.max', 'best', 'inf', 'ninf', 'nested.b.c', 'flag', 'jump') ORDER BY key")" = \
"acc	0.2	finite
acc.max	0.5	finite
best	0.75	finite
flag	1.0	finite
inf	Infinity	inf
jump	1.0	finite
nested.b.c	-4.0	finite
ninf	-Infinity	-inf" ]
    [ "$(says "SELECT count(*) FROM metric_key WHERE name LIKE '\\_%' ESCAPE '\\' OR name LIKE 'img%' OR name LIKE 'hist%'")" = 0 ]
}

@test "what define_metric draws over another metric has that one's values as its steps" {
    import 0 "$RUNS/wandb"
    [ "$(says "SELECT step, value FROM series_view WHERE trial = 1 AND key = 'valid/f1'")" = $'1\t0.6\n2\t0.8' ]
    [ "$(says "SELECT step FROM series_view WHERE trial = 1 AND key = 'epoch'")" = $'2\n5' ]
    [ "$(says "SELECT group_concat(step) FROM series_view WHERE trial = 2 AND key = 'eval/loss'")" = 50,100,150,200,250,300 ]
}

@test "an older W&B: names in another field, nested values as objects" {
    import 0 "$RUNS/wandb-0.16"
    has "1 trials added" "left out: media (1)"
    [ "$(says "SELECT experiment_name, params ->> 'lr', params ->> '\$.\"o.a\"' FROM trial_view")" = $'old\t0.1\t1' ]
    [ "$(says "SELECT group_concat(step || ':' || value) FROM series_view WHERE key = 'v/x'")" = 0:0.0,10:1.0,20:2.0,30:3.0 ]
    [ "$(says "SELECT value FROM summary_view WHERE key = 'n.a'")" = 3.0 ]
}

@test "a torn file of W&B: what is whole comes, the run has failed; while somebody writes it is left out" {
    one_run
    truncate -s 5000 "$file"
    exec 9>>"$file"
    import 0 "$file"
    exec 9>&-
    has "0 trials added" "left out: runs that are not over (1)"
    long_ago "$file"
    import 0 run
    has "1 trials added" "torn ends of files (1)"
    [ "$(says "SELECT state, reason FROM trial_view")" = $'failed\tended without a word' ]
    [ "$(says "SELECT count(*) FROM series_view WHERE key = 'train/loss'")" -ge 4 ]
}

@test "a damaged block of W&B: the next one is read" {
    cp "$RUNS"/wandb/*bbbb2222/*.wandb r.wandb
    chmod u+w r.wandb
    printf X | dd of=r.wandb bs=1 seek=20000 conv=notrunc status=none
    long_ago r.wandb
    import 0 r.wandb
    has "1 trials added" "damaged pieces of files"
    [ "$(says "SELECT state FROM trial_view")" = failed ]
    steps=$(says "SELECT group_concat(step) FROM series_view WHERE key = 'eval/loss'")
    [[ "$steps" == *,300 && "$steps" != *50,100,150,200,250,300 ]] || { echo "$steps"; false; }
}

@test "W&B's versions: 1 is read, 2 and other files are refused, nothing is taken" {
    one_run
    printf '\001' | dd of="$file" bs=1 seek=6 conv=notrunc status=none
    import 0 "$file"
    has "1 trials added"
    printf '\002' | dd of="$file" bs=1 seek=6 conv=notrunc status=none
    import 78 "$file" --experiment other
    has "run-aaaa1111.wandb: version 2 of W&B's format; this program reads 0 and 1"
    echo hello >x.wandb
    import 65 "$RUNS/wandb" x.wandb --experiment other
    has "x.wandb: no file of W&B"
    mkdir empty
    import 66 empty --format wandb
    has "'empty' holds no .wandb file"
}

@test "W&B's folders of one run are its attempts; --experiment says where to" {
    mkdir wandb
    cp -r "$RUNS"/wandb/*aaaa1111 wandb/
    cp -r "$RUNS"/wandb/*aaaa1111 wandb/offline-run-20261130_000000-aaaa1111
    import 0 . --experiment mine
    has "1 trials added, 1 were known; 2 runs added"
    [ "$(says "SELECT experiment_name, attempts FROM trial_view")" = $'mine\t2' ]
}

@test "what W&B takes out of a run's summary again is out, by the name that it has here" {
    one_run
    local update='\032\021\012\017\012\011eval_%s\202\001\0015' remove='\032\015\022\013\012\011eval_%s' record
    for record in "$update gone" "$update kept" "$remove gone"; do
        # shellcheck disable=SC2059
        printf "\\001${record% *}" "${record#* }" >record
        gzip -c record | tail -c 8 | head -c 4
        # shellcheck disable=SC2059
        printf "\\$(printf %o $(($(stat -c %s record) - 1)))\\0"
        cat record
    done >>"$file"
    import 0 "$file"
    has "1 trials added"
    lacks damaged torn
    [ "$(says "SELECT key, value FROM summary_view WHERE key IN ('eval/gone', 'eval/kept')")" = $'eval/kept\t5.0' ]
}

# ---- TensorBoard ----

@test "TensorBoard's folders: a run each, scalars of both kinds, configurations; again adds nothing" {
    import 0 "$RUNS/tensorboard"
    has "3 trials added" "left out: media and histograms (2), values that a restart wrote again (5)"
    import 0 "$RUNS/tensorboard"
    has "0 trials added, 3 were known; 0 runs added"
    import 0 "$RUNS/tensorboard/trainer"
    has "0 trials added, 1 were known; 0 runs added"
    [ "$(says "SELECT experiment_name, key, state, seed, params ->> 'optim', params ->> 'max_grad_norm', params ->> 'warm', params ->> 'lr' FROM trial_view ORDER BY id")" = \
"tensorboard	tensorboard:hparams	complete	3			1	0.1
tensorboard	tensorboard:tensors	complete	0				
tensorboard	tensorboard:trainer	complete	11	adamw_torch	Infinity		" ]
    [ "$(says "SELECT params ->> '\$.\"model_config.hidden_size\"' FROM trial_view WHERE id = 3")" = 8 ]
    [ "$(says "SELECT trial, text, at_ms > 1600000000000 FROM event_view WHERE kind = 'text'")" = $'1\tremark, step 0: a word\t1' ]
    [ "$(says "SELECT group_concat(step || ':' || value) FROM series_view WHERE trial = 2")" = 0:3.0,1:2.0,2:1.0 ]
}

@test "TensorBoard's restarted run: the later file counts from its first step on" {
    import 0 "$RUNS/tensorboard"
    [ "$(says "SELECT group_concat(step || ':' || round(value, 3)) FROM series_view WHERE trial = 3 AND key = 'train/loss'")" = \
        1:1.0,2:0.5,3:0.667,4:0.5,5:0.4,6:0.333 ]
    [ "$(says "SELECT key, value, kind FROM summary_view WHERE trial = 3 AND key IN ('eval/accuracy', 'odd') ORDER BY key")" = $'eval/accuracy\t0.6\tfinite\nodd\t\tnan' ]
}

@test "the hparams plug-in's only folder below a run belongs to it; two are runs of their own" {
    import 0 "$RUNS/tensorboard/hparams"
    [ "$(says "SELECT key, value FROM summary_view WHERE key NOT LIKE 'time/%' ORDER BY key")" = $'hparam/accuracy\t0.75\nloss\t0.0' ]
    cp -r "$RUNS/tensorboard/hparams" two
    cp -r two/set two/other
    import 0 two --experiment several
    has "3 trials added"
    [ "$(says "SELECT key FROM trial_view WHERE experiment_name = 'several' ORDER BY id")" = $'tensorboard:two\ntensorboard:two/other\ntensorboard:two/set' ]
}

@test "parts of a run in folders of their own are one run: Keras' train and validation, estimators' eval" {
    mkdir -p fit/one/train fit/one/validation fit/two/eval fit/test
    for d in fit/one/train fit/one/validation fit/two fit/two/eval fit/test; do
        cp "$RUNS"/tensorboard/tensors/* $d/
    done
    import 0 fit
    has "3 trials added"
    [ "$(says "SELECT key, group_concat(name) FROM (SELECT DISTINCT t.key, s.key AS name FROM trial_view t JOIN series_view s ON s.trial = t.id ORDER BY 1, 2) GROUP BY 1 ORDER BY 1")" = \
$'tensorboard:one\teval/loss,train/loss\ntensorboard:test\tloss\ntensorboard:two\teval/loss,loss' ]
    import 0 fit/one
    has "0 trials added, 1 were known"
    import 0 fit
    has "0 trials added, 3 were known"
}

@test "what add_scalars writes into folders are curves of the run: tensorboardX's and torch's" {
    mkdir -p fit/one/loss/a fit/one/loss_b/c fit/one/loss_d fit/one/other fit/loss_e
    for d in fit/one fit/one/loss/a fit/one/loss_b/c fit/one/loss_d fit/one/other fit/loss_e; do
        cp "$RUNS"/tensorboard/tensors/* $d/
    done
    import 0 fit
    has "3 trials added"
    [ "$(says "SELECT key, group_concat(name) FROM (SELECT DISTINCT t.key, s.key AS name FROM trial_view t JOIN series_view s ON s.trial = t.id ORDER BY 1, 2) GROUP BY 1 ORDER BY 1")" = \
$'tensorboard:loss_e\tloss\ntensorboard:one\tloss,loss/a,loss/b/c,loss/d\ntensorboard:one/other\tloss' ]
}

@test "TensorBoard's torn and damaged files" {
    mkdir -p a b
    cp "$RUNS"/tensorboard/tensors/* a/e.tfevents.1
    cp "$RUNS"/tensorboard/tensors/* b/e.tfevents.1
    chmod u+w ./?/*
    truncate -s -5 a/e.tfevents.1
    printf X | dd of=b/e.tfevents.1 bs=1 seek=$(($(stat -c %s b/e.tfevents.1) - 6)) conv=notrunc status=none
    long_ago a/e.tfevents.1
    long_ago b/e.tfevents.1
    import 0 a b
    has "2 trials added" "torn ends of files (1)" "damaged pieces of files (1)"
    [ "$(says "SELECT trial, group_concat(step) FROM series_view GROUP BY trial")" = $'1\t0,1\n2\t0,1' ]
    mkdir c
    echo "no record at all" >c/e.tfevents.1
    : >c/e.tfevents.2
    long_ago c/e.tfevents.2
    import 0 c
    has "0 trials added" "damaged pieces of files (1)" "folders without an event (1)"
    import 66 "$RUNS/wandb" --format tensorboard
    has "holds no event file"
}

# ---- Optuna ----

@test "Optuna's studies: sweeps with their objectives, what kept numbers mean, states, values; again adds nothing" {
    import 0 "$RUNS/optuna/studies.db"
    has "7 trials added, 0 were known; 7 runs added" "left out: trials that wait (1)"
    import 0 "$RUNS/optuna/studies.db"
    has "0 trials added, 7 were known; 0 runs added"
    [ "$(says "SELECT experiment_name, key, state, seed, params FROM trial_view ORDER BY id")" = \
'studies	optuna:tune/0	complete	0	{"learning_rate": 0.001, "rank": 8, "optimizer": "adamw", "bias": true}
studies	optuna:tune/1	pruned	0	{"learning_rate": 0.01, "rank": 4, "optimizer": "sgd", "bias": false}
studies	optuna:tune/2	failed	0	{"learning_rate": 0.1, "rank": 2, "optimizer": "None", "bias": false}
studies	optuna:both/0	complete	0	{"x": 0.0}
studies	optuna:both/1	complete	1	{"x": 0.5}
studies	optuna:both/2	complete	2	{"x": 1.0}
studies	optuna:both/3	failed	7	{"x": 1.0}' ]
    [ "$(says "SELECT trial, key, step, value, kind FROM series_view ORDER BY trial, step")" = \
'1	eval/accuracy	0	0.5	finite
1	eval/accuracy	1		nan
1	eval/accuracy	2	0.75	finite
2	eval/accuracy	0	0.25	finite
2	eval/accuracy	5	-Infinity	-inf' ]
    [ "$(says "SELECT trial, key, value FROM summary_view WHERE key NOT LIKE 'time/%' ORDER BY trial, key")" = \
'1	eval/accuracy	0.75
2	eval/accuracy	-Infinity
4	value_0	1.5
4	value_1	2.0
5	value_0	Infinity
5	value_1	-Infinity
6	value_0	0.5
6	value_1	4.0' ]
    [ "$(says "SELECT key, value FROM tag_view WHERE trial = 1 ORDER BY key")" = $'good\ttrue\ngpu\t{"n": 1}\nnote\tfirst\noptuna\ttune/0' ]
    [ "$(says "SELECT name, file_json ->> 'metric', file_json ->> 'objectives', note FROM sweep ORDER BY id")" = \
'tune	{"name":"eval/accuracy","goal":"maximize"}		data: reviews; rows: 400
both		[{"name":"value_0","goal":"minimize"},{"name":"value_1","goal":"maximize"}]	' ]
}

@test "report judges an imported study by its own objective" {
    import 0 "$RUNS/optuna/studies.db"
    run -0 "$PEFTLAB" report --sweep tune
    has "Take rank=8 optimizer=adamw bias=true" "eval/accuracy 0.750"
}

@test "Optuna's file with a log beside it: what stands in the log comes too, both stay as they are" {
    cp "$RUNS/optuna/studies.db" .
    chmod u+w studies.db
    sqlite3 studies.db "PRAGMA journal_mode = WAL" >log
    # Killed before it could write the log into the file
    printf '%s\n' ".system true" "UPDATE trial_values SET value = 0.875 WHERE trial_id = 1;" ".shell kill -9 \$PPID" |
        sqlite3 studies.db || true
    [ -s studies.db-wal ]
    sha256sum studies.db studies.db-wal >before
    rm -f studies.db-shm
    import 0 studies.db
    has "7 trials added"
    sha256sum -c before
    [ ! -e studies.db-shm ]
    [ "$(says "SELECT value FROM summary_view WHERE trial = 1 AND key = 'eval/accuracy'")" = 0.875 ]
}

@test "Optuna's trials that run: left out while somebody has the file open, else ended without a word" {
    cp "$RUNS/optuna/studies.db" .
    chmod u+w studies.db
    exec 9>>studies.db
    # what may change while it is read is read from a copy
    TMPDIR=$PWD/nowhere import 74 studies.db
    has "studies.db: cannot make" nowhere
    import 0 studies.db
    exec 9>&-
    has "6 trials added" "trials that wait (1)" "runs that are not over (1)"
    import 0 studies.db
    has "1 trials added, 6 were known; 1 runs added"
    [ "$(says "SELECT r.state, r.reason FROM run r JOIN trial t ON r.trial = t.id WHERE t.key = 'optuna:both/3'")" = $'failed\tended without a word' ]
}

@test "Optuna's other versions, other tables, damage, values that mean nothing" {
    cp "$RUNS/optuna/studies.db" .
    chmod u+w studies.db
    cp studies.db other.db
    sqlite3 other.db "UPDATE trial_params SET param_value = 9 WHERE trial_id = 1 AND param_name = 'optimizer'"
    import 0 other.db
    has "parameters of an unknown distribution (1)"
    sqlite3 other.db "UPDATE alembic_version SET version_num = 'v9.0.0.a'"
    import 78 other.db --experiment none
    has "other.db: version 'v9.0.0.a' of Optuna's storage; this program reads v3.0.0.d and v3.2.0.a"
    cp studies.db other.db
    sqlite3 other.db "ALTER TABLE trial_values RENAME COLUMN value_type TO kind"
    import 78 other.db --experiment none
    has "its tables are not those that this program reads: no such column: value_type"
    sqlite3 other.db "ALTER TABLE trial_values RENAME TO t; CREATE VIEW trial_values AS SELECT * FROM t"
    import 78 other.db --experiment none
    has "it is no storage of Optuna: it has no table 'trial_values'"
    head -c 20000 studies.db >other.db
    import 65 other.db --format optuna
    has "other.db: the file is damaged"
    echo hello >other.db
    import 65 other.db --format optuna
    has "other.db: it is no SQLite file"
    import 66 missing.db --format optuna
    [ "$(says "SELECT count(*) FROM experiment WHERE name = 'none'")" = 0 ]
}

# ---- MLflow ----

@test "MLflow's store: experiments, typed parameters, seed, states, tags, values; deleted ones stay; again adds nothing" {
    import 0 "$RUNS/mlflow/store.db"
    has "5 trials added, 0 were known; 5 runs added" "left out: deleted runs (2)"
    import 0 "$RUNS/mlflow/store.db"
    has "0 trials added, 5 were known; 0 runs added"
    [ "$(says "SELECT experiment_name, tag.value, t.state, seed, params, note FROM trial_view t JOIN tag_view tag ON trial = t.id AND tag.key = 'name' ORDER BY t.id")" = \
'reviews	lora r8	complete	3	{"bf16": true, "empty": "", "learning_rate": 0.001, "note": "007", "nothing": "None", "optim/name": "adamw", "rank": 8}	the first one
reviews	child	complete	0	{"rank": 4}	
reviews	bad	failed	0	{}	
reviews	stopped	cancelled	0	{}	
reviews	open	failed	0	{}	' ]
    [ "$(says "SELECT key, step, value, kind FROM series_view WHERE trial = 1 ORDER BY key, step")" = \
'accuracy	0	0.75	finite
eval/loss	0	1.0	finite
eval/loss	10	0.5	finite
eval/loss	20	0.125	finite
train/x	0		nan
train/x	1	Infinity	inf
train/x	2	-Infinity	-inf' ]
    [ "$(says "SELECT value FROM summary_view WHERE trial = 1 AND key = 'eval/loss'")" = 0.125 ]
    [ "$(says "SELECT key, value FROM tag_view WHERE trial = 1 AND key NOT IN ('mlflow', 'name') ORDER BY key")" = $'mlflow.user\tann\nteam\thelp desk' ]
    # the child says who its parent is, by the name that MLflow gave it
    [ "$(says "SELECT count(*) FROM tag_view c JOIN tag_view p ON p.value = c.value AND p.key = 'mlflow' WHERE c.key = 'mlflow.parentRunId' AND c.trial = 2 AND p.trial = 1")" = 1 ]
    [ "$(says "SELECT started_ms, ended_ms FROM run WHERE trial = 1")" = $'1700000000000\t1700000060000' ]
    [ "$(says "SELECT value FROM summary_view WHERE trial = 1 AND key = 'time/total_s'")" = 60.0 ]
}

@test "MLflow's runs that go on, other versions and tables" {
    cp "$RUNS/mlflow/store.db" .
    chmod u+w store.db
    exec 9>>store.db
    import 0 store.db
    exec 9>&-
    has "4 trials added" "runs that are not over (1)"
    import 0 store.db
    has "1 trials added, 4 were known; 1 runs added"
    [ "$(says "SELECT count(*) FROM run WHERE state = 'failed' AND reason = 'ended without a word'")" = 1 ]
    sqlite3 store.db "ALTER TABLE metrics RENAME COLUMN is_nan TO nan"
    import 78 store.db --experiment none
    has "its tables are not those that this program reads: no such column: is_nan"
    sqlite3 store.db "ALTER TABLE runs DROP COLUMN deleted_time"
    import 78 store.db --experiment none
    has "store.db: version 'dc11669786a5' of MLflow's store, from before August 2022; 'mlflow db upgrade' renews it"
    import 78 "$RUNS/optuna/studies.db" --format mlflow
    has "it is no store of MLflow: it has no table 'experiments'"
    [ "$(says "SELECT count(*) FROM experiment WHERE name = 'none'")" = 0 ]
}

# ---- Trackio ----

@test "Trackio's file: the project, configurations, values and their words, alerts; again adds nothing" {
    import 0 "$RUNS/trackio/desk.db"
    has "2 trials added, 0 were known; 2 runs added" "texts, media and tables among values (8)"
    import 0 "$RUNS/trackio/desk.db"
    has "0 trials added, 2 were known; 0 runs added"
    [ "$(says "SELECT experiment_name, tag.value, t.state, seed, params FROM trial_view t JOIN tag_view tag ON trial = t.id AND tag.key = 'name' ORDER BY t.id")" = \
'desk	first	complete	3	{"lr": 0.1, "optim.name": "adamw", "note": "ü"}
desk	second	complete	4	{"lr": 0.01, "optim.name": "adamw", "note": "ü"}' ]
    [ "$(says "SELECT key, step, value, kind FROM series_view WHERE trial = 1 AND key IN ('bad', 'eval/accuracy', 'inner.a') AND step >= 20 ORDER BY key, step")" = \
'bad	20		nan
bad	30	Infinity	inf
eval/accuracy	20	0.7	finite
eval/accuracy	30	0.8	finite
inner.a	20	2.0	finite
inner.a	30	3.0	finite' ]
    [ "$(says "SELECT text FROM event_view WHERE kind = 'alert' AND trial = 1")" = "slow: gpu idle" ]
}

@test "Trackio's files of before runs had identifiers, and runs that somebody writes" {
    cp "$RUNS/trackio/desk.db" old.db
    chmod u+w old.db
    sqlite3 old.db "CREATE TABLE m AS SELECT id, timestamp, run_name, step, metrics FROM metrics; DROP TABLE metrics; ALTER TABLE m RENAME TO metrics;
        CREATE TABLE c AS SELECT id, run_name, config, created_at FROM configs; DROP TABLE configs; ALTER TABLE c RENAME TO configs; DROP TABLE alerts"
    import 0 old.db
    [ "$(says "SELECT experiment_name, tag.value FROM trial_view t JOIN tag_view tag ON trial = t.id AND tag.key = 'trackio' ORDER BY t.id")" = $'old\tfirst\nold\tsecond' ]
    sqlite3 old.db "UPDATE metrics SET timestamp = '2026-01-01T00:00:00+00:00' WHERE run_name = 'first';
        UPDATE metrics SET timestamp = strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now') WHERE run_name = 'second'"
    exec 9>>old.db
    import 0 old.db --experiment again
    exec 9>&-
    has "1 trials added" "runs that are not over (1)"
    sqlite3 old.db "INSERT INTO configs VALUES (9, 'third', '{}', '2026-01-01'); UPDATE configs SET config = '[1]' WHERE run_name = 'first'"
    import 0 old.db --experiment more
    has "2 trials added" "configurations that are no JSON object (1)" "runs without a value (1)"
    sqlite3 old.db "ALTER TABLE metrics RENAME COLUMN step TO n"
    import 78 old.db --experiment none
    has "old.db: its tables are not those that this program reads: no such column: step"
}

# ---- MLflow's folder ----

@test "mlruns: the same runs as in the store, its one experiment too; what goes on is left out; again adds nothing" {
    cp -r "$RUNS/mlruns" .
    chmod -R u+w mlruns
    long_ago mlruns
    local id
    id=$(dirname mlruns/*/*/params/rank | head -1 | cut -d / -f 2)
    touch "$(dirname "$(grep -l 'run_name: open' mlruns/*/*/meta.yaml)")/metrics/accuracy"
    import 0 "mlruns/$id"
    has "4 trials added" "runs that are not over (1)" "deleted runs (1)"
    long_ago mlruns
    import 0 mlruns
    has "1 trials added, 4 were known; 1 runs added"
    import 0 mlruns
    has "0 trials added, 5 were known; 0 runs added"
    local rows="SELECT experiment_name, tag.value, t.state, seed, params, note FROM trial_view t JOIN tag_view tag ON trial = t.id AND tag.key = 'name' ORDER BY 2"
    local values="SELECT s.key, step, s.value, kind, tag.value FROM series_view s JOIN tag_view tag ON tag.trial = s.trial AND tag.key = 'name' ORDER BY 1, 2, 5"
    local folder_rows folder_values
    folder_rows=$(says "$rows")
    folder_values=$(says "$values")
    rm "$PEFTLAB_STORE"*
    import 0 "$RUNS/mlflow/store.db"
    [ "$(says "$rows")" = "$folder_rows" ]
    [ "$(says "$values")" = "$folder_values" ]
    mkdir empty
    import 66 empty --format mlruns
    has "'empty' holds no meta.yaml"
    echo "what is this" >>"mlruns/$id/meta.yaml"
    import 65 mlruns
    has "mlruns/$id/meta.yaml"
}

@test "mlruns: lines and numbers that mean nothing are counted, one line never runs into the next; what began just now is left out" {
    cp -r "$RUNS/mlruns" .
    chmod -R u+w mlruns
    local run
    run=$(dirname "$(dirname mlruns/*/*/params/rank | head -1)")
    rm -r mlruns/.trash "$run"/metrics/*
    printf '1 0.5 \n77 0.25 3\n12\n 0.5 9\n' >"$run/metrics/short"
    printf '1 0.5 1 data 9a\r\n2 0.5 1.5\n3 0.5abc 4\n4.5 6 7\n5 0.5 x\n' >"$run/metrics/long"
    printf '1 0.5 99999999999999999999\n2 0.75 9223372036854775807\n' >"$run/metrics/huge"
    printf '1 0.5 1\n\0\0\0\n1 0.5 2\0\n3 0.5 3' >"$run/metrics/nuls"
    printf 12345678901234567890 >"$run/params/id"
    long_ago mlruns
    mkdir "$run/../new"
    sed -e 's/^run_id: .*/run_id: new/' "$(grep -l 'run_name: open' mlruns/*/*/meta.yaml)" >"$run/../new/meta.yaml"
    import 0 mlruns
    has "5 trials added" "lines that are no values (9)" "runs that are not over (1)"
    [ "$(says "SELECT key, step, value FROM series_view WHERE key IN ('short', 'long', 'huge', 'nuls') ORDER BY key, step")" = \
'huge	9223372036854775807	0.75
long	1	0.5
nuls	1	0.5
nuls	3	0.5
short	0	0.5
short	3	0.25' ]
    [ "$(says "SELECT params ->> 'id' || typeof(params ->> 'id') FROM trial_view WHERE params ->> 'rank' = 8")" = 12345678901234567890text ]
}

# ---- files that grow ----

# A copy of a folder or file that nobody writes any more.
quiet_copy() { # FROM TO
    rm -rf "$2"
    cp -r "$1" "$2"
    chmod -R u+w "$2"
    long_ago "$2"
}

@test "a run that was cut off goes on with the next copy of its file: W&B" {
    one_run
    cp "$file" whole
    truncate -s 5000 "$file"
    long_ago run
    import 0 run
    had=$(says "SELECT count(*) FROM series_view")
    import 0 run
    has "0 trials added, 1 were known; 0 runs added"
    lacks "went on"
    cp whole "$file"
    import 0 run
    has "0 trials added, 1 were known; 0 runs added, 1 went on"
    import 0 run
    lacks "went on"
    [ "$(says "SELECT count(*) FROM series_view")" -gt "$had" ]
    [ "$(says "SELECT t.state, ifnull(t.reason, '-'), exit_code, params ->> 'late' FROM trial_view t JOIN run_view r ON r.trial = t.id")" = $'complete\t-\t0\tyes' ]
    # all as if it had come whole
    values="SELECT key, step, value, kind, at_ms FROM series_view ORDER BY 1, 2"
    results="SELECT key, value, kind FROM summary_view ORDER BY 1"
    says "$values" >grown
    says "$results" >>grown
    PEFTLAB_STORE=new.db import 0 run
    PEFTLAB_STORE=new.db says "$values" >new
    PEFTLAB_STORE=new.db says "$results" >>new
    cmp grown new
}

@test "a run that was cut off goes on with the next copy of its file: TensorBoard, also over a restart" {
    mkdir -p one/r
    for f in "$RUNS"/tensorboard/trainer/*; do files+=("$f"); done
    cp "${files[0]}" one/r/
    chmod u+w one/r/*
    truncate -s -40 one/r/*
    long_ago one
    import 0 one
    had=$(says "SELECT count(*) FROM series_view")
    rm -rf one/r
    cp -r "$RUNS/tensorboard/trainer" one/r
    import 0 one
    has "0 trials added, 1 were known" "1 went on"
    [ "$(says "SELECT count(*) FROM series_view")" -gt "$had" ]
    [ "$(says "SELECT group_concat(step || ':' || round(value, 3)) FROM series_view WHERE key = 'train/loss'")" = \
        1:1.0,2:0.5,3:0.667,4:0.5,5:0.4,6:0.333 ]
}

@test "a run that was cut off goes on with the next copy of its file: MLflow, Optuna, Trackio, mlruns" {
    quiet_copy "$RUNS/mlflow/store.db" store.db
    quiet_copy "$RUNS/optuna/studies.db" studies.db
    quiet_copy "$RUNS/trackio/desk.db" desk.db
    quiet_copy "$RUNS/mlruns" mlruns
    local run metric
    metric=$(find mlruns -path '*/metrics/eval_loss' | head -1)
    run=$(dirname "$(dirname "$metric")")
    cp "$metric" eval_loss
    cp "$run/meta.yaml" meta.yaml
    sqlite3 store.db "CREATE TABLE m AS SELECT * FROM metrics WHERE key = 'eval_loss' AND step = 20; DELETE FROM metrics WHERE key = 'eval_loss' AND step = 20;
        UPDATE runs SET status = 'RUNNING', end_time = NULL WHERE name = 'lora r8'"
    sqlite3 studies.db "CREATE TABLE v AS SELECT * FROM trial_values WHERE trial_id = 1; DELETE FROM trial_values WHERE trial_id = 1; UPDATE trials SET state = 'RUNNING' WHERE trial_id = 1"
    sqlite3 desk.db "CREATE TABLE m AS SELECT * FROM metrics WHERE step >= 20; DELETE FROM metrics WHERE step >= 20"
    sed -i '$d' "$metric"
    sed -i 's/^status: .*/status: 1/; s/^end_time: .*/end_time: null/' "$run/meta.yaml"
    for f in store.db studies.db desk.db mlruns; do
        long_ago "$f"
        import 0 "$f" --experiment "$f"
        import 0 "$f" --experiment "$f"
        lacks "went on"
    done
    sqlite3 store.db "INSERT INTO metrics SELECT * FROM m; DROP TABLE m; UPDATE runs SET status = 'FINISHED', end_time = 1700000060000 WHERE name = 'lora r8'"
    sqlite3 studies.db "INSERT INTO trial_values SELECT * FROM v; DROP TABLE v; UPDATE trials SET state = 'COMPLETE' WHERE trial_id = 1"
    sqlite3 desk.db "INSERT INTO metrics SELECT * FROM m; DROP TABLE m"
    cp eval_loss "$metric"
    cp meta.yaml "$run/meta.yaml"
    for f in store.db studies.db desk.db mlruns; do
        long_ago "$f"
        import 0 "$f" --experiment "$f"
        has "0 trials added" "0 runs added" "went on"
        import 0 "$f" --experiment "$f"
        lacks "went on"
        PEFTLAB_STORE=new.db import 0 "$f" --experiment "$f"
    done
    all="SELECT experiment_name, t.key, t.state, reason, s.key, step, value, kind FROM trial_view t LEFT JOIN series_view s ON s.trial = t.id ORDER BY 1, 2, 5, 6"
    says "$all" >grown
    PEFTLAB_STORE=new.db says "$all" >new
    cmp grown new
}

@test "--running takes runs that go on as far as they have come, and the rest when it is there" {
    one_run
    cp "$file" whole
    truncate -s 5000 "$file"
    quiet_copy "$RUNS/optuna/studies.db" studies.db
    exec 9>>"$file" 8>>studies.db
    import 0 run studies.db --running
    exec 9>&- 8>&-
    has "8 trials added" "left out:"
    lacks "not over"
    [ "$(says "SELECT key, state, reason FROM trial_view WHERE state = 'stale'")" = \
$'wandb:aaaa1111\tstale\twent on when it was imported\noptuna:both/3\tstale\twent on when it was imported' ]
    long_ago run
    import 0 run studies.db
    has "0 trials added" "2 went on"
    [ "$(says "SELECT state, reason FROM trial_view WHERE key = 'wandb:aaaa1111'")" = $'failed\tended without a word' ]
    cp whole "$file"
    import 0 run
    has "1 went on"
    [ "$(says "SELECT state FROM trial_view WHERE key = 'wandb:aaaa1111'")" = complete ]
}

@test "what really differs, and what is not there any more, is refused by its first difference" {
    quiet_copy "$RUNS/mlflow/store.db" store.db
    import 0 store.db
    sqlite3 store.db "UPDATE metrics SET value = 0.25 WHERE key = 'eval_loss' AND step = 10; INSERT INTO metrics SELECT key, value, timestamp, run_uuid, 30, is_nan FROM metrics WHERE key = 'eval_loss' AND step = 20"
    long_ago store.db
    import 78 store.db
    has "store.db: mlflow, run" "known with eval/loss at step 10 = 0.5, here it is 0.25"
    sqlite3 store.db "DELETE FROM metrics WHERE key = 'eval_loss' AND step = 10"
    long_ago store.db
    import 78 store.db
    has "known with a value of eval/loss at step 10, which is not there any more"
    [ "$(says "SELECT group_concat(step) FROM series_view WHERE trial = 1 AND key = 'eval/loss'")" = 0,10,20 ]
}

@test "a journal that names another file: that is neither read nor deleted" {
    quiet_copy "$RUNS/optuna/studies.db" studies.db
    echo mine >other
    # as of a transaction over several files that was cut off; SQLite reads the file that it names, and deletes it
    python3 - studies.db "$PWD/other" <<'END'
import os, struct, sys
db, other = sys.argv[1:3]
with open(db, "rb") as f:
    page = struct.unpack(">H", f.read(18)[16:])[0]
mark = bytes.fromhex("d9d505f920a163d7")
head = struct.pack(">8sIIIII", mark, 0, 0, os.path.getsize(db) // page, 512, page).ljust(512, b"\0")
name = other.encode()
with open(db + "-journal", "wb") as f:
    f.write(head + struct.pack(">I", 0x40000000 // page + 1) + name + struct.pack(">II8s", len(name), sum(name), mark))
END
    import 74 studies.db --format optuna
    has "studies.db: cannot read it"
    [ "$(cat other)" = mine ]
    # where the other file is gone the transaction is over
    rm other
    import 0 studies.db
    has "trials added"
}

@test "whatever ends an import, nothing of a copy is left" {
    quiet_copy "$RUNS/optuna/studies.db" studies.db
    sqlite3 studies.db "CREATE TABLE big (b); INSERT INTO big SELECT randomblob(1000000) FROM (SELECT 1 FROM trial_params, trial_params LIMIT 200)"
    mkdir tmp
    exec 9>>studies.db # so that it is read from a copy
    for pause in 0 0.002 0.005 0.01 0.02 0.04 0.08 0.16; do
        TMPDIR=$PWD/tmp "$PEFTLAB" import studies.db --experiment "e$pause" >out 2>&1 9>&- &
        pid=$!
        sleep $pause
        kill -9 $pid 2>/dev/null || true
        wait $pid || true
        [ -z "$(ls -A tmp)" ]
    done
    TMPDIR=$PWD/tmp import 0 studies.db
    exec 9>&-
    has "trials added"
    [ -z "$(ls -A tmp)" ]
}
