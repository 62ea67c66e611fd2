#!/usr/bin/env bats
# What a trial says of its memory, held against what the kernel counted: program and data before the arenas and the arenas make
# the peak within 5 %; nothing is read or saved in copies.
bats_require_minimum_version 1.5.0
load common

setup_file() {
    find_program
    command -v python3 >/dev/null || skip "no python3 to make the weights"
    # Large enough that arenas, not the program, are what is measured: 60 MiB of weights.
    python3 "$ROOT/tests/bench/make_base.py" "$BATS_FILE_TMPDIR" base 384 3 12 1536 16 64 4
}

setup() {
    [[ -d $BATS_FILE_TMPDIR/base ]] || skip "no python3 to make the weights"
    grep -v 'method\|rank\|alpha\|target' "$BATS_FILE_TMPDIR/base.yaml" >"$BATS_FILE_TMPDIR/trial.yaml"
}

number() { # KEY of result.json
    grep -o "\"$1\": *[0-9]*" "$BATS_TEST_TMPDIR/run/result.json" | head -1 | grep -o '[0-9]*$'
}

explained() { # key=value...
    "$PEFTLAB" train "$BATS_FILE_TMPDIR/trial.yaml" --out "$BATS_TEST_TMPDIR/run" --no-store "$@"
    local host allocated peak
    host=$(number host_bytes) allocated=$(number allocated_bytes)
    peak=$(number peak_rss_bytes)
    [ "$allocated" -eq "$(number planned_bytes)" ]
    local off=$((1000 * (peak - host - allocated) / peak))
    echo "host $host, allocated $allocated, peak $peak: $off of 1000 unexplained"
    [ "$off" -gt -50 ] && [ "$off" -lt 50 ]
}

@test "peak RSS is explained within 5 %: LoRA" { explained method=lora rank=8; }
@test "peak RSS is explained within 5 %: LoRA on NF4" { explained method=qlora rank=8; }
@test "peak RSS is explained within 5 %: LoRA with checkpointing and accumulation" {
    explained method=lora rank=8 gradient_checkpointing=true gradient_accumulation_steps=2
}
@test "peak RSS is explained within 5 %: full fine-tuning" { explained method=full; }
