#!/bin/bash
# Golden cases as TAP: tests/golden/run.sh PROGRAM [CASE...]      (no case: all of cases/)
# The backend is PEFTLAB_BACKEND's. A case passes when train and eval through the command line give the numbers of the
# Python references within the case's own tolerance; check_case.py compares.
set -u
program=$(realpath "$1")
shift
cd "$(dirname "$0")"
[ $# -gt 0 ] || set -- cases/*
for arg in "$@"; do
    shift
    case $arg in */*) ;; *) arg=cases/$arg ;; esac
    set -- "$@" "$arg"
done
echo "1..$#"
python3 check_case.py --verbose --timeout 300 "$program" "$@" | awk '
    /^PASS / { sub(/:.*/, "", $2); print "ok " ++n " - " $2; next }
    /^FAIL / { name = $2; sub(/:.*/, "", name); print "not ok " ++n " - " name }
    { print "# " $0 }'
exit "${PIPESTATUS[0]}"
