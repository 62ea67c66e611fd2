#!/bin/bash
# Checks that need no run of the program: layers, format, warnings, house rules. One TAP line each; fails if one fails.
# tests/lint/rules.sh proves that each rule catches what it is for.    ROOT=DIR looks at another tree
set -u
here=$(cd "$(dirname "$0")/.." && pwd)
cd "${ROOT:-$here}"

# Copies of other people's files are not ours to format.
mapfile -t sources < <(find lib kernels tracker runner sweep report cli tests -name '*.[ch]' -not -path 'tests/bench/rival/*' 2>/dev/null | sort)
mapfile -t units < <(printf '%s\n' "${sources[@]}" | grep '\.c$' | grep -v '^tests/')
# What a folder is counted by: the files of the layers and of the unit tests that are compiled or compiled in.
mapfile -t parts < <(find lib kernels tracker runner sweep report cli tests/unit -type f \
    \( -name '*.[ch]' -o -name '*.def' -o -name '*.cu' -o -name '*.cuh' -o -name '*.cpp' \) 2>/dev/null | sort)
longest=500 fullest=25
number=0 failed=0

result() { # NAME FINDINGS: no finding is ok
    number=$((number + 1))
    if [ -z "$2" ]; then
        echo "ok $number - $1"
    else
        failed=1
        echo "not ok $number - $1"
        head -n 40 <<<"$2" | sed 's/^/# /'
    fi
}
skip() { # NAME REASON
    number=$((number + 1))
    echo "ok $number - $1 # SKIP $2"
}

# Who may include whom: the table of the design, nothing else.
layers() {
    local row layer
    for row in "lib:lib" "kernels:kernels|lib" "tracker:tracker|lib" "runner:runner|kernels|tracker|lib" \
        "sweep:sweep|tracker|lib" "report:report|tracker|lib"; do
        layer=${row%%:*}
        [ -d "$layer" ] || continue
        grep -rnE --include='*.[ch]' '^ *# *include "' "$layer" |
            grep -vE "#[ ]*include \"(${row#*:})/" | grep -vE '#[ ]*include "schema\.'
    done
    # Headers are named from the root, so that the rule above sees them.
    grep -rnE --include='*.[ch]' '^ *# *include "[^/"]*"' cli
    return 0
}

# A name says the subject, so one layer has it once (a header and its source count as one). Backends mirror one another: in
# kernels each is a layer of its own. The unit tests of a layer, in whatever room, are programs side by side.
same_names() {
    printf '%s\n' "${parts[@]}" | grep -E '\.[ch]$' | awk -F/ '
        { layer = $1 == "kernels" && NF > 2 ? $1 "/" $2 : $1 == "tests" ? $1 "/" $2 "/" $3 : $1; key = layer "/" $NF
          if (key in seen) print seen[key] " and " $0
          seen[key] = $0 }'
}

# Formatters and compilers of other versions think differently: only the named version may fail a check.
major() { # PROGRAM
    "$1" --version 2>/dev/null | grep -oE '[0-9]+\.[0-9]+' | head -1 | cut -d. -f1
}
find_version() { # PROGRAM MAJOR: the program's name, if that version is installed
    local program
    for program in "$1-$2" "$1"; do
        if [ "$(major "$program")" = "$2" ]; then
            echo "$program"
            return
        fi
    done
}

formatted() { # PROGRAM
    printf '%s\0' "${sources[@]}" | xargs -0 -P 2 -n 16 "$1" --dry-run -Werror 2>&1 | grep 'error:' | cut -d: -f1 |
        sort | uniq -c | awk '{ print $2 ": " $1 " places are not as clang-format puts them" }'
}

# Every file alone, as far as the front end sees; the kernels' vector files once, in their portable variant.
compiles() { # COMPILER
    local flags
    flags=$(make -s -C "$here" CC="$1" print-flags) || { echo "no compiler flags: make print-flags failed"; return; }
    printf '%s\0' "${units[@]}" | xargs -0 -P 2 -n 8 sh -c 'compiler=$1 flags=$2; shift 2
        for f; do
            case $f in kernels/cpu/simd/*) extra="-DCPU_VARIANT=generic -DCPU_WIDTH=4" ;; *) extra= ;; esac
            eval "$compiler $flags $extra -fsyntax-only -Werror \"$f\""
        done' _ "$1" "$flags" 2>&1 | grep -E 'error:|fatal' | cut -c1-200
}

# A method's facts are asked of its row: its name in quotes stands with the methods, in tables and in tests only. The
# names are those of methods.def. Some are words of other things too: the folder and the flag "adapter", a tokenizer's key.
method_names() {
    local names word list='[^"]*[|]'
    names=$(sed -nE 's/^METHOD\((\w+)\).*/\1/p; s/^PRESET\("([^"]+)".*/\1/p' runner/nn/peft/methods.def 2>/dev/null |
        sed -E 'p; s/_/-/g' | sort -u | paste -sd'|')
    word='^cli/serve/(asked|(write|bench)/[a-z_]+)\.c:.*"prompt"|^(cli/trial/(cmd_(eval|merge)|text_command)|runner/(trial|run_folder)|report/(plots/surface|sections/(costs|service_levels)|service/sla_file)|cli/serve/(served_tasks|bench/bench_trace))\.[ch]:.*"adapter"|^runner/convert/[a-z_]*\.c:.*"(adapter|lora)"|^runner/text/decoder\.c:.*"prefix"|^runner/data/(language_rows|look/look_guess)\.c:.*"prompt"'
    [ -n "$names" ] || return 0
    printf '%s\0' "${sources[@]}" | grep -zvE '^(tests|runner/nn/peft)/' |
        xargs -0 -r awk -v strings=1 -f "$here/tests/lint/c_code.awk" |
        grep -E "\"($list)?($names)([|][^\"]*)?\"" | grep -vE "$word" | cut -c1-160
}

# What people read on a terminal goes through text_print, a table or command_print_json, which let no control character of
# outside data through: in the command line every call, below it those that print a text (%s). What remains prints for
# programs: rows, tokens, pages, files.
unclean_prints() {
    local calls='(^|[^A-Za-z0-9_])(v?f?printf|f?puts|f?putc|putchar|fwrite) *[(]' \
        raw='cli/(command|store/(cmd_export|export_csv)|trial/cmd_(chat_template|generate|rows|tokenize)|docs/cmd_docs)\.c'
    grep -E '^cli/' <<<"$code" | grep -E "$calls" | grep -vE "^$raw:" | cut -c1-160
    printf '%s\0' "${units[@]}" | grep -zE '^(tracker|runner|sweep|report)/' |
        xargs -0 -r awk -v strings=1 -f "$here/tests/lint/c_code.awk" | awk '
        # the call up to its end, so that a text in a later line is seen
        { rest = $0; sub(/^[^:]*:[0-9]*:/, "", rest)
          if (call == "" && match(rest, /(^|[^A-Za-z0-9_])v?f?printf *\(/)) { call = $0; rest = substr(rest, RSTART) }
          if (call != "") all = all rest
          if (call != "" && rest ~ /;[ ]*$/) { if (all ~ /%[-0-9.*]*s/) print call; call = all = "" } }' | cut -c1-160
}

code=$(awk -f "$here/tests/lint/c_code.awk" "${sources[@]}")
banned='(^|[^A-Za-z0-9_])(strcpy|strcat|sprintf|vsprintf|strtok|gets|atoi|atol|atoll|atof|alloca)[ ]*\('

result "layers: who includes whom" "$(layers)"
result "no unsafe functions" "$(grep -v "^tests/" <<<"$code" | grep -E "$banned" | cut -c1-160)"
result "block comments only" "$(grep '//' <<<"$code" | cut -c1-160)"
result "no exit() below the command line" \
    "$(grep -E '^(lib|kernels|tracker|runner|sweep|report)/' <<<"$code" | grep -E '[^A-Za-z0-9_](exit|_exit) *\(' |
        grep -vE '^lib/(mem|os/proc|os/proc_tree)\.[ch]:' | cut -c1-160)"
result "a trial is read by its members" \
    "$(grep -E '^runner/' <<<"$code" | grep -E 'json_get_(str|int|num|bool) *\([^,]*trial[^,]*,' | cut -c1-160)"
result "a code is passed on or asked of err_code()" \
    "$(grep -vE '^(tests/|lib/err\.c)' <<<"$code" | grep -E -- '- *\(int(64_t)?\) ?\(?[a-z>-]*err->code' | cut -c1-160)"
result "no method's name in quotes" "$(method_names)"
result "what a terminal shows is cleaned" "$(unclean_prints)"
result "no unfinished business" "$(grep -nE '\b(TODO|FIXME|XXX)\b' "${sources[@]}" | cut -c1-160)"
result "no tabs, no trailing blanks" "$(grep -nP '\t|[ ]+$' "${sources[@]}" | cut -c1-120)"
result "no file over $longest lines" \
    "$(wc -l "${sources[@]}" | awk -v n="$longest" '$2 != "total" && $1 > n { print $2 ": " $1 " lines; is it one subject?" }')"
result "no folder over $fullest files" \
    "$(printf '%s\n' "${parts[@]}" | sed 's,/[^/]*$,,' | sort | uniq -c | awk -v n="$fullest" '$1 > n { print $2 ": " $1 " files; is it one subject?" }')"
result "no two files of one name in a layer" "$(same_names)"
tool=$(find_version clang-format 14)
if [ -n "$tool" ]; then
    result "clang-format" "$(formatted "$tool")"
else
    skip "clang-format" "the style is that of clang-format 14, which is not installed"
fi
for wanted in "gcc 12" "clang 14"; do
    tool=$(find_version $wanted)
    if [ -n "$tool" ]; then
        result "$wanted has no warnings" "$(compiles "$tool")"
    else
        skip "$wanted has no warnings" "it is not installed"
    fi
done
echo "1..$number"
exit $failed
