#!/usr/bin/env bats
# `peftlab log`: numbers of a trial from a shell, also from many at once; what is refused.
bats_require_minimum_version 1.5.0
load common

setup() {
    find_program
    cd "$BATS_TEST_TMPDIR" || return
    cat >s.yaml <<'END'
name: s
metric: {name: loss, goal: minimize}
parameters: {x: {values: [1]}}
command: [sh, program.sh]
END
}

series() { sqlite3 -readonly peftlab.db "select key, step, value from series_view order by 1, 2"; }
summary() { sqlite3 -readonly peftlab.db "select value from summary_view where key = '$1'"; }

@test "points, the newest value, results without a step" {
    cat >program.sh <<END
cd /
"$PEFTLAB" log loss=0.5 eval/accuracy=0.25 --step 1 && "$PEFTLAB" log loss=nan --step 2 && "$PEFTLAB" log loss=-1e-3 --step 3
"$PEFTLAB" log size=7 && "$PEFTLAB" log size=8
END
    run -0 "$PEFTLAB" sweep run s.yaml
    [ "$(series)" = "eval/accuracy|1|0.25
loss|1|0.5
loss|2|
loss|3|-0.001" ]
    [ "$(summary loss)" = -0.001 ]
    [ "$(summary size)" = 8.0 ]
    run -0 "$PEFTLAB" show 1
    has "complete" "-0.001"
}

@test "many at once lose nothing" {
    cat >program.sh <<END
for p in 1 2 3 4 5 6 7 8 9 10 11 12; do
    (for i in 1 2 3 4 5; do "$PEFTLAB" log p\$p=\$i loss=\$p --step \$i || echo lost >>lost; done) &
done
wait
END
    run -0 "$PEFTLAB" sweep run s.yaml
    [ ! -e lost ]
    [ "$(sqlite3 -readonly peftlab.db "select count(*), sum(value) from series_view where key like 'p%'")" = "60|180.0" ]
}

@test "what is no number, and nobody's run, is refused; nothing of such a call is written" {
    cat >program.sh <<END
"$PEFTLAB" log loss=1 note=good; echo \$? >code
"$PEFTLAB" log loss; echo \$? >>code
"$PEFTLAB" log =1; echo \$? >>code
"$PEFTLAB" log; echo \$? >>code
"$PEFTLAB" log loss=1e999 --step 1; echo \$? >>code
"$PEFTLAB" log loss=2 --step -1; echo \$? >>code
"$PEFTLAB" log \$(printf '%0257d' 0)=1 2>said; echo \$? >>code
"$PEFTLAB" log \$(seq -f 'm%g=1' 257) 2>>said; echo \$? >>code
env | grep ^PEFTLAB_ >env
"$PEFTLAB" log loss=3 --step 4
END
    run -0 "$PEFTLAB" sweep run s.yaml
    [ "$(tr '\n' ' ' <code)" = "2 2 2 2 2 2 2 2 " ]
    run -0 cat said
    has "has a name above 256 bytes" "at most 256"
    [ "$(series)" = "loss|4|3.0" ]
    run -2 env -u PEFTLAB_RUN "$PEFTLAB" log loss=1
    has "called in no trial" "PEFTLAB_RUN"
    run -2 env PEFTLAB_RUN=x "$PEFTLAB" log loss=1
    has "PEFTLAB_RUN is not the number"
    # the run has ended since
    run -75 env "$(grep ^PEFTLAB_STORE env)" "$(grep ^PEFTLAB_RUN= env)" "$PEFTLAB" log loss=1 --step 5
    [ "$(series)" = "loss|4|3.0" ]
}
