/* cli/serve/bench/bench_file.h - what `peftlab bench` is to measure, from its file (bench.yaml).
 *
 *   model: models/bert-base            # in this process; or
 *   target: http://127.0.0.1:8000      # a server (peftlab serve, or one with the same API)
 *   api: classify                      # what is asked there: classify, predict, completions
 *   output: 32                         # tokens of a completion, which comes in pieces
 *   adapters: {dir: runs, clone: 1000} # each folder of `dir` so many times (synthetic), or
 *   adapters: {tasks: tasks.yaml}      # what `serve --tasks` would serve, by the store; or
 *   adapters: [reviews, topics]        # names that a server knows
 *   requests: {data: test.jsonl, text_column: text}    # texts as they are, or
 *   requests: {tokens: 24}             # ids drawn, also {uniform: [8, 512]} (synthetic)
 *   points: [base, merged, 1, 16, 1000]     # what answers: the base alone, one adapter merged,
 *                                           # so many of the adapters; all where it is not there
 *   popularity: [uniform, {zipf: 1.1}]      # or one; round_robin, {hot: 0.8}, {power: 0.3}
 *   slots: [16, all]                        # most adapters in memory; all where it is not there
 *   arrivals: {open: poisson, rate: [5, 10, auto]}     # {open: gamma, cv: 4}, {closed: [1, 8]},
 *                                           # {trace: times.csv}, {burst: {fan_out: 16, rate: 3}}:
 *                                           # so many at once with one text, bursts a second
 *   validate: [0.5, 0.7, 0.9]          # behind `auto`: shares of the highest rate
 *   resolution: 0.025                  # of the highest rate
 *   duration: 120s                     # of a point, warm-up apart
 *   warmup: 10s
 *   cold: false                        # true: adapters are not loaded before the first point
 *   batch: {max_rows: 32, max_tokens: 2048, wait: 0ms}
 *   resident: 64MiB                    # for adapters, in place of slots
 *   slo: {p99: 50ms}                   # also ttft, tpot of completions
 *   seeds: [0, 1, 2]
 *
 * Points, popularities and slots give the settings: each with each, but the base, a merged
 * adapter and a single one are the same whatever the popularity and slots, and room for
 * all adapters is room for all.
 *
 * Unknown keys are refused, with place. */
#ifndef CLI_SERVE_BENCH_BENCH_FILE_H
#define CLI_SERVE_BENCH_BENCH_FILE_H

#include "lib/err.h"
#include "lib/load/schedule.h"
#include "tracker/store/benches.h"
#include <jansson.h>
#include <stdbool.h>

enum { BENCH_LIST_MOST = 64 };

struct bench_popularity {
    enum popularity kind;
    double number;
    char name[32]; /* "zipf 1.1" */
};
/* What is measured at one load after the other. */
struct bench_case {
    enum bench_kind kind;
    size_t adapters; /* 0: all there are; of the base: one, which is not used */
    const struct bench_popularity *popularity;
    size_t slots; /* 0: all */
};

struct bench_file {
    json_t *root;   /* owned; texts below are its */
    char *base_dir; /* paths are relative to it; owned */
    const char *model, *target, *api;
    const char *adapter_dir, *adapter_tasks;
    const char *store;           /* of adapter_tasks: the caller's; NULL: the usual one */
    const json_t *adapter_names; /* NULL: none given */
    size_t clone;
    const char *data, *text_column;
    int32_t tokens[2]; /* least and most; 0: data */
    struct bench_popularity popularities[BENCH_LIST_MOST];
    size_t popularity_count;
    size_t slots[BENCH_LIST_MOST], slot_count;
    struct bench_case points[BENCH_LIST_MOST]; /* kind and adapters */
    size_t point_count;
    double cv;
    size_t fan_out;    /* requests at the same moment; rates count requests */
    const char *trace; /* NULL: arrivals are drawn */
    double rates[BENCH_LIST_MOST];
    size_t rate_count;
    bool find_rate; /* `auto` among the rates */
    size_t clients[BENCH_LIST_MOST], client_count;
    double shares[BENCH_LIST_MOST]; /* `validate` */
    size_t share_count;
    double resolution;
    double duration_s, warmup_s, wait_s;
    bool cold;
    int32_t max_rows, max_tokens;
    size_t resident_bytes;
    int32_t output; /* tokens of an answer in pieces; 0: it is one piece */
    double limit_ms, first_ms, token_ms; /* 0: none */
    uint64_t seeds[BENCH_LIST_MOST];
    size_t seed_count;
};

/* words: "key=value", each a key of the file's top. Release also after an error. */
int bench_file_read(struct bench_file *b, const char *path, const char *const *words,
                    size_t count, struct err *err);
/* The same of a text alone. */
int bench_file_parse(struct bench_file *b, const char *text, size_t size,
                     struct err *err);
void bench_file_release(struct bench_file *b);
/* The caller's; *count of them. adapters: how many there are. ERR_CONFIG: a point has more. */
int bench_file_cases(const struct bench_file *b, size_t adapters, struct bench_case **out,
                     size_t *count, struct err *err);

#endif
