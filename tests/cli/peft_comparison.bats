#!/usr/bin/env bats
# examples/peft-comparison: what its README says of peft's results is what the program says. PEFT_RESULTS names a folder that has
# them; without one, and where the example's own is not fetched, the numbers are not looked at.
bats_require_minimum_version 1.5.0
load common

setup() {
    find_program
    cd "$BATS_TEST_TMPDIR"
    EXAMPLE=$ROOT/examples/peft-comparison
}

# A repository with three files where peft's has 63, and the script that fetches from it.
small_repository() {
    local folder=peft/method_comparison/MetaMathQA/results f
    mkdir -p "$folder"
    for f in a b c; do echo "{\"name\": \"$f\"}" >"$folder/$f.json"; done
    git init -q peft
    git -C peft add -A
    git -C peft -c user.name=x -c user.email=x@y.z commit -qm results
    sed "s/^commit=.*/commit=$(git -C peft rev-parse --short=12 HEAD)/
         s/^digest=.*/digest=$(cat "$folder"/*.json | sha256sum | cut -d' ' -f1)/" "$EXAMPLE/fetch.sh" >fetch.sh
    export PEFT_REPOSITORY=$PWD/peft
}

@test "fetch.sh brings the folder once, and takes no other" {
    command -v git >/dev/null || skip "git is not installed"
    small_repository
    run -0 sh fetch.sh results
    has "3 result files in results"
    [ "$(cat results/b.json)" = '{"name": "b"}' ]
    PEFT_REPOSITORY=/nowhere run -0 sh fetch.sh results # all there: nothing is asked
    echo '{}' >results/b.json
    run -1 sh fetch.sh results
    has "'results' is there, and is not what peft had"
    PEFT_REPOSITORY=/nowhere run -1 sh fetch.sh other
    has "did not come from /nowhere"
    [ ! -e other ]
    echo '{}' >peft/method_comparison/MetaMathQA/results/b.json
    git -C peft -c user.name=x -c user.email=x@y.z commit -qam other
    sed -i "s/^commit=.*/commit=$(git -C peft rev-parse --short=12 HEAD)/" fetch.sh
    run -1 sh fetch.sh other
    has "has other files at"
    [ ! -e other ]
}

@test "the README's numbers are the program's" {
    local results=${PEFT_RESULTS:-$EXAMPLE/results} text
    [ -d "$results" ] || skip "peft's results are not here: examples/peft-comparison/fetch.sh brings them, PEFT_RESULTS names them"
    run -0 sh "$EXAMPLE/fetch.sh" "$results"
    run -0 "$PEFTLAB" import "$results" --experiment peft --store s.db
    has "63 trials added"
    run -0 --separate-stderr "$PEFTLAB" report --experiment peft --metric test/accuracy --store s.db --json
    echo "$output" >r.json
    number() { jq "$1" r.json; }
    local first='.verdicts.best as $b | [.verdicts.pairs[] | select(.a == $b)]'
    [ "$(number '.verdicts.best')" = '"lily/llama-3.2-3B-rank140-mlp-a2-b2-s8.0"' ]
    text=$(sed 's/ (rank 140, on the MLP)//' "$EXAMPLE/README.md")
    local said="with $(number '.verdicts.best as $b | .verdicts.configs[$b].mean * 1000 | round / 1000'), and"
    said+=" $(number "$first | map(select(.p != null and .p_adjusted >= 0.05)) | length") of the"
    said+=" $(number "$first | map(select(.p != null)) | length") configurations it can be compared with do not differ"
    grep -qF "$said" <<<"$text" || { echo "not in the README: $said"; return 1; }
    [ "$(number "$first | map(select(.other_environments)) | length")" = 2 ]
    grep -qF "Two more ran in another environment" <<<"$text"
    grep -qF "$(number '.verdicts.pairs | length') pairs that one may look at, $(number "$first | map(select(.p != null and .p >= 0.05)) | length") would not differ" <<<"$text"
    [ "$(number '.verdicts.configs | length')" = 63 ]
    grep -qF "So $(number '.verdicts.tied_set | length') of the 63 may be the best" <<<"$text"
    [ "$(number '.verdicts.configs["lora/llama-3.2-3B-rank64-rslora"].mean * 1000 | round')" = 513 ]
    [ "$(number '.verdicts.tied_set | index("lora/llama-3.2-3B-rank64-rslora") != null')" = true ]
    # the front page says the same
    [ "$(grep -c "23 of the 60" "$ROOT/README.md")" = "$(grep -c "23 of the 60" "$EXAMPLE/README.md")" ]
}
