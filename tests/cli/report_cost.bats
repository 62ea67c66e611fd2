#!/usr/bin/env bats
# What runs cost, by what they say that they ran on; one number for a quantity on a page.
bats_require_minimum_version 1.5.0
load common

setup() {
    cd "$BATS_TEST_TMPDIR"
    export PEFTLAB_STORE=s.db
}

# hours CONFIG ENVIRONMENT: an hour of a trial that says it ran there
hours() {
    printf '{"type":"trial","experiment":"e","seed":0,"state":"complete","params":{"config":"%s"},"config":{"config":"%s"},"runs":[{"attempt":1,"state":"complete","started_ms":1795000000000,"ended_ms":1795003600000,"summary":{"score":0.5},"environment":%s}]}\n' \
        "$1" "$1" "$2"
}

# paid ENVIRONMENT USD: what the decision costs; "" not known
paid() {
    rm -f s.db
    hours A "$1" > e.jsonl
    "$PEFTLAB" import e.jsonl
    echo '[{"gpu": "L40S", "usd_per_gpu_hour": 2, "read_on": "2026-11-01", "source": "mine"}]' > p.json
    run -0 "$PEFTLAB" report --metric score --prices p.json --json
    if [ -n "$2" ]; then has "\"decision_usd\": $2"; else lacks '"decision_usd"'; has "cost is not known"; fi
}

@test "a run that says it ran on a GPU costs what that GPU costs, or nothing is said" {
    paid '{"gpu": "NVIDIA L40S"}' 2.0
    paid '{"gpu": "L40S"}' 2.0
    paid '{"gpu": "NVIDIA L40S", "gpu_count": 4}' 8.0
    paid '{"backend": "cuda", "variant": "NVIDIA L40S, sm_89"}' 2.0
    paid '{"gpu": "NVIDIA Unheard 9000"}' ""
    paid '{"gpu": "NVIDIA L4"}' "" # known, without a price in this list
    paid '{"cpu": "c", "threads": 2}' 0.096
    paid '{}' 0.048
}

@test "trials of a program that hold a GPU without a price are not priced as a core" {
    printf '#!/bin/sh\necho "{\\"score\\": $1}"\n' > p.sh
    chmod +x p.sh
    printf 'version: 1\nname: t\nmetric: {name: score, goal: maximize}\ncommand: [./p.sh, "{x}"]\nparameters:\n  x: {values: [1, 2]}\nexecutor: {type: local, gpus: 1}\n' > s.yaml
    "$PEFTLAB" sweep run s.yaml
    run -0 "$PEFTLAB" report --json
    lacks '"decision_usd"'
    has "cost is not known, as 2 trials ran on a GPU without a price"
}
