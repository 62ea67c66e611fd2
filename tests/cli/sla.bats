#!/usr/bin/env bats
# report --sla and --gpus over a store that tests/unit/report/example.c makes (trials of known truth).
bats_require_minimum_version 1.5.0
load common

setup_file() {
    find_program
    report_store
}

setup() {
    cd "$BATS_TEST_TMPDIR"
}

@test "the example's service levels are judged, and the page is the same twice" {
    run -0 "$PEFTLAB" report --sla "$ROOT/examples/reviews/sla.yaml" -o a.html
    "$PEFTLAB" report --sla "$ROOT/examples/reviews/sla.yaml" -o b.html
    cmp a.html b.html
    grep -q 'id="sla"' a.html
    grep -q "Response time against load" a.html
    run -0 "$PEFTLAB" report --sla "$ROOT/examples/reviews/sla.yaml" --json
    has '"overall"' '"first_to_break"' '"break_per_s"' '"constraint": "latency_p99_ms"' '"word": "unknown"'
}

@test "several tasks: one shared base against merged replicas" {
    run -0 "$PEFTLAB" report --sla "$ROOT/examples/reviews/sla_tasks.yaml" --json
    has '"word": "at risk"' "many adapters on one base"
}

@test "without a file there is no such section" {
    "$PEFTLAB" report -o r.html
    ! grep -q 'id="sla"' r.html
}

@test "what the documentation shows is taken" {
    sed -n '/^# sla.yaml/,/^```/p' "$ROOT/docs/sla.md" | grep -v '```' >sla.yaml
    grep -q quality_floor sla.yaml
    run -0 "$PEFTLAB" report --sla sla.yaml --json
    has '"constraint": "base_untouched"' '"constraint": "budget_usd_per_month"'
}

@test "every key of an SLA file is documented" {
    for key in $(sed -nE 's/^OPTION\("([a-z0-9_]+)".*/\1/p' "$ROOT"/report/service/{sla,task}.def); do
        grep -q "\`$key\`" "$ROOT/docs/sla.md" || { echo "docs/sla.md lacks $key"; return 1; }
    done
    for preset in $(sed -nE 's/.*SLA_PRESET\("([a-z0-9.-]+)".*/\1/p' "$ROOT/report/service/sla_file.c"); do
        echo "preset: $preset" >p.yaml
        "$PEFTLAB" report --sla p.yaml --json >/dev/null
    done
}

@test "wrong files are told with line and hint" {
    printf 'name: x\nlatency_p99: 5\n' >sla.yaml
    run -78 "$PEFTLAB" report --sla sla.yaml
    has "sla.yaml" "line 2" "did you mean 'latency_p99_ms'"
    printf 'latency_p99_ms: [1\n' >sla.yaml
    run -65 "$PEFTLAB" report --sla sla.yaml
    has "sla.yaml"
    run -66 "$PEFTLAB" report --sla none.yaml
}

@test "GPUs come from a file" {
    cat >g.json <<'JSON'
[{"gpu": "L4", "memory_gb": {"value": 24, "status": "vendor", "source": "sheet"},
  "bandwidth_gb_s": {"value": 300, "status": "vendor", "source": "sheet"},
  "bf16_tflops": {"value": 121, "status": "derived", "source": "sheet"},
  "fp16_tflops": {"value": 121, "status": "derived", "source": "sheet"},
  "watts": {"value": 72, "status": "vendor", "source": "sheet"}}]
JSON
    run -0 "$PEFTLAB" report --gpus g.json --json
    has '"gpu": "L4"'
    [[ "$output" != *'"gpu": "T4"'* ]]
    sed -i 's/derived/guessed/' g.json
    run -78 "$PEFTLAB" report --gpus g.json
    has "GPU file 'g.json': row 1: 'bf16_tflops'"
    run -66 "$PEFTLAB" report --gpus none.json
}
