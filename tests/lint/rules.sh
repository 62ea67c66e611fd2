#!/bin/bash
# Proves that each rule of tools/lint.sh fires on what it is for, and only then: TAP.
set -u
cd "$(dirname "$0")/../.."
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
number=0 failed=0

# A tree that breaks nothing; each check below breaks one thing and mends it again.
mkdir -p "$tree"/{lib,kernels,tracker,runner,sweep,report,cli,tests}
cp .clang-format "$tree"
printf '#include "lib/a.h"\n\nint a(void)\n{\n    return 1;\n}\n' >"$tree/lib/a.c"
printf '/* strcpy(a, b) // fine */\nint a(void);\n' >"$tree/lib/a.h"

fires() { # RULE FILE TEXT: the rule of this name fails when FILE holds TEXT
    local got
    number=$((number + 1))
    printf '%b' "$3" >"$tree/$2"
    got=$(ROOT=$tree tools/lint.sh | grep '^not ok' | sed 's/^not ok [0-9]* - //')
    rm "$tree/$2"
    # what gcc warns about, clang may see as well
    if [[ $got == "$1"* ]] && { [ "$(wc -l <<<"$got")" = 1 ] || [[ $1 == gcc* ]]; }; then
        echo "ok $number - $2: $1"
    else
        failed=1
        echo "not ok $number - $2: expected '$1' to fail, failing were: ${got:-none}"
    fi
}

number=1
if ROOT=$tree tools/lint.sh >"$tree/out"; then
    echo "ok 1 - a clean tree passes"
else
    failed=1
    echo "not ok 1 - a clean tree passes"
    sed 's/^/# /' "$tree/out"
fi
fires "layers" lib/b.h '#include "tracker/store/store.h"\n'
fires "layers" kernels/b.h '#include "runner/trial.h"\n'
fires "layers" sweep/b.h '#include "runner/trial.h"\n'
fires "layers" report/b.h '#include "sweep/sweep.h"\n'
fires "layers" runner/b.h '#include "report/report.h"\n'
fires "layers" tracker/b.h '#include "kernels/ops.h"\n'
fires "layers" cli/b.h '#include "command.h"\n'
fires "no unsafe functions" lib/b.h '#define NUMBER(s) atoi(s)\n'
fires "block comments only" lib/b.h 'int b; // text\n'
fires "no exit()" lib/b.h '#define DIE() exit(1)\n'
fires "a trial is read by its members" runner/b.h '#define ROWS(net) json_get_int(net->trial, "batch_size", 8)\n'
fires "a code is passed on" lib/b.h '#define CODE(err) (-(int)err->code)\n'
# with the names that a table of this tree gives
mkdir -p "$tree/runner/nn/peft" "$tree/sweep"
printf 'METHOD(ln_tuning)\nPRESET("qlora", lora, "{}")\n' >"$tree/runner/nn/peft/methods.def"
fires "no method's name" sweep/b.h '#define IS_Q(s) (s == "qlora")\n'
fires "no method's name" report/b.h '#define ALL "lora|ln-tuning"\n'
fires "no method's name" runner/b.h '#define ALL "ln_tuning|lora"\n'
printf '#define A "qlora"\n' >"$tree/runner/nn/peft/a.h"
printf '/* "qlora" */\n' >"$tree/runner/c.h"
fires "what a terminal shows" cli/b.h '#define SAY(s) puts(s)\n'
fires "what a terminal shows" cli/b.h '#define SAY(f, s) fprintf(f, "%s", s)\n'
fires "what a terminal shows" sweep/b.c '#include <stdio.h>\n\nvoid b(const char *s);\nvoid b(const char *s)\n{\n    fprintf(stderr,\n            "what is said is so long that it goes on in another line, here it is: %.9s\\n",\n            s);\n}\n'
printf '#include <stdio.h>\n\nvoid number(FILE *f);\nvoid number(FILE *f)\n{\n    fprintf(f, "%%d %%%%\\n", 1);\n}\n' >"$tree/sweep/number.c"
fires "no unfinished business" lib/b.h '/* TO''DO: the rest */\n'
fires "no tabs" lib/b.h '/* a\tb */\n'
mkdir "$tree/lib/room"
fires "no file over" lib/b.h "$(seq -f 'int f%g(void);\n' 600 | tr -d '\n')"
fires "no two files of one name" lib/room/a.h 'int b(void);\n'
for i in $(seq 26); do printf 'int r%d(void);\n' "$i" >"$tree/lib/room/r$i.h"; done
fires "no folder over" lib/room/r27.h 'int r27(void);\n'
rm -r "$tree/lib/room"
if command -v clang-format-14 >/dev/null 2>&1; then
    fires "clang-format" lib/b.h 'int  b;\n'
fi
if [ "$(gcc -dumpversion)" = 12 ]; then
    fires "gcc 12" lib/b.c 'int b;\n\nstatic void c(int *b)\n{\n}\n'
fi
echo "1..$number"
exit $failed
