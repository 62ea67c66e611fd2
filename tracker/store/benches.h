/* tracker/store/benches.h - what `peftlab bench` puts into the store: how many requests for
 * many adapters one base answers, how fast, and how long its batches take.
 *
 * A bench is one run of the command. It measures settings: what answers (the base alone,
 * one merged model, so many adapters), whom requests go to (popularity) and for how many
 * adapters there is room (slots). Each setting has points, one per load and seed, and
 * batches as they ran. What is known of a setting by all of its points (the highest rate,
 * phi, what a batch costs) is put at its end. A bench that broke off keeps its points and
 * has no ended_ms: readers leave it out (tracker/view/served.h).
 *
 * Numbers that are not known are NaN here and NULL there. Seconds, milliseconds and
 * requests per second as the names say. */
#ifndef TRACKER_STORE_BENCHES_H
#define TRACKER_STORE_BENCHES_H

#include "lib/load/batch_times.h"
#include "tracker/store/store.h"

struct bench_about {
    const json_t *file;   /* the bench file's tree */
    const char *base_dir; /* where its relative paths start */
    const char *model;    /* as the file names it; "": a server was asked */
    const char *target;   /* "engine", or a server's address */
    const char *method;   /* of the adapters, ", " between; "": not known */
    const char *backend, *machine;
    const json_t *environment;
    double limit_ms;           /* NaN: none */
    const char *requests_path; /* NULL: none */
};

#define BENCH_KINDS(X)                                                                   \
    X(base)     /* the base alone: nothing of an adapter */                              \
    X(merged)   /* one adapter, worked into the base's weights */                        \
    X(adapters) /* so many, beside the base */
enum bench_kind {
#define X(name) BENCH_##name,
    BENCH_KINDS(X)
#undef X
        BENCH_KIND_COUNT
};
extern const char *const bench_kind_names[BENCH_KIND_COUNT];

/* What is known of a setting by all of its points: columns of bench_setting. */
#define BENCH_SETTING_NUMBERS(X)                                                         \
    X(tokens)                                                                            \
    X(rate)                                                                              \
    X(rate_low)                                                                          \
    X(rate_high)                                                                         \
    X(phi)                                                                               \
    X(phi_low)                                                                           \
    X(phi_high)                                                                          \
    X(capacity)                                                                          \
    X(fixed_s)                                                                           \
    X(token_s)                                                                           \
    X(row_s)                                                                             \
    X(adapter_s)                                                                         \
    X(cold_s)                                                                            \
    X(residual_s)
struct bench_setting {
    int64_t number;
    enum bench_kind kind;
    int64_t adapters;
    const char *popularity;
    int64_t slots; /* 0: all */
#define X(name) double name;
    BENCH_SETTING_NUMBERS(X)
#undef X
    int64_t batches;
};

/* Columns of bench_point. */
#define BENCH_POINT_COUNTS(X)                                                            \
    X(number)                                                                            \
    X(setting)                                                                           \
    X(seed)                                                                              \
    X(sent)                                                                              \
    X(answered)                                                                          \
    X(refused)                                                                           \
    X(failed)                                                                            \
    X(cold)                                                                              \
    X(generator_late)
#define BENCH_POINT_NUMBERS(X)                                                           \
    X(load)                                                                              \
    X(completed_per_s)                                                                   \
    X(goodput_per_s)                                                                     \
    X(attainment)                                                                        \
    X(mean_ms)                                                                           \
    X(p50_ms)                                                                            \
    X(p50_low_ms)                                                                        \
    X(p50_high_ms)                                                                       \
    X(p95_ms)                                                                            \
    X(p95_low_ms)                                                                        \
    X(p95_high_ms)                                                                       \
    X(p99_ms)                                                                            \
    X(p99_low_ms)                                                                        \
    X(p99_high_ms)                                                                       \
    X(longest_ms)                                                                        \
    X(growth)                                                                            \
    X(share)                                                                             \
    X(simulated_p50_ms)                                                                  \
    X(simulated_p95_ms)                                                                  \
    X(simulated_p99_ms)                                                                  \
    X(hot_p99_ms)                                                                        \
    X(median_p99_ms)                                                                     \
    X(cold_p99_ms)                                                                       \
    X(fairness)
/* The same, of answers in pieces (lib/load/streams.h); else NaN. */
#define BENCH_STREAM_NUMBERS(X)                                                          \
    X(ttft_p50_ms)                                                                       \
    X(ttft_p99_ms)                                                                       \
    X(tpot_p50_ms)                                                                       \
    X(tpot_p99_ms)                                                                       \
    X(itl_p50_ms)                                                                        \
    X(itl_p99_ms)                                                                        \
    X(tokens_per_s)
struct bench_point {
    const char *kind; /* open, closed, trace */
#define X(name) int64_t name;
    BENCH_POINT_COUNTS(X)
#undef X
#define X(name) double name;
    BENCH_POINT_NUMBERS(X)
    BENCH_STREAM_NUMBERS(X)
#undef X
};

int store_bench_begin(struct store *s, const struct bench_about *a, int64_t *id,
                      struct err *err);
/* Again for the same number: replaced. */
int store_bench_setting(struct store *s, int64_t bench, const struct bench_setting *x,
                        struct err *err);
int store_bench_point(struct store *s, int64_t bench, const struct bench_point *x,
                      struct err *err);
/* Replaces those of the setting, in one transaction. */
int store_bench_batches(struct store *s, int64_t bench, int64_t setting,
                        const struct batch_seen *seen, size_t count, struct err *err);
int store_bench_end(struct store *s, int64_t bench, struct err *err);

#endif
