#!/bin/bash
# kill -9 over workers, controller, reaper and importer on one store (tests/crash/store_rounds.c says what must hold).
#   tests/crash/store_rounds.sh BUILD ROUNDS [SEED]
set -u
B=$1 rounds=$2 seed=${3:-}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$B/store_rounds" "$folder" "$rounds" "$B/peftlab" ${seed:+"$seed"}
