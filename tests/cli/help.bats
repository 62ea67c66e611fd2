#!/usr/bin/env bats
# Every command explains itself, and the overview names every command.
bats_require_minimum_version 1.5.0
load common

setup_file() {
    find_program
}

commands() {
    sed -n 's/^COMMAND(\([a-z_]*\)).*/\1/p' "$ROOT/cli/commands.def" | tr _ -
}

@test "the overview lists every command with a line of help" {
    for word in help --help -h; do
        run -0 "$PEFTLAB" $word
        for command in $(commands); do
            grep -qE "^  $command +[A-Za-z]" <<<"$output" || { echo "no line for $command"; return 1; }
        done
    done
}

@test "without arguments it prints the overview as an error" {
    run -2 --separate-stderr "$PEFTLAB"
    [ -z "$output" ]
    [[ "$stderr" == *"usage: peftlab COMMAND"* ]]
}

@test "--version names the version" {
    run -0 "$PEFTLAB" --version
    [[ "$output" =~ ^peftlab\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
}

@test "every command has --help, on stdout, that names itself and every flag of its usage" {
    for command in $(commands); do
        run -0 --separate-stderr "$PEFTLAB" "$command" --help
        [ -z "$stderr" ] || { echo "$command talks on stderr: $stderr"; return 1; }
        [[ "$output" == *"peftlab $command"* ]] || { echo "$command: no usage line"; return 1; }
        [ "${#lines[@]}" -ge 2 ]
        for flag in $(grep -E '^usage:' <<<"$output" | grep -oE -- '--[a-z-]+' | sort -u); do
            grep -qE -- "^ *$flag|--no-${flag#--}|$flag" <<<"$(grep -v '^usage:' <<<"$output")" ||
                { echo "$command: $flag is in the usage but not explained"; return 1; }
        done
    done
}

@test "no line of help is wider than 120 columns" {
    for command in $(commands); do
        long=$("$PEFTLAB" "$command" --help | grep -v '^usage:' | awk 'length($0) > 120')
        [ -z "$long" ] || { echo "$command: $long"; return 1; }
    done
}

@test "train --help explains every key of a trial file" {
    run -0 "$PEFTLAB" train --help
    for key in $(sed -n 's/^OPTION(\([a-z0-9_]*\),.*/\1/p' "$ROOT/runner/options.def"); do
        grep -qE "^ *$key\b" <<<"$output" || { echo "no line for $key"; return 1; }
    done
}

@test "the sub-commands of sweep have help of their own" {
    for word in plan run status stop; do
        run -0 "$PEFTLAB" sweep $word --help
        [[ "$output" == *"sweep $word"* ]]
    done
}
