#!/usr/bin/env bats
# `peftlab bench`: the engine in this process and a server, what is written, what is refused. How fast is no matter here.
bats_require_minimum_version 1.5.0
load common

setup_file() {
    find_program
    cd "$BATS_FILE_TMPDIR"
    tiny_model
    printf '{"text": "%s", "label": %d}\n' "good food" 0 "bad food was here" 1 "it was fine" 2 "poor" 0 >rows.jsonl
    printf '%s\n' "model: model" "method: lora" "train_data: rows.jsonl" "eval_data: rows.jsonl" "max_steps: 1" \
        "batch_size: 4" "latency_requests: 0" >trial.yaml
    "$PEFTLAB" train trial.yaml --out runs/one --no-store
    "$PEFTLAB" train trial.yaml seed=1 --out runs/two --no-store
    cat >bench.yaml <<'END'
model: model
adapters: {dir: runs, clone: 3}
requests: {data: rows.jsonl}
popularity: {zipf: 1.1}
arrivals: {open: poisson, rate: [50]}
duration: 1s
warmup: 200ms
slo: {p99: 5s}
END
}

setup() {
    find_program
    cd "$BATS_FILE_TMPDIR"
}

teardown() {
    [ -z "${SERVER-}" ] || { kill -9 "$SERVER" && wait "$SERVER"; } 2>/dev/null || true
}

@test "the engine in this process: every request of the plan is answered, once" {
    run -0 "$PEFTLAB" bench bench.yaml 'seeds=[0, 1]' --json --out out
    jq -e '.schema_version == 1 and .adapters == 6 and .texts == 4 and (.points | length == 2) and .points[0].seed == 0 and .points[1].seed == 1' <<<"$output"
    jq -e '[.points[] | .sent > 20 and .answered == .sent and .failed == 0 and .attainment == 1 and .p50_ms <= .p95_ms and .p95_ms <= .p99_ms] | all' <<<"$output"
    diff <(jq -S . <<<"$output") <(jq -S . out/bench.json)
    # the warm-up's are in the file and not in the point; times go up; the popular one is asked most
    python3 - <<'END'
import csv, json
rows = [r for r in csv.DictReader(open("out/requests.csv")) if r["point"] == "0"]
point = json.load(open("out/bench.json"))["points"][0]
assert sum(float(r["intended_s"]) >= .2 for r in rows) == point["sent"] < len(rows)
times = [float(r["intended_s"]) for r in rows]
assert times == sorted(times)
for r in rows:
    assert float(r["done_s"]) >= float(r["sent_s"]) >= float(r["intended_s"]) - 1e-6, r
hits = [sum(r["adapter"] == str(k) for r in rows) for k in range(6)]
assert hits[0] == max(hits) and sum(hits) == len(rows)
END
}

@test "the same plan for the same seed, whatever the target" {
    "$PEFTLAB" bench bench.yaml --out a >/dev/null
    "$PEFTLAB" bench bench.yaml --out b >/dev/null
    cmp <(cut -d, -f2,3,6,7 a/requests.csv) <(cut -d, -f2,3,6,7 b/requests.csv)
    "$PEFTLAB" serve model --adapters runs --port 0 >log 2>&1 3>&- &
    SERVER=$!
    for _ in {1..100}; do
        URL=$(sed -n 's/^serving .* on //p' log)
        [ -z "$URL" ] || break
        sleep .1
    done
    run -0 "$PEFTLAB" bench bench.yaml "target=$URL" 'adapters=[one, two, one, one, two, one]' --json --out c
    cmp <(cut -d, -f2,3,6,7 a/requests.csv) <(cut -d, -f2,3,6,7 c/requests.csv)
    jq -e '.points[0] | .answered == .sent and .failed == 0' <<<"$output"
    # what the server says of the wait and the batch has come along
    awk -F, 'NR > 1 && !($12 >= 0 && $13 > 0) { print; bad = 1 } END { exit bad }' c/requests.csv
    run curl -s "$URL/metrics"
    has "peftlab_rows_total $(($(wc -l <c/requests.csv) - 1))"
    # api: predict; and a server that knows none of the adapters
    run -0 "$PEFTLAB" bench bench.yaml "target=$URL" api=predict 'adapters=[one]' --json
    jq -e '.points[0].failed == 0' <<<"$output"
    run -0 "$PEFTLAB" bench bench.yaml "target=$URL" 'adapters=[three]' --json
    jq -e '.points[0] | .failed == .sent' <<<"$output"
}

@test "clients in a circle, and the highest rate" {
    run -0 "$PEFTLAB" bench bench.yaml 'arrivals={closed: [1, 4]}' --json
    jq -e '[.points[] | .kind] == ["closed", "closed"] and ([.points[] | .answered > 5] | all)' <<<"$output"
    run -0 "$PEFTLAB" bench bench.yaml 'arrivals={closed: [2, 4]}' 'points=[base, 2]' duration=300ms 'seeds=[0, 1]' --json
    # the most that a setting does, and its share of what the base does with as many clients, seed by seed
    python3 -c '
import json, math, sys
d = json.load(sys.stdin)
by = {(p["setting"], p["load"], p["seed"]): p["completed_per_s"] for p in d["points"]}
mean = lambda s, n: (by[s, n, 0] + by[s, n, 1]) / 2
most = max((2, 4), key=lambda n: mean(1, n))
s = d["settings"][1]
want = math.exp(sum(math.log(by[1, most, k] / by[0, most, k]) for k in (0, 1)) / 2)
assert math.isclose(s["capacity"], mean(1, most)) and math.isclose(s["over_base"], want), s
assert s["over_base_low"] <= want <= s["over_base_high"] and d["settings"][0]["over_base"] == 1
' <<<"$output"
    run -0 "$PEFTLAB" bench bench.yaml 'arrivals={open: even, rate: [40, auto]}' duration=300ms warmup=0s 'slo={p99: 10s}' --json
    # which rate is kept is the machine's affair: one that was tried, or none
    jq -e '(.points | length) > 2 and (.settings[0].rates[0] as $r | $r == 0 or ([.points[].load] | index($r) != null))' <<<"$output"
}

@test "settings: what answers, how many, how popular, how much room; all of it in the store" {
    rm -f s.db
    run -0 "$PEFTLAB" bench bench.yaml 'points=[base, merged, 1, 6]' 'popularity=[uniform, {zipf: 1.1}]' 'slots=[2, all]' \
        'arrivals={open: poisson, rate: [40, 60]}' duration=700ms warmup=0s 'seeds=[0, 1]' --json --out d --store s.db
    # base, merged and a single adapter once; six by popularity and room
    jq -e '[.settings[] | [.kind, .adapters, .popularity, .slots]] == [["base", 0, "uniform", 0], ["merged", 1, "uniform", 0], ["adapters", 1, "uniform", 0],
        ["adapters", 6, "uniform", 2], ["adapters", 6, "uniform", 0], ["adapters", 6, "zipf 1.1", 2], ["adapters", 6, "zipf 1.1", 0]]' <<<"$output"
    # in turns: forwards by the first seed, backwards by the second
    jq -e '[.points[] | .setting] == [0,0,1,1,2,2,3,3,4,4,5,5,6,6, 6,6,5,5,4,4,3,3,2,2,1,1,0,0]' <<<"$output"
    # where there is room for all they are loaded beforehand, else adapters come and go
    jq -e '([.points[] | select(.setting == 4 or .setting == 6) | .cold] | add) == 0' <<<"$output"
    jq -e '[.points[] | select(.setting == 3) | .loads > 0 and .evictions > 0 and .cold > 0] | all' <<<"$output"
    jq -e '[.points[] | .failed == 0 and .answered == .sent and .batches > 0] | all' <<<"$output"
    # the same settings get the same requests, whatever answers
    python3 - <<'END'
import csv
from collections import defaultdict
plans = defaultdict(list)
for r in csv.DictReader(open("d/requests.csv")):
    plans[r["point"]].append((r["intended_s"], r["text"], r["adapter"]))
strip = lambda p: [x[:2] for x in plans[p]]
assert strip("0") == strip("2") == strip("6") and plans["6"] == plans["8"] != plans["10"]
assert {a for _, _, a in plans["0"]} == {"0"} and {a for _, _, a in plans["6"]} == set("012345")
END
    # what the store has is what the document says
    [ "$(sqlite3 -readonly s.db 'select count(*), sum(sent) from bench_point_view' -separator ' ')" = "28 $(jq '[.points[].sent] | add' <<<"$output")" ]
    [ "$(sqlite3 -readonly s.db 'select method, backend, target, ended_ms > started_ms from bench_view' -separator ' ')" = "lora cpu engine 1" ]
    [ "$(sqlite3 -readonly s.db "select count(*) from bench_setting_view where fixed_s >= 0 and token_s >= 0 and batches > 20 and rate is null")" = 7 ]
    [ "$(sqlite3 -readonly s.db 'select count(*) from bench_batch_view where setting = 3 and adapters <= rows and tokens >= rows and seconds > 0')" = "$(jq '[.points[] | select(.setting == 3) | .batches] | add' <<<"$output")" ]
    # each open point has what a simulation by the batches of the other points says
    jq -e '[.points[] | .simulated_p50_ms > 0 and .simulated_p50_ms <= .simulated_p99_ms] | all' <<<"$output"
    run -0 "$PEFTLAB" query "SELECT kind, count(*) FROM bench_setting_view GROUP BY kind" --format tsv --store s.db
    has "adapters	5"
    run -0 "$PEFTLAB" bench bench.yaml duration=200ms warmup=0s --no-store --store t.db
    [ ! -e t.db ]
    has "6 adapters, zipf 1.1"
}

@test "a trace: requests at the times of a file, also those of another bench" {
    printf 'user,at_s\n' >times.csv
    for i in $(seq 0 59); do printf 'u%d,%d.%02d\n' "$i" $((i / 60)) $((i * 100 / 60)); done >>times.csv
    run -0 "$PEFTLAB" bench bench.yaml 'arrivals={trace: times.csv}' warmup=0s 'seeds=[0, 1]' --json --out e --no-store
    jq -e '[.points[] | .kind == "trace" and .sent == 60 and .answered == 60] == [true, true]' <<<"$output"
    cmp <(awk -F, 'NR > 1 { printf "%.6f\n", $2 }' times.csv) <(awk -F, '$1 == "0" { print $3 }' e/requests.csv)
    # who is asked is drawn by the seed; or is what the file says
    ! cmp -s <(awk -F, '$1 == "0" { print $6 }' e/requests.csv) <(awk -F, '$1 == "1" { print $6 }' e/requests.csv)
    awk -F, '$1 == "point" || $1 == "1"' e/requests.csv >again.csv
    run -0 "$PEFTLAB" bench bench.yaml 'arrivals={trace: again.csv}' warmup=0s --json --out g --no-store
    cmp <(awk -F, '$1 == "1" { print $3, $6, $7 }' e/requests.csv) <(awk -F, '$1 == "0" { print $3, $6, $7 }' g/requests.csv)
    printf 'at_s\n2\n1\n' >bad.csv
    run -65 "$PEFTLAB" bench bench.yaml 'arrivals={trace: bad.csv}'
    has "bad.csv" "line 3"
    printf 'when\n2\n' >bad.csv
    run -65 "$PEFTLAB" bench bench.yaml 'arrivals={trace: bad.csv}'
    has "no column at_s"
    printf 'at_s\n0.1\n' >bad.csv
    run -78 "$PEFTLAB" bench bench.yaml 'arrivals={trace: bad.csv}'
    has "ends before the warm-up"
}

@test "completions of a server: tokens as they come" {
    python3 "$ROOT/tests/cli/tiny_chat_model.py" writer
    printf '{"text": "%s"}\n' "the sun is up" "rain again" "a cold wind" >lines.jsonl
    printf '%s\n' "model: writer" "task: causal-lm" "method: lora" "train_data: lines.jsonl" "max_steps: 1" "batch_size: 3" "latency_requests: 0" >writer.yaml
    "$PEFTLAB" train writer.yaml --out writers/poet --no-store
    "$PEFTLAB" serve writer --adapters writers --port 0 >log 2>&1 3>&- &
    SERVER=$!
    for _ in {1..100}; do
        URL=$(sed -n 's/^serving .* on //p' log)
        [ -z "$URL" ] || break
        sleep .1
    done
    printf '%s\n' "target: $URL" "api: completions" "adapters: [poet]" "requests: {data: lines.jsonl}" "output: 7" "duration: 1s" "warmup: 0s" \
        "arrivals: {open: poisson, rate: [20]}" "slo: {ttft: 60s, tpot: 60s}" >write.yaml
    run -0 "$PEFTLAB" bench write.yaml --json --out w --store w.db
    # as many tokens as were asked for, whatever the model would say; the first comes before the last
    jq -e '.points[0] | .failed == 0 and .answered == .sent and .sent > 5 and .attainment == 1 and .ttft_p50_ms > 0 and .ttft_p50_ms <= .p50_ms and .tpot_p50_ms > 0 and .itl_p99_ms >= .itl_p50_ms
        and .tokens_per_s == 7 * .sent' <<<"$output"
    awk -F, 'NR > 1 && !($15 == 7 && $14 >= $4 && $5 >= $14) { print; bad = 1 } END { exit bad }' w/requests.csv
    [ "$(sqlite3 -readonly w.db 'select tokens_per_s = 7 * sent and ttft_p99_ms > 0 from bench_point_view')" = 1 ]
    # where the limit cannot be kept none is
    run -0 "$PEFTLAB" bench write.yaml 'slo={ttft: 0.001ms, tpot: 60s}' --no-store
    has "0.0 %"
}

@test "what a bench file may not say" {
    local word
    while IFS='|' read -r word message; do
        run -78 "$PEFTLAB" bench bench.yaml "$word"
        has "bench file 'bench.yaml'" "$message"
    done <<'END'
speed=9|unknown key 'speed'
adapters={dir: runs, copies: 2}|unknown key 'copies'
adapters=[]|the list is empty
adapters=[one]|in this process they come from a folder
adapters={dir: runs, clone: 0}|clone: a whole number from 1
requests={}|one of 'data' and 'tokens'
requests={tokens: 0}|requests.tokens
requests={tokens: {uniform: [9, 3]}}|requests.tokens
popularity=zipf|popularity: uniform
popularity={hot: 2}|at most 1
arrivals={open: often, rate: 3}|poisson, gamma or even
arrivals={open: gamma, rate: 3}|gamma needs 'cv'
arrivals={open: poisson, cv: 2, rate: 3}|with gamma only
arrivals={open: poisson, rate: [0]}|above 0
arrivals={closed: [0]}|at least one client
arrivals={burst: {rate: 3}}|it needs 'fan_out'
arrivals={burst: {fan_out: 0, rate: 3}}|fan_out: a whole number from 1
arrivals={burst: {fan_out: 4, rate: 3}, closed: 1}|a burst says all
arrivals={burst: {fan_out: 4, often: 3}}|unknown key 'often'
duration=soon|a duration is meant
batch={max_rows: 0}|max_rows
slo={p50: 1s}|unknown key 'p50'
slo={p99: fast}|a duration is meant
resident=much|bytes are meant
seeds=[x]|seeds
popularity=[uniform, zipf]|popularity: uniform
points=[base, none]|points: base, merged and numbers
points=[]|the list is empty
slots=[0]|at least one
validate=[0]|above 0
resolution=0|a share is meant
api=generate|classify, predict or completions
api=completions|asked of a server
output=9|api: completions
slo={ttft: 1s}|api: completions
target=http://127.0.0.1:1|asked by names
END
    run -78 "$PEFTLAB" bench bench.yaml 'arrivals={open: poisson, rate: auto}' slo=null
    run -78 "$PEFTLAB" bench bench.yaml 'points=[7]'
    has "points: 7 adapters, there are 6"
    run -78 "$PEFTLAB" bench bench.yaml target=http://127.0.0.1:1 'adapters=[one]' 'points=[base]'
    has "for the engine in this process"
    run -2 "$PEFTLAB" bench
    has "no file"
    run -66 "$PEFTLAB" bench nowhere.yaml
    run -66 "$PEFTLAB" bench bench.yaml 'adapters={dir: nowhere}'
    has "no folder"
    run -66 "$PEFTLAB" bench bench.yaml 'requests={data: nowhere.jsonl}'
    # a server that is not there: requests fail, and are counted
    run -0 "$PEFTLAB" bench bench.yaml target=http://127.0.0.1:1 'adapters=[one]' duration=200ms warmup=0s --json
    jq -e '.points[0] | .failed == .sent and .answered == 0' <<<"$output"
}
