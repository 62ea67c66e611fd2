-- tracker/store/upgrade_2.sql - from version 2 of a store to 3; views are made anew afterwards.
-- Runs of the trainer get the facts of their method as the rows of runner/nn/peft/methods.def said them when version 3
-- came (tests/unit/tracker/upgrade.c compares them). Those of a user's program and of foreign files have none.
ALTER TABLE run ADD COLUMN method_json TEXT CHECK (json_valid(ifnull(method_json, '{}')));
WITH method (name, changes_base, mergeable, quantisable, virtual_tokens, training_cost) AS (VALUES
        ('head',      'none',   'true',  'true',  'false', 1.0),
        ('full',      'all',    'true',  'false', 'false', 3.0),
        ('bitfit',    'biases', 'true',  'true',  'false', 2.0),
        ('ln-tuning', 'norms',  'true',  'true',  'false', 2.0),
        ('lora',      'none',   'true',  'true',  'false', 2.0),
        ('ia3',       'none',   'true',  'true',  'false', 2.0),
        ('vera',      'none',   'true',  'true',  'false', 2.0),
        ('adalora',   'none',   'true',  'true',  'false', 2.0),
        ('adapter',   'none',   'false', 'true',  'false', 2.0),
        ('prefix',    'none',   'false', 'true',  'true',  2.0),
        ('prompt',    'none',   'false', 'true',  'true',  2.0),
        ('p-tuning',  'none',   'false', 'true',  'true',  2.0)),
    said AS (
        SELECT run.id AS run, config_json ->> 'method' AS method,
               ifnull(config_json ->> 'quantization', 'none') AS bits,
               ifnull(config_json ->> 'bias', 'none') AS bias,
               config_json ->> 'use_dora' IS 1 AS dora, config_json ->> 'use_rslora' IS 1 AS rslora,
               config_json ->> 'init_lora_weights' IS 'pissa' AS pissa,
               config_json ->> 'init_lora_weights' IN ('pissa', 'olora') IS 1 AS taken_out
          FROM run JOIN trial ON trial.id = run.trial
         WHERE environment_json ->> 'peftlab_version' IS NOT NULL AND environment_json ->> 'command' IS NULL),
    called AS (
        SELECT *, CASE WHEN method <> 'lora' THEN method WHEN dora AND bits = 'nf4' THEN 'qdora' WHEN pissa THEN 'pissa'
                       WHEN dora THEN 'dora' WHEN rslora THEN 'rslora' WHEN bits = 'nf4' THEN 'qlora' ELSE 'lora' END AS name
          FROM said)
UPDATE run SET method_json = (
    SELECT json_object('name', called.name,
                       'shown', CASE WHEN bits = 'none' OR called.name IN ('qlora', 'qdora') THEN called.name
                                     ELSE called.name || ' on ' || bits END,
                       'method', called.method,
                       'changes_base', CASE WHEN called.method = 'lora' AND bias <> 'none' THEN 'biases' ELSE changes_base END,
                       'mergeable', json(mergeable), 'quantisable', json(iif(taken_out, 'false', quantisable)),
                       'quantised', json(iif(bits = 'none', 'false', 'true')),
                       'virtual_tokens', json(virtual_tokens), 'training_cost', training_cost)
      FROM called JOIN method ON method.name = called.method
     WHERE called.run = run.id);
CREATE TABLE store (
    id TEXT NOT NULL CHECK (id <> '')
) STRICT;
INSERT INTO store VALUES (lower(hex(randomblob(8))));
PRAGMA user_version = 3;
