#!/bin/bash
# The CUDA backend as nvcc made it, on a machine with or without a GPU: TAP.    object.sh SHARED-OBJECT PROGRAM
set -u
object=$1 program=$2 number=0 failed=0

check() { # NAME EXPECTED GOT
    number=$((number + 1))
    if [ "$2" = "$3" ]; then
        echo "ok $number - $1"
    else
        failed=1
        printf 'not ok %s - %s\n# expected %s\n# got %s\n' "$number" "$1" "$2" "$3"
    fi
}
exported=$(nm -D --defined-only "$object" | awk '{ print $3 }' | tr '\n' ' ')
check "exports one symbol" "peftlab_backend_entry " "$exported"
check "the program knows no CUDA" "" "$(nm -a "$program" | grep -iE ' (cuda[A-Z]|cublas)' | head -3)"
says=$(PEFTLAB_BACKEND_DIR=$(dirname "$object") "$program" doctor | grep '^  cuda ' | tr -s ' ')
case $says in
" cuda usable "*sm_* | " cuda no CUDA says: "* | " cuda no "*libcublas*)
    check "is usable, or tells why not ($says)" 1 1 ;;
*) check "is usable, or tells why not" "a GPU's name or CUDA's reason" "$says" ;;
esac
echo "1..$number"
exit $failed
