#!/usr/bin/env bats
# Secrets of a user's sweep: its program gets them, nobody is shown them.
bats_require_minimum_version 1.5.0
load common

setup_file() {
    find_program
}

setup() { cd "$BATS_TEST_TMPDIR" || return; }

# A program that says all that it was given, to a file and to whoever listens.
program() {
    cat >train.sh <<'END'
#!/bin/sh
echo "$* ${HF_TOKEN}" >>got
echo '{"step": 1, "eval/loss": 0.5}'
echo '{"broken": HF_TOKEN=s3cr3t-line'
[ "$LATER" ] || exit 0
echo "cannot log in with api_key=s3cr3t-said" >&2
exit 3
END
    chmod +x train.sh
    cat >sweep.yaml <<'END'
name: s
command: [./train.sh, --hub-token, s3cr3t-word, "--lr={lr}", "--wandb-api-key={api_key}", "{api_key}", "${envvar:HF_TOKEN}", HTTPS_PROXY=http://me:s3cr3t-proxy@localhost:1]
metric: {name: eval/loss, goal: minimize}
parameters:
  lr: {values: [0.1, 0.2]}
  api_key: {value: s3cr3t-param}
  tokenizer: {value: plain-name}
  max_tokens: {value: 512}
END
}

@test "the program gets its secrets, nothing else shows them" {
    program
    export HF_TOKEN=s3cr3t-env
    run -0 "$PEFTLAB" sweep plan sweep.yaml
    lacks s3cr3t
    run -0 "$PEFTLAB" sweep plan sweep.yaml --json
    lacks s3cr3t
    has "[redacted]"
    run -0 "$PEFTLAB" sweep run sweep.yaml
    lacks s3cr3t
    [ "$(sort got | head -1)" = "--hub-token s3cr3t-word --lr=0.1 --wandb-api-key=s3cr3t-param s3cr3t-param s3cr3t-env HTTPS_PROXY=http://me:s3cr3t-proxy@localhost:1 s3cr3t-env" ]
    [ "$(wc -l <got)" = 2 ]
    run -0 "$PEFTLAB" sweep run sweep.yaml # what ran is known again, and no other command
    lacks s3cr3t "another command"
    [ "$(wc -l <got)" = 2 ]
    local what
    for what in "ls --json" "ls --sweeps --json" "show 1" "show 1 --json" "compare 1 2" "compare 1 2 --json" "export" \
        "export --format csv" "sweep status s" "sweep status s --json" "query --format json SELECT*FROM[trial_view]" \
        "query --format json SELECT*FROM[run_view]" "query --format json SELECT*FROM[sweep_view]" \
        "query --format json SELECT*FROM[param_view]" "query --format json SELECT*FROM[event_view]"; do
        # shellcheck disable=SC2086
        run -0 "$PEFTLAB" $what
        lacks s3cr3t
    done
    run -0 "$PEFTLAB" show 1 --json
    has '"[redacted]"' plain-name 512
    run -0 "$PEFTLAB" report --output page.html
    lacks s3cr3t
    run -1 grep -l s3cr3t page.html
    # what running does not need is not in the store at all
    run -0 sqlite3 -readonly peftlab.db "SELECT environment_json FROM run; SELECT text FROM event; SELECT ifnull(reason, '') FROM run"
    lacks s3cr3t
    has --hub-token "[redacted]" "\${envvar:HF_TOKEN}"
}

@test "why a program failed is told without its secrets" {
    program
    HF_TOKEN=s3cr3t-env LATER=1 run "$PEFTLAB" sweep run sweep.yaml
    lacks s3cr3t
    run -0 "$PEFTLAB" show 1
    has "ended with status 3" "api_key=[redacted]"
    lacks s3cr3t
    run -0 sqlite3 -readonly peftlab.db "SELECT reason FROM run"
    lacks s3cr3t
    run -1 grep -r s3cr3t peftlab-runs --include=output.log
}

@test "tags, notes and imports" {
    echo '{"type": "trial", "experiment": "e", "seed": 0, "state": "complete", "note": "password: s3cr3t-n", "params": {"lr": 1, "secret_key": "s3cr3t-a"}, "tags": {"hf_token": "s3cr3t-b"}, "runs": [{"attempt": 1, "state": "complete", "started_ms": 1, "environment": {"args": ["--token", "s3cr3t-c"]}, "summary": {"eval/loss": 0.5}}]}' >t.jsonl
    run -0 "$PEFTLAB" import t.jsonl
    run -0 "$PEFTLAB" import t.jsonl
    has "0 trials added, 1 were known"
    run -0 sqlite3 -readonly peftlab.db "SELECT note FROM trial"
    [ "$output" = "password: [redacted]" ]
    run -0 "$PEFTLAB" tag 1 WANDB_API_KEY=s3cr3t-d owner=ana
    run -0 "$PEFTLAB" note 1 "run with HF_TOKEN=s3cr3t-e"
    run -0 sqlite3 -readonly peftlab.db .dump
    lacks s3cr3t
    run -0 "$PEFTLAB" show 1
    has "[redacted]" ana
}

@test "a store that was written with secrets in it shows none" {
    echo '{"type": "trial", "experiment": "e", "seed": 0, "state": "complete", "params": {"lr": 1}, "tags": {"a": "b"}, "runs": [{"attempt": 1, "state": "complete", "started_ms": 1, "summary": {"eval/loss": 0.5}}]}' >t.jsonl
    run -0 "$PEFTLAB" import t.jsonl
    sqlite3 peftlab.db "UPDATE trial SET params_json = '{\"token\": \"s3cr3t\"}', config_json = '{\"token\": \"s3cr3t\", \"seed\": 0}', note = 'password: s3cr3t';
        UPDATE tag SET key = 'api_key', value = 's3cr3t'; UPDATE run SET environment_json = '{\"env\": {\"HF_TOKEN\": \"s3cr3t\"}}', reason = 'git https://me:s3cr3t@host'"
    local what
    for what in "ls --json" "show 1" "show 1 --json" "export" "export --format csv" "query --format json SELECT*FROM[tag_view]"; do
        # shellcheck disable=SC2086
        run -0 "$PEFTLAB" $what
        lacks s3cr3t
    done
}
