#!/usr/bin/env bats
# report over a store that tests/unit/report/example.c makes (trials of known truth).
bats_require_minimum_version 1.5.0
load common

setup_file() {
    find_program
    report_store
}

setup() {
    cd "$BATS_TEST_TMPDIR"
}

@test "report writes a page and prints its verdict, the next step and its path" {
    run -0 "$PEFTLAB" report
    [ "${#lines[@]}" = 5 ]
    [[ "${lines[3]}" == "Next: peftlab sweep run FILE"*" seeds="*" && peftlab sweep run FILE"*"(6 seeds more of lora and of full; FILE is the sweep's file)" ]]
    [ "${lines[4]}" = report.html ]
    has "400 rows" "test/macro_f1" "To settle"
    [ "$(stat -c %s report.html)" -lt 1000000 ]
    grep -q "<h1" report.html
    [ "$(grep -c "<script" report.html)" = 1 ]
    grep -q "script-src 'sha256-$(sed -n '/<script>/,/<.script>/p' report.html | sed '1s/.*<script>//' | sed '$d' | openssl dgst -sha256 -binary | base64)'" report.html
}

@test "the page names no network address but XML names" {
    "$PEFTLAB" report -o r.html
    [ "$(grep -o 'https\?://[^"]*' r.html | grep -v '^http://www.w3.org/' | wc -l)" = 0 ]
}

@test "the same store gives the same bytes from anywhere" {
    "$PEFTLAB" report -o a.html
    mkdir -p elsewhere
    cp "$PEFTLAB_STORE" elsewhere/copy.db
    (cd elsewhere && LC_ALL=C HOME=/nonexistent "$PEFTLAB" report --store copy.db -o ../b.html)
    cmp a.html b.html
}

@test "report --json has verdicts, matrix and takeaways, and writes no page" {
    run -0 "$PEFTLAB" report --json
    has '"verdicts"' '"tied_set"' '"decision"' '"takeaways"' '"learning_rates_tried"'
    [ ! -e report.html ]
    has '"metric": "test/macro_f1"' '"select_metric": "eval/macro_f1"' '"n_failed": 1'
    [ "$(grep -c '"usd_per_run"' <<<"$output")" -ge 12 ]
}

@test "options change what is judged" {
    run -0 "$PEFTLAB" report --json --group-by rank,alpha --metric eval/macro_f1 --delta 0.05
    has '"delta": 0.05' "rank=16 alpha=32"
    run -0 "$PEFTLAB" report --json --metric latency/p50_ms
    has '"goal": "minimize"'
    run -0 "$PEFTLAB" report --requests-per-day 100000 --core-price 0.1 -o r.html
    grep -q "Workers" r.html
    grep -q -- "--core-price 0.1" r.html
}

@test "prices come from a file" {
    echo '[{"gpu": "L4", "usd_per_gpu_hour": 9, "read_on": "2026-11-01", "source": "mine"}]' > p.json
    run -0 "$PEFTLAB" report --prices p.json -o r.html
    grep -q "mine" r.html
    echo '[{"gpu": "L4", "usd_per_gpu_hour": -9}]' > p.json
    run -78 "$PEFTLAB" report --prices p.json
    has "price file 'p.json': row 1: 'usd_per_gpu_hour'"
    run -66 "$PEFTLAB" report --prices none.json
}

@test "wrong names get the nearest" {
    run -66 "$PEFTLAB" report --sweep revews
    has "reviews"
    run -66 "$PEFTLAB" report --experiment revews
    has "did you mean 'reviews'?"
    run -78 "$PEFTLAB" report --metric test/makro_f1
    has "did you mean 'test/macro_f1'?"
    run -2 "$PEFTLAB" report --goal up
}

@test "without gnuplot the tables stay" {
    mkdir bin
    ln -s "$(command -v env)" bin/env
    PATH=$PWD/bin run -0 "$PEFTLAB" report -o r.html
    grep -q "gnuplot is not installed" r.html
    ! grep -q "<svg" r.html
}

@test "verify holds for the page as written and tells every change" {
    "$PEFTLAB" report -o r.html
    run -0 "$PEFTLAB" report verify r.html --store "$PEFTLAB_STORE"
    has "data   ok" "page   ok" "store  ok"
    sed 's/<h1>Which/<h1>which/' r.html > words.html
    run -1 "$PEFTLAB" report verify words.html
    has "data   ok" "page   CHANGED"
    sed 's/"delta":0.01/"delta":0.02/' r.html > numbers.html
    run -1 "$PEFTLAB" report verify numbers.html
    has "data   CHANGED" "page   CHANGED"
    run -65 "$PEFTLAB" report verify "$BATS_TEST_FILENAME"
    run -66 "$PEFTLAB" report verify none.html
    run -2 "$PEFTLAB" report verfy r.html
}
