-- A store of version 2: that of v1.sql as version 2 upgraded it, with a tag, a note, and one run as a user's program has it.
PRAGMA application_id = 0x50454654;
PRAGMA user_version = 2;
BEGIN TRANSACTION;
CREATE TABLE artifact (
    run         INTEGER NOT NULL REFERENCES run (id), -- who made it
    name        TEXT NOT NULL CHECK (name <> ''), -- 'adapter', 'trace'
    path        TEXT NOT NULL,          -- file or folder
    bytes       INTEGER CHECK (bytes >= 0), -- size; NULL: not known
    sha256      TEXT,                   -- of a file's bytes, 64 hexadecimal digits; NULL: not taken
    at_ms       INTEGER NOT NULL, stored INTEGER NOT NULL DEFAULT 0 CHECK (stored IN (0, 1)),       -- when it was logged
    PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;
INSERT INTO "artifact" VALUES(1,'adapter','/home/ana/runs/1/adapter',NULL,NULL,1795521129958,0);
INSERT INTO "artifact" VALUES(2,'adapter','/home/ana/runs/2/adapter',NULL,NULL,1795521129778,0);
INSERT INTO "artifact" VALUES(3,'adapter','/home/ana/runs/3/adapter',NULL,NULL,1795521140464,0);
CREATE TABLE event (
    id          INTEGER PRIMARY KEY,    -- order of events
    run         INTEGER NOT NULL REFERENCES run (id), -- whom it happened to
    at_ms       INTEGER NOT NULL,       -- when
    kind        TEXT NOT NULL,          -- 'note', 'warning', 'checkpoint', ...
    text        TEXT NOT NULL           -- what
) STRICT;
INSERT INTO "event" VALUES(1,1,5,'note','it''s "so"
<b>');
CREATE TABLE experiment (
    id          INTEGER PRIMARY KEY,    -- number of the experiment
    name        TEXT NOT NULL UNIQUE CHECK (name <> ''), -- what the user calls it
    created_ms  INTEGER NOT NULL        -- when it was first named
) STRICT;
INSERT INTO "experiment" VALUES(1,'reviews',1795521126281);
CREATE TABLE metric (                   -- values with steps
    run         INTEGER NOT NULL REFERENCES run (id), -- who logged it
    key         INTEGER NOT NULL REFERENCES metric_key (id), -- which
    step        INTEGER NOT NULL CHECK (step >= 0), -- update number
    value       REAL,                   -- the number where kind is 0, else NULL
    kind        INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 4), -- number, NaN, Inf, -Inf, -0
    PRIMARY KEY (run, key, step),
    CHECK ((kind = 0) = (value IS NOT NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO "metric" VALUES(1,1,8,1.19389956630766391754e+00,0);
INSERT INTO "metric" VALUES(1,1,16,9.46408528834581375122e-01,0);
INSERT INTO "metric" VALUES(1,1,24,8.47894648090004920959e-01,0);
INSERT INTO "metric" VALUES(1,1,32,7.25595421157777309417e-01,0);
INSERT INTO "metric" VALUES(1,1,40,0.971679013222456,0);
INSERT INTO "metric" VALUES(1,1,48,8.22488745674490928649e-01,0);
INSERT INTO "metric" VALUES(1,1,56,7.38054640591144561767e-01,0);
INSERT INTO "metric" VALUES(1,1,999992,NULL,1);
INSERT INTO "metric" VALUES(1,1,999993,NULL,2);
INSERT INTO "metric" VALUES(1,1,999994,NULL,3);
INSERT INTO "metric" VALUES(1,1,999995,NULL,4);
INSERT INTO "metric" VALUES(1,2,8,5.02271898706082686736e-01,0);
INSERT INTO "metric" VALUES(1,2,16,4.15028066372693127394e-01,0);
INSERT INTO "metric" VALUES(1,2,24,1.85606572585116147422e-01,0);
INSERT INTO "metric" VALUES(1,2,32,1.95438268942541237827e-01,0);
INSERT INTO "metric" VALUES(1,2,40,2.70956156170109097036e-01,0);
INSERT INTO "metric" VALUES(1,2,48,2.77552377716063114476e-01,0);
INSERT INTO "metric" VALUES(1,2,56,0.487272650543561,0);
INSERT INTO "metric" VALUES(1,3,8,0.02625,0);
INSERT INTO "metric" VALUES(1,3,16,2.1964285714285710499e-02,0);
INSERT INTO "metric" VALUES(1,3,24,1.76785714285714289084e-02,0);
INSERT INTO "metric" VALUES(1,3,32,1.33928571428571438484e-02,0);
INSERT INTO "metric" VALUES(1,3,40,9.10714285714285531891e-03,0);
INSERT INTO "metric" VALUES(1,3,48,4.82142857142857199359e-03,0);
INSERT INTO "metric" VALUES(1,3,56,5.35714285714285632505e-04,0);
INSERT INTO "metric" VALUES(2,1,8,1.01473301369696855545e+00,0);
INSERT INTO "metric" VALUES(2,1,16,9.69022840261459350585e-01,0);
INSERT INTO "metric" VALUES(2,1,24,9.99249670654535293579e-01,0);
INSERT INTO "metric" VALUES(2,1,32,9.12871204316616058349e-01,0);
INSERT INTO "metric" VALUES(2,1,40,7.66776174306869506835e-01,0);
INSERT INTO "metric" VALUES(2,1,48,7.64878220856189727783e-01,0);
INSERT INTO "metric" VALUES(2,1,56,9.09903302788734436035e-01,0);
INSERT INTO "metric" VALUES(2,2,8,3.4537669989874025811e-01,0);
INSERT INTO "metric" VALUES(2,2,16,2.82921009034945158955e-01,0);
INSERT INTO "metric" VALUES(2,2,24,2.57993214379533097879e-01,0);
INSERT INTO "metric" VALUES(2,2,32,5.24075845754527480657e-01,0);
INSERT INTO "metric" VALUES(2,2,40,2.63471597139633806339e-01,0);
INSERT INTO "metric" VALUES(2,2,48,1.72736773325673081957e-01,0);
INSERT INTO "metric" VALUES(2,2,56,4.44671825717928070886e-01,0);
INSERT INTO "metric" VALUES(2,3,8,0.02625,0);
INSERT INTO "metric" VALUES(2,3,16,2.1964285714285710499e-02,0);
INSERT INTO "metric" VALUES(2,3,24,1.76785714285714289084e-02,0);
INSERT INTO "metric" VALUES(2,3,32,1.33928571428571438484e-02,0);
INSERT INTO "metric" VALUES(2,3,40,9.10714285714285531891e-03,0);
INSERT INTO "metric" VALUES(2,3,48,4.82142857142857199359e-03,0);
INSERT INTO "metric" VALUES(2,3,56,5.35714285714285632505e-04,0);
INSERT INTO "metric" VALUES(3,1,8,9.88123703747987747192e-01,0);
INSERT INTO "metric" VALUES(3,1,16,9.70137286931276321411e-01,0);
INSERT INTO "metric" VALUES(3,1,24,9.7392934747040271759e-01,0);
INSERT INTO "metric" VALUES(3,1,32,7.9075459204614162445e-01,0);
INSERT INTO "metric" VALUES(3,1,40,1.02168074995279312133e+00,0);
INSERT INTO "metric" VALUES(3,1,48,6.54562428593635559082e-01,0);
INSERT INTO "metric" VALUES(3,1,56,8.30884367227554321289e-01,0);
INSERT INTO "metric" VALUES(3,2,8,2.03428749116375956473e-01,0);
INSERT INTO "metric" VALUES(3,2,16,2.83693378547118180144e-01,0);
INSERT INTO "metric" VALUES(3,2,24,2.98268042868711447113e-01,0);
INSERT INTO "metric" VALUES(3,2,32,2.18756675968000441345e-01,0);
INSERT INTO "metric" VALUES(3,2,40,3.08735044177103734597e-01,0);
INSERT INTO "metric" VALUES(3,2,48,0.264243556732349,0);
INSERT INTO "metric" VALUES(3,2,56,4.451137462935916278e-01,0);
INSERT INTO "metric" VALUES(3,3,8,0.02625,0);
INSERT INTO "metric" VALUES(3,3,16,2.1964285714285710499e-02,0);
INSERT INTO "metric" VALUES(3,3,24,1.76785714285714289084e-02,0);
INSERT INTO "metric" VALUES(3,3,32,1.33928571428571438484e-02,0);
INSERT INTO "metric" VALUES(3,3,40,9.10714285714285531891e-03,0);
INSERT INTO "metric" VALUES(3,3,48,4.82142857142857199359e-03,0);
INSERT INTO "metric" VALUES(3,3,56,5.35714285714285632505e-04,0);
CREATE TABLE metric_key (
    id          INTEGER PRIMARY KEY,    -- number that metric and run_summary use
    name        TEXT NOT NULL UNIQUE CHECK (name <> '') -- slash name: 'eval/accuracy'
) STRICT;
INSERT INTO "metric_key" VALUES(1,'train/loss');
INSERT INTO "metric_key" VALUES(2,'train/grad_norm');
INSERT INTO "metric_key" VALUES(3,'train/learning_rate');
INSERT INTO "metric_key" VALUES(4,'eval/accuracy');
INSERT INTO "metric_key" VALUES(5,'eval/macro_f1');
INSERT INTO "metric_key" VALUES(6,'eval/loss');
INSERT INTO "metric_key" VALUES(7,'test/accuracy');
INSERT INTO "metric_key" VALUES(8,'test/macro_f1');
INSERT INTO "metric_key" VALUES(9,'test/loss');
INSERT INTO "metric_key" VALUES(10,'train/loss_last');
INSERT INTO "metric_key" VALUES(11,'train/updates');
INSERT INTO "metric_key" VALUES(12,'train/tokens');
INSERT INTO "metric_key" VALUES(13,'train/flops');
INSERT INTO "metric_key" VALUES(14,'time/train_s');
INSERT INTO "metric_key" VALUES(15,'time/step_ms_p50');
INSERT INTO "metric_key" VALUES(16,'throughput/tokens_per_s');
INSERT INTO "metric_key" VALUES(17,'throughput/samples_per_s');
INSERT INTO "metric_key" VALUES(18,'size/adapter_bytes');
INSERT INTO "metric_key" VALUES(19,'mem/weights_bytes');
INSERT INTO "metric_key" VALUES(20,'mem/trainable_bytes');
INSERT INTO "metric_key" VALUES(21,'mem/gradients_bytes');
INSERT INTO "metric_key" VALUES(22,'mem/optimizer_bytes');
INSERT INTO "metric_key" VALUES(23,'mem/activations_bytes');
INSERT INTO "metric_key" VALUES(24,'mem/workspace_bytes');
INSERT INTO "metric_key" VALUES(25,'mem/batch_bytes');
INSERT INTO "metric_key" VALUES(26,'mem/planned_bytes');
INSERT INTO "metric_key" VALUES(27,'mem/allocated_bytes');
INSERT INTO "metric_key" VALUES(28,'mem/peak_rss_bytes');
INSERT INTO "metric_key" VALUES(29,'latency/p50_ms');
INSERT INTO "metric_key" VALUES(30,'latency/p95_ms');
INSERT INTO "metric_key" VALUES(31,'latency/p99_ms');
INSERT INTO "metric_key" VALUES(32,'latency/p99_high_ms');
INSERT INTO "metric_key" VALUES(33,'latency/requests');
INSERT INTO "metric_key" VALUES(34,'time/eval_s');
INSERT INTO "metric_key" VALUES(35,'time/total_s');
INSERT INTO "metric_key" VALUES(36,'params/trainable');
INSERT INTO "metric_key" VALUES(37,'params/total');
INSERT INTO "metric_key" VALUES(38,'data/train_rows');
INSERT INTO "metric_key" VALUES(39,'data/truncated_rows');
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
    environment_json TEXT CHECK (json_valid(ifnull(environment_json, '{}'))), cores INTEGER NOT NULL DEFAULT 1 CHECK (cores >= 1), lease_mono_ms INTEGER, until_step INTEGER CHECK (until_step >= 0), -- machine, program; NULL: not said
    UNIQUE (trial, attempt)
) STRICT;
INSERT INTO "run" VALUES(1,1,1,'complete',0,NULL,'/home/ana/runs/trial-1/attempt-1',1795521126288,1795521137020,1795521137020,1795521166807,'desk','a1b4be90-456a-4da4-a5b2-517ef100d931 pid:[4026531836]',8732,469782,'{"peftlab_version": "0.1.0", "cpu": "AMD EPYC", "simd": "avx512", "cores": 2, "memory_bytes": 25276502016, "kernel": "Linux 6.18.44-fc-v669 x86_64", "host": "vm", "compiler": "gcc 12.2.0", "threads": 1, "backend": "cpu", "variant": "avx512", "sha256": {"model": "0548a1e6976ba980c4e668f2c41ad94cff2e5629f80704c3ed4b7f24ca8ed50b", "train_data": "3dfea6563b87dc73a6c6358e39210f65294e3b6c8f11a87f7b5a149df08ff371", "eval_data": "098cd2b4020161904247aa37feabb7d3b91fa384c805e38f645d48a7d9305c5e", "test_data": "812662b7dc7c7869c237e4674da8fad20a690a3392ccc89967007e4ae527f1a6"}}',1,NULL,NULL);
INSERT INTO "run" VALUES(2,2,1,'complete',0,NULL,'/home/ana/runs/trial-2/attempt-1',1795521126288,1795521136856,1795521136856,1795521166808,'desk','a1b4be90-456a-4da4-a5b2-517ef100d931 pid:[4026531836]',8733,469782,'{"peftlab_version": "0.1.0", "cpu": "AMD EPYC", "simd": "avx512", "cores": 2, "memory_bytes": 25276502016, "kernel": "Linux 6.18.44-fc-v669 x86_64", "host": "vm", "compiler": "gcc 12.2.0", "threads": 1, "backend": "cpu", "variant": "avx512", "sha256": {"model": "0548a1e6976ba980c4e668f2c41ad94cff2e5629f80704c3ed4b7f24ca8ed50b", "train_data": "3dfea6563b87dc73a6c6358e39210f65294e3b6c8f11a87f7b5a149df08ff371", "eval_data": "098cd2b4020161904247aa37feabb7d3b91fa384c805e38f645d48a7d9305c5e", "test_data": "812662b7dc7c7869c237e4674da8fad20a690a3392ccc89967007e4ae527f1a6"}}',1,NULL,NULL);
INSERT INTO "run" VALUES(3,3,1,'complete',0,NULL,'/home/ana/runs/trial-3/attempt-1',1795521136882,1795521147644,1795521147644,1795521177600,'desk','a1b4be90-456a-4da4-a5b2-517ef100d931 pid:[4026531836]',8837,470841,'{"peftlab_version":"0.1.0","cpu":"AMD EPYC","simd":"avx512","cores":2,"memory_bytes":25276502016,"kernel":"Linux 6.18.44-fc-v669 x86_64","host":"vm","compiler":"gcc 12.2.0","threads":1,"backend":"cpu","variant":"avx512","sha256":{"model":"0548a1e6976ba980c4e668f2c41ad94cff2e5629f80704c3ed4b7f24ca8ed50b","train_data":"3dfea6563b87dc73a6c6358e39210f65294e3b6c8f11a87f7b5a149df08ff371","eval_data":"098cd2b4020161904247aa37feabb7d3b91fa384c805e38f645d48a7d9305c5e","test_data":"812662b7dc7c7869c237e4674da8fad20a690a3392ccc89967007e4ae527f1a6"},"command":["python","train.py"]}',1,NULL,NULL);
CREATE TABLE run_summary (              -- one value per run
    run         INTEGER NOT NULL REFERENCES run (id), -- who logged it
    key         INTEGER NOT NULL REFERENCES metric_key (id), -- which
    value       REAL,                   -- the number where kind is 0, else NULL
    kind        INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 4), -- number, NaN, Inf, -Inf, -0
    PRIMARY KEY (run, key),
    CHECK ((kind = 0) = (value IS NOT NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO "run_summary" VALUES(1,4,4.90666666666666639873e-01,0);
INSERT INTO "run_summary" VALUES(1,5,3.5991608046402562282e-01,0);
INSERT INTO "run_summary" VALUES(1,6,1.02120652543087020447e+00,0);
INSERT INTO "run_summary" VALUES(1,7,4.91228070175438569222e-01,0);
INSERT INTO "run_summary" VALUES(1,8,3.4706312331483329947e-01,0);
INSERT INTO "run_summary" VALUES(1,9,1.02446875471973619653e+00,0);
INSERT INTO "run_summary" VALUES(1,10,7.38054640591144561767e-01,0);
INSERT INTO "run_summary" VALUES(1,11,56.0,0);
INSERT INTO "run_summary" VALUES(1,12,17248.0,0);
INSERT INTO "run_summary" VALUES(1,13,326271246336.0,0);
INSERT INTO "run_summary" VALUES(1,14,3.52327284799775952706e+00,0);
INSERT INTO "run_summary" VALUES(1,15,66.1392550000528,0);
INSERT INTO "run_summary" VALUES(1,16,4.89544827894946138263e+03,0);
INSERT INTO "run_summary" VALUES(1,17,2.27061608485596536869e+02,0);
INSERT INTO "run_summary" VALUES(1,18,4620.0,0);
INSERT INTO "run_summary" VALUES(1,19,90852864.0,0);
INSERT INTO "run_summary" VALUES(1,20,4672.0,0);
INSERT INTO "run_summary" VALUES(1,21,4672.0,0);
INSERT INTO "run_summary" VALUES(1,22,9344.0,0);
INSERT INTO "run_summary" VALUES(1,23,3926016.0,0);
INSERT INTO "run_summary" VALUES(1,24,3047424.0,0);
INSERT INTO "run_summary" VALUES(1,25,5504.0,0);
INSERT INTO "run_summary" VALUES(1,26,97850496.0,0);
INSERT INTO "run_summary" VALUES(1,27,97850496.0,0);
INSERT INTO "run_summary" VALUES(1,28,163180544.0,0);
INSERT INTO "run_summary" VALUES(1,29,5.0645184996938041877e+00,0);
INSERT INTO "run_summary" VALUES(1,30,1.1157207450105493862e+01,0);
INSERT INTO "run_summary" VALUES(1,31,2.61776365601781400025e+01,0);
INSERT INTO "run_summary" VALUES(1,32,5.90600389996325247921e+01,0);
INSERT INTO "run_summary" VALUES(1,33,300.0,0);
INSERT INTO "run_summary" VALUES(1,34,5.145836015999520896e+00,0);
INSERT INTO "run_summary" VALUES(1,35,1.0686530836999736493e+01,0);
INSERT INTO "run_summary" VALUES(1,36,1155.0,0);
INSERT INTO "run_summary" VALUES(1,37,22714371.0,0);
INSERT INTO "run_summary" VALUES(1,38,100.0,0);
INSERT INTO "run_summary" VALUES(1,39,3.0,0);
INSERT INTO "run_summary" VALUES(2,4,0.544,0);
INSERT INTO "run_summary" VALUES(2,5,3.88014831375318169914e-01,0);
INSERT INTO "run_summary" VALUES(2,6,1.01572163661795422662e+00,0);
INSERT INTO "run_summary" VALUES(2,7,5.1147098515519573425e-01,0);
INSERT INTO "run_summary" VALUES(2,8,3.57443732512273237844e-01,0);
INSERT INTO "run_summary" VALUES(2,9,1.01074653127520242001e+00,0);
INSERT INTO "run_summary" VALUES(2,10,9.09903302788734436035e-01,0);
INSERT INTO "run_summary" VALUES(2,11,56.0,0);
INSERT INTO "run_summary" VALUES(2,12,16312.0,0);
INSERT INTO "run_summary" VALUES(2,13,308208218112.0,0);
INSERT INTO "run_summary" VALUES(2,14,3.30222051699820440262e+00,0);
INSERT INTO "run_summary" VALUES(2,15,6.10907349996523407753e+01,0);
INSERT INTO "run_summary" VALUES(2,16,4.93970645389484434416e+03,0);
INSERT INTO "run_summary" VALUES(2,17,242.261228734421,0);
INSERT INTO "run_summary" VALUES(2,18,4620.0,0);
INSERT INTO "run_summary" VALUES(2,19,90852864.0,0);
INSERT INTO "run_summary" VALUES(2,20,4672.0,0);
INSERT INTO "run_summary" VALUES(2,21,4672.0,0);
INSERT INTO "run_summary" VALUES(2,22,9344.0,0);
INSERT INTO "run_summary" VALUES(2,23,4525056.0,0);
INSERT INTO "run_summary" VALUES(2,24,3538944.0,0);
INSERT INTO "run_summary" VALUES(2,25,6272.0,0);
INSERT INTO "run_summary" VALUES(2,26,98941824.0,0);
INSERT INTO "run_summary" VALUES(2,27,98941824.0,0);
INSERT INTO "run_summary" VALUES(2,28,164265984.0,0);
INSERT INTO "run_summary" VALUES(2,29,5.30221799999708309769e+00,0);
INSERT INTO "run_summary" VALUES(2,30,1.11649229991598986089e+01,0);
INSERT INTO "run_summary" VALUES(2,31,2.64314096494763361988e+01,0);
INSERT INTO "run_summary" VALUES(2,32,66.62310000047,0);
INSERT INTO "run_summary" VALUES(2,33,300.0,0);
INSERT INTO "run_summary" VALUES(2,34,5.12621277500056748976e+00,0);
INSERT INTO "run_summary" VALUES(2,35,1.0517480202999649919e+01,0);
INSERT INTO "run_summary" VALUES(2,36,1155.0,0);
INSERT INTO "run_summary" VALUES(2,37,22714371.0,0);
INSERT INTO "run_summary" VALUES(2,38,100.0,0);
INSERT INTO "run_summary" VALUES(2,39,3.0,0);
INSERT INTO "run_summary" VALUES(3,4,4.90666666666666639873e-01,0);
INSERT INTO "run_summary" VALUES(3,5,3.7078039395112566412e-01,0);
INSERT INTO "run_summary" VALUES(3,6,1.0202335350680626913e+00,0);
INSERT INTO "run_summary" VALUES(3,7,4.97975708502024272394e-01,0);
INSERT INTO "run_summary" VALUES(3,8,3.74606767941921159348e-01,0);
INSERT INTO "run_summary" VALUES(3,9,1.01402355781638209286e+00,0);
INSERT INTO "run_summary" VALUES(3,10,8.30884367227554321289e-01,0);
INSERT INTO "run_summary" VALUES(3,11,56.0,0);
INSERT INTO "run_summary" VALUES(3,12,16632.0,0);
INSERT INTO "run_summary" VALUES(3,13,314580971520.0,0);
INSERT INTO "run_summary" VALUES(3,14,3.45859327999733068281e+00,0);
INSERT INTO "run_summary" VALUES(3,15,6.36336279994793585501e+01,0);
INSERT INTO "run_summary" VALUES(3,16,4.80889155027006745491e+03,0);
INSERT INTO "run_summary" VALUES(3,17,2.31307914875905112233e+02,0);
INSERT INTO "run_summary" VALUES(3,18,4620.0,0);
INSERT INTO "run_summary" VALUES(3,19,90852864.0,0);
INSERT INTO "run_summary" VALUES(3,20,4672.0,0);
INSERT INTO "run_summary" VALUES(3,21,4672.0,0);
INSERT INTO "run_summary" VALUES(3,22,9344.0,0);
INSERT INTO "run_summary" VALUES(3,23,3796992.0,0);
INSERT INTO "run_summary" VALUES(3,24,2949120.0,0);
INSERT INTO "run_summary" VALUES(3,25,5312.0,0);
INSERT INTO "run_summary" VALUES(3,26,97622976.0,0);
INSERT INTO "run_summary" VALUES(3,27,97622976.0,0);
INSERT INTO "run_summary" VALUES(3,28,162942976.0,0);
INSERT INTO "run_summary" VALUES(3,29,5.34494600015023,0);
INSERT INTO "run_summary" VALUES(3,30,1.06891315999291727225e+01,0);
INSERT INTO "run_summary" VALUES(3,31,2.6700670679274473684e+01,0);
INSERT INTO "run_summary" VALUES(3,32,6.23666680003225337713e+01,0);
INSERT INTO "run_summary" VALUES(3,33,300.0,0);
INSERT INTO "run_summary" VALUES(3,34,5.20178193400079180719e+00,0);
INSERT INTO "run_summary" VALUES(3,35,1.07160848220000843862e+01,0);
INSERT INTO "run_summary" VALUES(3,36,1155.0,0);
INSERT INTO "run_summary" VALUES(3,37,22714371.0,0);
INSERT INTO "run_summary" VALUES(3,38,100.0,0);
INSERT INTO "run_summary" VALUES(3,39,3.0,0);
CREATE TABLE sweep (
    id          INTEGER PRIMARY KEY,    -- number of the sweep
    experiment  INTEGER NOT NULL REFERENCES experiment (id), -- what it belongs to
    name        TEXT NOT NULL CHECK (name <> ''), -- unique within its experiment
    file_json   TEXT NOT NULL CHECK (json_valid(file_json)), -- the sweep file's tree
    base_dir    TEXT NOT NULL,          -- folder where relative paths of the file start
    stopped     INTEGER NOT NULL DEFAULT 0 CHECK (stopped IN (0, 1)), -- 1: claims get nothing
    created_ms  INTEGER NOT NULL, note TEXT, budget_json TEXT CHECK (json_valid(ifnull(budget_json, '{}'))),       -- when it was first added
    UNIQUE (experiment, name)
) STRICT;
INSERT INTO "sweep" VALUES(1,1,'reviews','{"version": 1, "name": "reviews", "metric": {"name": "eval/macro_f1", "goal": "maximize"}, "method": "grid", "parameters": {"model": {"value": "../../models/all-MiniLM-L6-v2"}, "train_data": {"value": "train_400.jsonl"}, "eval_data": {"value": "dev.jsonl"}, "test_data": {"value": "test.jsonl"}, "method": {"values": ["head", "lora", "qlora", "adapter", "prefix", "full"]}, "max_train_samples": {"values": [100, 400]}, "rank": {"values": [4, 8], "when": "method in [lora, qlora]"}, "alpha": {"values": [8, 16], "when": "method in [lora, qlora]"}, "target_modules": {"values": [["query", "value"], "all-linear"], "when": "method in [lora, qlora]"}, "learning_rate": {"expr": "6e-3 if method in [lora, qlora, adapter] else 1e-4 if method == full else 3e-2"}, "num_train_epochs": {"expr": "8 if max_train_samples == 100 else 5"}, "batch_size": {"value": 16}, "max_length": {"value": 128}}, "exclude": [{"max_train_samples": 100, "rank": 4}, {"max_train_samples": 100, "alpha": 8}, {"max_train_samples": 100, "target_modules": "all-linear"}, {"method": "qlora", "rank": 4}, {"method": "qlora", "alpha": 8}, {"method": "qlora", "target_modules": "all-linear"}, {"target_modules": "all-linear", "rank": 4}, {"target_modules": "all-linear", "alpha": 8}], "seeds": [0, 1, 2]}','/home/ana/reviews',0,1795521126282,NULL,NULL);
CREATE TABLE tag (
    trial INTEGER NOT NULL REFERENCES trial (id),
    key   TEXT NOT NULL CHECK (key <> ''),
    value TEXT NOT NULL,
    PRIMARY KEY (trial, key)
) STRICT, WITHOUT ROWID;
INSERT INTO "tag" VALUES(1,'owner','ana');
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
, parent INTEGER REFERENCES trial (id), warm INTEGER NOT NULL DEFAULT 0 CHECK (warm IN (0, 1)), note TEXT, stop_as TEXT CHECK (stop_as IN ('pruned', 'cancelled')), stop_reason TEXT) STRICT;
INSERT INTO "trial" VALUES(1,1,1,0,'920752182351fa3da7261f724c72eecf6130aba22d806ecd70c713c0f1621b34',0,'/home/ana/reviews','{"adam_beta1":0.9,"adam_beta2":0.999,"adam_epsilon":1e-08,"batch_size":16,"double_quant":true,"dtype":"float32","eval_data":"dev.jsonl","eval_steps":0,"gradient_accumulation_steps":1,"gradient_checkpointing":false,"label_column":"label","label_smoothing_factor":0,"learning_rate":0.03,"lr_scheduler_type":"linear","max_grad_norm":1,"max_length":128,"max_steps":-1,"max_train_samples":100,"method":"head","model":"../../models/all-MiniLM-L6-v2","num_train_epochs":8,"optim":"adamw","quant_block_size":64,"quantization":"none","seed":0,"shuffle":true,"task":"seq-cls","test_data":"test.jsonl","text_column":"text","train_data":"train_400.jsonl","warmup_steps":0,"weight_decay":0}','{"model": "../../models/all-MiniLM-L6-v2", "train_data": "train_400.jsonl", "eval_data": "dev.jsonl", "test_data": "test.jsonl", "method": "head", "max_train_samples": 100, "learning_rate": 0.03, "num_train_epochs": 8, "batch_size": 16, "max_length": 128}',97850496,6.97338920544155804748e+00,'complete',1,0,0,1,1,1795521126282,NULL,0,'the one to beat',NULL,NULL);
INSERT INTO "trial" VALUES(2,1,1,1,'920752182351fa3da7261f724c72eecf6130aba22d806ecd70c713c0f1621b34',1,'/home/ana/reviews','{"adam_beta1":0.9,"adam_beta2":0.999,"adam_epsilon":1e-08,"batch_size":16,"double_quant":true,"dtype":"float32","eval_data":"dev.jsonl","eval_steps":0,"gradient_accumulation_steps":1,"gradient_checkpointing":false,"label_column":"label","label_smoothing_factor":0,"learning_rate":0.03,"lr_scheduler_type":"linear","max_grad_norm":1,"max_length":128,"max_steps":-1,"max_train_samples":100,"method":"head","model":"../../models/all-MiniLM-L6-v2","num_train_epochs":8,"optim":"adamw","quant_block_size":64,"quantization":"none","seed":1,"shuffle":true,"task":"seq-cls","test_data":"test.jsonl","text_column":"text","train_data":"train_400.jsonl","warmup_steps":0,"weight_decay":0}','{"model": "../../models/all-MiniLM-L6-v2", "train_data": "train_400.jsonl", "eval_data": "dev.jsonl", "test_data": "test.jsonl", "method": "head", "max_train_samples": 100, "learning_rate": 0.03, "num_train_epochs": 8, "batch_size": 16, "max_length": 128}',98941824,6.81886932482650465203e+00,'complete',1,0,0,2,2,1795521126282,NULL,0,NULL,NULL,NULL);
INSERT INTO "trial" VALUES(3,1,1,2,'920752182351fa3da7261f724c72eecf6130aba22d806ecd70c713c0f1621b34',2,'/home/ana/reviews','{"adam_beta1":0.9,"adam_beta2":0.999,"adam_epsilon":1e-08,"batch_size":16,"double_quant":true,"dtype":"float32","eval_data":"dev.jsonl","eval_steps":0,"gradient_accumulation_steps":1,"gradient_checkpointing":false,"label_column":"label","label_smoothing_factor":0,"learning_rate":0.03,"lr_scheduler_type":"linear","max_grad_norm":1,"max_length":128,"max_steps":-1,"max_train_samples":100,"method":"head","model":"../../models/all-MiniLM-L6-v2","num_train_epochs":8,"optim":"adamw","quant_block_size":64,"quantization":"none","seed":2,"shuffle":true,"task":"seq-cls","test_data":"test.jsonl","text_column":"text","train_data":"train_400.jsonl","warmup_steps":0,"weight_decay":0}','{"model": "../../models/all-MiniLM-L6-v2", "train_data": "train_400.jsonl", "eval_data": "dev.jsonl", "test_data": "test.jsonl", "method": "head", "max_train_samples": 100, "learning_rate": 0.03, "num_train_epochs": 8, "batch_size": 16, "max_length": 128}',97622976,6.87338749424028350176e+00,'complete',1,0,0,3,3,1795521126282,NULL,0,NULL,NULL,NULL);
INSERT INTO "trial" VALUES(4,1,1,3,'920752182351fa3da7261f724c72eecf6130aba22d806ecd70c713c0f1621b34w',0,'/home/ana/reviews','{"adam_beta1":0.9,"adam_beta2":0.999,"adam_epsilon":1e-08,"batch_size":16,"double_quant":true,"dtype":"float32","eval_data":"dev.jsonl","eval_steps":0,"gradient_accumulation_steps":1,"gradient_checkpointing":false,"label_column":"label","label_smoothing_factor":0,"learning_rate":0.03,"lr_scheduler_type":"linear","max_grad_norm":1,"max_length":128,"max_steps":-1,"max_train_samples":100,"method":"head","model":"../../models/all-MiniLM-L6-v2","num_train_epochs":8,"optim":"adamw","quant_block_size":64,"quantization":"none","seed":0,"shuffle":true,"task":"seq-cls","test_data":"test.jsonl","text_column":"text","train_data":"train_400.jsonl","warmup_steps":0,"weight_decay":0}','{"model": "../../models/all-MiniLM-L6-v2", "train_data": "train_400.jsonl", "eval_data": "dev.jsonl", "test_data": "test.jsonl", "method": "head", "max_train_samples": 100, "learning_rate": 0.03, "num_train_epochs": 8, "batch_size": 16, "max_length": 128}',NULL,NULL,'waiting',0,0,0,NULL,NULL,1795521126282,NULL,0,NULL,NULL,NULL);
CREATE UNIQUE INDEX trial_unique ON trial (experiment, ifnull(sweep, 0), key, seed);
CREATE INDEX trial_claimable ON trial (sweep, attempts, number, id)
    WHERE state IN ('waiting', 'preempted');
CREATE INDEX run_alive ON run (lease_until_ms) WHERE state = 'running';
CREATE INDEX event_by_run ON event (run);
CREATE INDEX trial_by_sweep ON trial (sweep, state, last_run, predicted_s);
CREATE INDEX trial_by_state ON trial (state);
CREATE INDEX trial_by_experiment ON trial (experiment, state);
CREATE INDEX trial_by_parent ON trial (parent) WHERE parent IS NOT NULL;
CREATE INDEX artifact_by_sha256 ON artifact (sha256) WHERE sha256 IS NOT NULL;
CREATE INDEX tag_by_key ON tag (key, value);
CREATE VIEW trial_view AS
SELECT trial.id, trial.sweep, (SELECT name FROM sweep WHERE sweep.id = trial.sweep) AS sweep_name,
       trial.experiment,
       (SELECT name FROM experiment WHERE experiment.id = trial.experiment) AS experiment_name,
       trial.number, trial.state, trial.seed, trial.key, trial.attempts, trial.params_json AS params, trial.config_json AS config,
       trial.predicted_bytes, trial.predicted_s, run.started_ms, run.ended_ms,
       max(run.ended_ms - run.started_ms, 0) +
           ifnull((SELECT sum(max(slice.ended_ms - slice.started_ms, 0)) FROM run AS slice
                    WHERE slice.trial = trial.id AND slice.id <> run.id
                      AND slice.until_step IS NOT NULL), 0) AS duration_ms, run.reason, trial.last_run AS run,
       trial.base_dir, trial.created_ms, trial.parent, trial.warm, trial.note
  FROM trial
  LEFT JOIN run ON run.id = trial.last_run;
CREATE VIEW summary_view AS
SELECT trial.id AS trial, metric_key.name AS key,
       CASE kind WHEN 0 THEN value WHEN 2 THEN 9e999 WHEN 3 THEN -9e999 WHEN 4 THEN -0.0 END AS value,
       CASE kind WHEN 0 THEN 'finite' WHEN 1 THEN 'nan' WHEN 2 THEN 'inf' WHEN 3 THEN '-inf'
                 ELSE '-0' END AS kind
  FROM trial
  JOIN run_summary ON run_summary.run = trial.summary_run
  JOIN metric_key ON metric_key.id = run_summary.key;
CREATE VIEW series_view AS
SELECT trial.id AS trial, metric_key.name AS key, step,
       CASE kind WHEN 0 THEN value WHEN 2 THEN 9e999 WHEN 3 THEN -9e999 WHEN 4 THEN -0.0 END AS value,
       CASE kind WHEN 0 THEN 'finite' WHEN 1 THEN 'nan' WHEN 2 THEN 'inf' WHEN 3 THEN '-inf'
                 ELSE '-0' END AS kind
  FROM trial
  JOIN metric ON metric.run = trial.last_run
  JOIN metric_key ON metric_key.id = metric.key;
CREATE VIEW param_view AS
SELECT trial.id AS trial, p.key AS key, CASE p.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false'
       ELSE p.value END AS value
  FROM trial, json_each(trial.params_json) AS p;
CREATE VIEW run_view AS
SELECT id, trial, attempt, state, exit_code, reason, run_dir, started_ms, ended_ms,
       max(ended_ms - started_ms, 0) AS duration_ms, heartbeat_ms, lease_until_ms, owner_host,
       owner_pid, environment_json AS environment, until_step,
       cores
  FROM run;
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
  LEFT JOIN trial ON trial.sweep = sweep.id
 GROUP BY sweep.id;
CREATE VIEW experiment_view AS
SELECT id, name, created_ms,
       (SELECT count(*) FROM sweep WHERE sweep.experiment = experiment.id) AS sweeps,
       (SELECT count(*) FROM trial WHERE trial.experiment = experiment.id) AS trials
  FROM experiment;
CREATE VIEW artifact_view AS
SELECT run.trial, artifact.run, artifact.name, artifact.path, artifact.bytes, artifact.sha256,
       artifact.at_ms, artifact.stored
  FROM artifact JOIN run ON run.id = artifact.run;
CREATE VIEW event_view AS
SELECT run.trial, event.run, event.id, event.at_ms, event.kind, event.text
  FROM event JOIN run ON run.id = event.run;
CREATE VIEW tag_view AS SELECT trial, key, value FROM tag;
COMMIT;
