/* tests/unit/report/fixture.h - a store with trials of known truth, as a sweep over
 * reviews would leave it. */
#ifndef TESTS_REPORT_UTIL_H
#define TESTS_REPORT_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/rng.h"
#include "report/report.h"
#include "tests/unit/support/method_facts.h"
#include "tracker/store/store.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MUST(call)                                                                       \
    do {                                                                                 \
        struct err e_ = ERR_INIT, *err = &e_;                                            \
        if ((call) < 0)                                                                  \
            fail_msg("%s: %s", #call, e_.msg);                                           \
    } while (0)

/* What a method truly reaches, and what it needs. */
struct truth {
    const char *method;
    double score, gain, /* at 100 rows; more at 400 */
        noise, planned_mib, latency_ms, train_s;
    double trainable, flops_factor;
};

static const struct truth truths[] = {
    {"head", .42, .03, .004, 31, 4.1, 9, 1155, 1},
    {"lora", .54, .10, .008, 64, 4.9, 24, 74883, 2},
    {"qlora", .53, .10, .008, 41, 7.9, 33, 74883, 2},
    {"adapter", .52, .08, .010, 66, 5.4, 25, 89000, 2},
    {"prefix", .40, .10, .040, 70, 5.2, 27, 93315, 2},
    {"full", .53, .11, .009, 402, 4.4, 41, 22714371, 3},
};

static double noise(const char *what, int64_t seed, int i)
{
    struct philox_key key = rng_key((uint64_t)seed, what);
    return rng_normal(&key, (uint64_t)i, 0);
}

static inline json_t *environment(void)
{
    return json_pack("{s:s, s:s, s:s, s:i, s:i, s:I, s:s, s:s, s:s, s:{s:s, s:s, s:s}}",
                     "peftlab_version", "0.1.0", "cpu", "Test CPU <b>2 GHz</b> `id`",
                     "simd", "avx2", "cores", 2, "threads", 1, "memory_bytes",
                     (json_int_t)8 << 30, "kernel", "Linux 6.1.0 x86_64", "host", "test",
                     "backend", "cpu", "sha256", "model",
                     "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                     "train_data", "aa11", "test_data", "bb22");
}

static inline void log_series(struct store *s, int64_t run, int steps, double end,
                              int64_t seed)
{
    struct metric_point *p = xcalloc((size_t)steps, sizeof *p);
    for (int i = 0; i < steps; i++) {
        double fall = exp(-4.0 * i / steps);
        p[i] = (struct metric_point){
            "train/loss", i + 1, end + (1.1 - end) * fall + .08 * noise("loss", seed, i)};
    }
    MUST(store_log_metrics(s, run, p, (size_t)steps, err));
    free(p);
}

static inline void log_summary(struct store *s, int64_t run, const struct truth *t,
                               double score, double select, int rows, double extra,
                               int64_t seed)
{
    double jitter = 1 + .02 * noise("time", seed, (int)t->trainable);
    double steps = rows / 16.0 * 5, train = t->train_s * rows / 400 * jitter;
    const struct metric_point p[] = {
        {"test/macro_f1", -1, score},
        {"test/accuracy", -1, score + .1},
        {"eval/macro_f1", -1, select},
        {"mem/planned_bytes", -1, (t->planned_mib + extra) * 1048576},
        {"mem/peak_rss_bytes", -1, (t->planned_mib + extra + 120 * jitter) * 1048576},
        {"latency/p50_ms", -1, t->latency_ms * jitter},
        {"latency/p95_ms", -1, t->latency_ms * jitter * 1.6},
        {"latency/p99_ms", -1, t->latency_ms * jitter * 2.1},
        {"latency/p99_high_ms", -1, NAN},
        {"latency/requests", -1, 200},
        {"time/train_s", -1, train},
        {"time/total_s", -1, train + 4},
        {"throughput/samples_per_s", -1, rows * 5 / train},
        {"train/flops", -1, rows * 5 * t->flops_factor * 6.6e8},
        {"train/updates", -1, steps},
        {"params/trainable", -1, t->trainable * (1 + extra / 10)},
        {"params/total", -1, 22714371},
        {"size/adapter_bytes", -1, t->trainable * 4},
        {"data/train_rows", -1, rows},
        {"data/test_rows", -1, 741},
    };
    MUST(store_log_metrics(s, run, p, ARRAY_LEN(p), err));
}

struct filler {
    struct store *store;
    int64_t experiment, sweep;
    int number;
};

static inline void add_trial(struct filler *f, const struct truth *t, json_t *params,
                             int rows, int64_t seed, double bonus, double extra,
                             enum trial_state state, const char *reason)
{
    json_t *config = json_deep_copy(params);
    json_object_set_new(config, "seed", json_integer(seed));
    json_object_set_new(config, "model", json_string("minilm"));
    json_object_set_new(config, "method",
                        json_string(strcmp(t->method, "qlora") ? t->method : "lora"));
    if (!strcmp(t->method, "qlora"))
        json_object_set_new(config, "quantization", json_string("nf4"));
    char *key = xasprintf("key%d", f->number);
    struct trial_row row = {.sweep = f->sweep,
                            .experiment = f->experiment,
                            .number = f->number++,
                            .key = key,
                            .seed = (uint64_t)seed,
                            .base_dir = "/tmp",
                            .config = config,
                            .params = params,
                            .predicted_bytes = -1,
                            .predicted_s = NAN};
    size_t added = 0;
    struct run_claim claim;
    char now[32];
    snprintf(now, sizeof now, "%lld", 1795000000000LL + f->number * 60000LL);
    setenv("PEFTLAB_NOW_MS", now, 1);
    MUST(store_add_trials(f->store, &row, 1, &added, err));
    assert_int_equal(added, 1);
    struct err e = ERR_INIT;
    assert_int_equal(store_claim(f->store, f->sweep, 0, 60000, NULL, &claim, &e), 1);
    json_t *machine = environment();
    MUST(store_set_environment(f->store, claim.run, machine, err));
    MUST(log_method(f->store, claim.run, t->method, err));
    if (state == TRIAL_complete) {
        double common = .006 * noise("seed", seed, 0);
        double score = t->score + (rows > 100 ? t->gain : 0) + bonus + common +
                       t->noise * noise(key, seed, 1);
        log_summary(f->store, claim.run, t, score,
                    score + .02 + .004 * noise(key, seed, 2), rows, extra, seed);
        log_series(f->store, claim.run, rows / 16 * 5, 1.1 - t->score, seed + f->number);
    }
    snprintf(now, sizeof now, "%lld",
             1795000000000LL + f->number * 60000LL +
                 (long long)(1000 * t->train_s * rows / 400) + 5000);
    setenv("PEFTLAB_NOW_MS", now, 1);
    MUST(store_run_finish(f->store, claim.run, state, state == TRIAL_complete ? 0 : 71,
                          reason, err));
    json_decref(machine);
    json_decref(config);
    json_decref(params);
    free(key);
}

static inline json_t *params_of(const struct truth *t, int rows, double rate)
{
    return json_pack("{s:s, s:i, s:f}", "method", t->method, "max_train_samples", rows,
                     "learning_rate", rate);
}

static inline void add_lora(struct filler *f, const struct truth *t, int rows,
                            int64_t seed)
{
    static const double ranks[] = {4, 16}, alphas[] = {8, 32};
    for (int r = 0; r < 2; r++)
        for (int a = 0; a < 2; a++)
            for (int wide = 0; wide < 2; wide++) {
                json_t *p = params_of(t, rows, 6e-3);
                json_object_set_new(p, "rank", json_integer((json_int_t)ranks[r]));
                json_object_set_new(p, "alpha", json_integer((json_int_t)alphas[a]));
                json_object_set_new(
                    p, "target_modules",
                    wide ? json_pack("[s,s,s,s]", "query", "key", "value", "dense")
                         : json_pack("[s,s]", "query", "value"));
                add_trial(f, t, p, rows, seed, .004 * r - .02 * (a == 0) + .012 * wide,
                          2 * r + 5 * wide, TRIAL_complete, NULL);
            }
}

/* 100 and 400 rows, `seeds` seeds; prefix fails once, full once. */
static inline void fill_reviews(struct store *s, int seeds)
{
    struct filler f = {.store = s};
    json_t *file = json_pack("{s:s}", "method", "grid");
    MUST(store_experiment(s, "reviews", &f.experiment, err));
    MUST(store_sweep(s, f.experiment, "reviews", file, "/tmp", &f.sweep, err));
    json_decref(file);
    for (int rows = 100; rows <= 400; rows += 300)
        for (size_t m = 0; m < ARRAY_LEN(truths); m++)
            for (int64_t seed = 0; seed < seeds; seed++) {
                const struct truth *t = &truths[m];
                bool lora = !strcmp(t->method, "lora");
                bool oom = !strcmp(t->method, "full") && rows == 400 && seed == 1;
                bool nan = !strcmp(t->method, "prefix") && rows == 100 && seed == 2;
                if (lora)
                    add_lora(&f, t, rows, seed);
                else
                    add_trial(&f, t, params_of(t, rows, 1e-3), rows, seed, 0, 0,
                              oom   ? TRIAL_oom
                              : nan ? TRIAL_nan
                                    : TRIAL_complete,
                              oom   ? "needs 402 MiB of 256 MiB"
                              : nan ? "loss is not a number at update 12 <script>"
                                    : NULL);
            }
    unsetenv("PEFTLAB_NOW_MS");
}

/* ---- a store in a folder of its own, for tests with a state ---- */

struct fixture {
    char dir[64];
    char *path;
    struct store *store;
};

static inline int open_store(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    strcpy(f->dir, "/tmp/peftlab-report-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->path = fs_join(f->dir, "s.db");
    MUST(store_open(f->path, STORE_CREATE, &f->store, err));
    *state = f;
    return 0;
}

static inline int close_store(void **state)
{
    struct fixture *f = *state;
    store_close(f->store);
    fs_remove_tree(f->dir, NULL);
    free(f->path);
    free(f);
    return 0;
}

static inline struct report_options defaults(void)
{
    return (struct report_options){.delta = NAN,
                                   .collapse = NAN,
                                   .requests_per_day = NAN,
                                   .core_usd_per_hour = REPORT_CORE_USD_PER_HOUR};
}

/* The report with an SLA file of this text. */
static inline struct report *with_sla(struct fixture *f, const char *text)
{
    char *path = fs_join(f->dir, "sla.yaml");
    MUST(fs_write_atomic(path, text, strlen(text), err));
    struct report_options o = {.delta = NAN,
                               .collapse = NAN,
                               .requests_per_day = NAN,
                               .core_usd_per_hour = REPORT_CORE_USD_PER_HOUR,
                               .sla_path = path};
    struct report *r = NULL;
    MUST(report_build(f->store, &o, &r, err));
    free(path);
    return r;
}

/* One of the section's takeaways has these words. */
static inline bool section_says(const struct report *r, const char *section,
                                const char *words)
{
    const json_t *list =
        json_object_get(json_object_get(r->sections, section), "takeaways");
    json_t *line;
    size_t i;
    json_array_foreach((json_t *)list, i, line)
    {
        if (strstr(json_string_value(line), words))
            return true;
    }
    return false;
}

#endif
