/* tests/bench/bench_store.c - fills a store and writes to it from many processes.
 *   bench_store fill FILE TRIALS RUNS POINTS   one sweep; of its trials RUNS are complete
 *                                              with POINTS values each, one key per 500
 *   bench_store write FILE WRITERS SECONDS BATCH
 *                              WRITERS processes log BATCH values a call; prints
 * values/s, latency of a call and how many failed */
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "tracker/store/store.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_CALLS = 1 << 17 };

static void must(int rc, const struct err *e)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "bench_store: %s\n", e->msg);
    exit(1);
}

static int64_t make_sweep(struct store *s, const char *name, int64_t *experiment,
                          struct err *e)
{
    int64_t sweep = 0;
    json_t *file = json_pack("{s:s}", "method", "grid");
    must(store_experiment(s, "bench", experiment, e), e);
    must(store_sweep(s, *experiment, name, file, ".", &sweep, e), e);
    json_decref(file);
    return sweep;
}

static void add_trials(struct store *s, const char *name, int count, struct err *e)
{
    int64_t experiment = 0, sweep = make_sweep(s, name, &experiment, e);
    struct trial_row *rows = xcalloc((size_t)count, sizeof *rows);
    char(*keys)[32] = xcalloc((size_t)count, sizeof *keys);
    for (int i = 0; i < count; i++) {
        snprintf(keys[i], sizeof keys[i], "%s-%d", name, i / 5);
        rows[i] = (struct trial_row){
            .experiment = experiment,
            .sweep = sweep,
            .number = i,
            .key = keys[i],
            .seed = (uint64_t)(i % 5),
            .config =
                json_pack("{s:s, s:i, s:f, s:i, s:i}", "method", "lora", "rank",
                          1 << (i / 5 % 8), "learning_rate", 1e-4 * (i / 40 % 10 + 1),
                          "group", i / 400, "seed", i % 5),
            .params = json_pack("{s:s, s:i, s:f, s:i}", "method", "lora", "rank",
                                1 << (i / 5 % 8), "learning_rate",
                                1e-4 * (i / 40 % 10 + 1), "group", i / 400),
            .predicted_bytes = -1,
            .predicted_s = NAN,
        };
    }
    must(store_add_trials(s, rows, (size_t)count, NULL, e), e);
    for (int i = 0; i < count; i++) {
        json_decref(rows[i].config);
        json_decref(rows[i].params);
    }
    free(rows);
    free(keys);
}

static void fill_run(struct store *s, int64_t sweep, int points, struct err *e)
{
    static const char *const keys[] = {"train/loss", "eval/accuracy", "train/grad_norm",
                                       "throughput/tokens_per_s"};
    struct run_claim c = {0};
    struct metric_point *p = xcalloc((size_t)points + 2, sizeof *p);
    must(store_claim(s, sweep, 0, 60000, NULL, &c, e), e);
    for (int i = 0; i < points; i++)
        p[i] = (struct metric_point){keys[i / 500 % 4], i % 500, 1.0 / (i + 1)};
    p[points] =
        (struct metric_point){"eval/accuracy", -1, 0.5 + (double)(c.run % 97) / 300};
    p[points + 1] = (struct metric_point){"time/total_s", -1, 12.5};
    must(store_log_metrics(s, c.run, p, (size_t)points + 2, e), e);
    must(store_run_finish(s, c.run, TRIAL_complete, 0, NULL, e), e);
    free(p);
}

static int fill(const char *path, int trials, int runs, int points)
{
    struct store *s = NULL;
    struct err e = ERR_INIT;
    int64_t experiment = 0;
    double start = clock_mono_s();
    must(store_open(path, STORE_CREATE, &s, &e), &e);
    add_trials(s, "big", trials, &e);
    printf("add %d trials: %.2f s\n", trials, clock_mono_s() - start);
    int64_t sweep = make_sweep(s, "big", &experiment, &e);
    start = clock_mono_s();
    for (int i = 0; i < runs; i++)
        fill_run(s, sweep, points, &e);
    double took = clock_mono_s() - start;
    printf("%d runs of %d values: %.1f s, %.0f values/s\n", runs, points, took,
           (double)runs * points / took);
    store_close(s);
    return 0;
}

/* ---- writers ---- */

struct writer {
    long calls, failed;
    float ms[MAX_CALLS];
};

static void write_on(const char *path, double seconds, int batch, struct writer *w)
{
    struct store *s = NULL;
    struct err e = ERR_INIT;
    struct run_claim c = {0};
    int64_t experiment = 0;
    must(store_open(path, 0, &s, &e), &e);
    int64_t sweep = make_sweep(s, "writers", &experiment, &e);
    must(store_claim(s, sweep, 0, 600000, NULL, &c, &e), &e);
    struct metric_point *p = xcalloc((size_t)batch, sizeof *p);
    double end = clock_mono_s() + seconds;
    for (int64_t step = 0; clock_mono_s() < end && w->calls < MAX_CALLS; step += batch) {
        for (int i = 0; i < batch; i++)
            p[i] = (struct metric_point){"train/loss", step + i,
                                         1.0 / (double)(step + i + 1)};
        double start = clock_mono_s();
        e = (struct err)ERR_INIT;
        if (store_log_metrics(s, c.run, p, (size_t)batch, &e) < 0) {
            w->failed++;
            fprintf(stderr, "bench_store: %s\n", e.msg);
        }
        w->ms[w->calls++] = (float)((clock_mono_s() - start) * 1000);
    }
    must(store_run_finish(s, c.run, TRIAL_complete, 0, NULL, &e), &e);
    free(p);
    store_close(s);
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static int64_t count_values(const char *path)
{
    struct store *s = NULL;
    struct err e = ERR_INIT;
    must(store_open(path, STORE_READ_ONLY, &s, &e), &e);
    json_t *r =
        store_query(s,
                    "SELECT count(*) FROM series_view JOIN trial_view ON "
                    "trial_view.id = series_view.trial WHERE sweep_name = 'writers'",
                    NULL, 1, &e);
    must(r ? 0 : -1, &e);
    int64_t n = json_integer_value(
        json_array_get(json_array_get(json_object_get(r, "rows"), 0), 0));
    json_decref(r);
    store_close(s);
    return n;
}

static int write_all(const char *path, int writers, double seconds, int batch)
{
    struct store *s = NULL;
    struct err e = ERR_INIT;
    struct writer *w = mmap(NULL, (size_t)writers * sizeof *w, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (w == MAP_FAILED)
        return 1;
    must(store_open(path, STORE_CREATE, &s, &e), &e);
    add_trials(s, "writers", writers, &e);
    store_close(s);
    double start = clock_mono_s();
    for (int i = 0; i < writers; i++)
        if (fork() == 0) {
            write_on(path, seconds, batch, &w[i]);
            _exit(0);
        }
    int status, broken = 0;
    while (wait(&status) > 0)
        broken += status != 0;
    double took = clock_mono_s() - start;
    long calls = 0, failed = 0;
    for (int i = 0; i < writers; i++) {
        calls += w[i].calls;
        failed += w[i].failed;
    }
    float *ms = xcalloc((size_t)calls + 1, sizeof *ms);
    size_t n = 0;
    for (int i = 0; i < writers; i++)
        for (long k = 0; k < w[i].calls; k++)
            ms[n++] = w[i].ms[k];
    qsort(ms, n, sizeof *ms, by_value);
    int64_t kept = count_values(path), sent = (calls - failed) * (int64_t)batch;
    printf(
        "%d writers, %d values a call: %.0f values/s; a call p50 %.2f ms, p99 %.1f ms, "
        "worst %.0f ms; %ld failed, %d ended badly, %lld of %lld values kept\n",
        writers, batch, (double)sent / took, ms[n / 2], ms[n * 99 / 100],
        ms[n ? n - 1 : 0], failed, broken, (long long)kept, (long long)sent);
    free(ms);
    return failed || broken || kept != sent;
}

int main(int argc, char **argv)
{
    if (argc == 6 && !strcmp(argv[1], "fill"))
        return fill(argv[2], atoi(argv[3]), atoi(argv[4]), atoi(argv[5]));
    if (argc == 6 && !strcmp(argv[1], "write"))
        return write_all(argv[2], atoi(argv[3]), atof(argv[4]), atoi(argv[5]));
    fputs("usage: bench_store fill FILE TRIALS RUNS POINTS | write FILE WRITERS SECONDS "
          "BATCH\n",
          stderr);
    return 2;
}
