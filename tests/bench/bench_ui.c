/* tests/bench/bench_ui.c - a store to look at with `peftlab ui`, and a sweep that runs in it.
 *   bench_ui fill FILE TRIALS POINTS WAITING   one sweep: TRIALS complete trials in groups of
 *                                     three seeds, each with a curve of POINTS steps, and
 *                                     WAITING ones that have not begun
 *   bench_ui grow FILE RUNS SECONDS RATE       RUNS of those run: RATE points a second each */
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "tracker/store/store.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SEEDS = 3, METHODS = 4 };

static void must(int rc, const struct err *e)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "bench_ui: %s\n", e->msg);
    exit(1);
}

static int64_t make_sweep(struct store *s, int64_t *experiment, struct err *e)
{
    int64_t sweep = 0;
    json_t *file = json_pack("{s:s, s:{s:s, s:s}}", "method", "grid", "metric", "name",
                             "eval/accuracy", "goal", "maximize");
    must(store_experiment(s, "bench", experiment, e), e);
    must(store_sweep(s, *experiment, "curves", file, ".", &sweep, e), e);
    json_decref(file);
    return sweep;
}

/* What the trial of this number is: method, rank and rate of its group. */
static json_t *params_of(int number)
{
    static const char *const methods[METHODS] = {"lora", "dora", "prefix", "head"};
    const int group = number / SEEDS;
    return json_pack("{s:s, s:i, s:f, s:i}", "method", methods[group % METHODS], "rank",
                     2 << group / METHODS % 5, "learning_rate",
                     1e-4 * (1 + group / (METHODS * 5) % 10), "batch_size",
                     8 << group / (METHODS * 50));
}

static void add_trials(struct store *s, int count, struct err *e)
{
    int64_t experiment = 0, sweep = make_sweep(s, &experiment, e);
    struct trial_row *rows = xcalloc((size_t)count, sizeof *rows);
    char(*keys)[32] = xcalloc((size_t)count, sizeof *keys);
    for (int i = 0; i < count; i++) {
        snprintf(keys[i], sizeof keys[i], "group-%d", i / SEEDS);
        json_t *params = params_of(i), *config = json_copy(params);
        json_object_set_new(config, "seed", json_integer(i % SEEDS));
        rows[i] = (struct trial_row){.experiment = experiment,
                                     .sweep = sweep,
                                     .number = i,
                                     .key = keys[i],
                                     .seed = (uint64_t)(i % SEEDS),
                                     .config = config,
                                     .params = params,
                                     .predicted_bytes = -1,
                                     .predicted_s = NAN};
    }
    must(store_add_trials(s, rows, (size_t)count, NULL, e), e);
    for (int i = 0; i < count; i++) {
        json_decref(rows[i].config);
        json_decref(rows[i].params);
    }
    free(rows);
    free(keys);
}

/* A loss that falls to a level of the run's own, with noise on it. */
static double loss_at(int64_t run, int64_t step)
{
    const double level = 0.3 + (double)(run * 7919 % 100) / 200,
                 noise = (double)((run * 31 + step) * 2654435761u % 1000) / 1000 - 0.5;
    return level + 2 * exp(-(double)step / 900) + 0.08 * noise;
}

static void fill_run(struct store *s, int64_t sweep, int points, struct err *e)
{
    struct run_claim c = {0};
    struct metric_point *p = xcalloc((size_t)points + 2, sizeof *p);
    must(store_claim(s, sweep, 0, 60000, NULL, &c, e), e);
    for (int i = 0; i < points; i++)
        p[i] = (struct metric_point){"train/loss", i, loss_at(c.run, i)};
    p[points] = (struct metric_point){"train/loss", -1, p[points - 1].value};
    p[points + 1] =
        (struct metric_point){"eval/accuracy", -1, 1.1 - loss_at(c.run, points)};
    must(store_log_metrics(s, c.run, p, (size_t)points + 2, e), e);
    must(store_run_finish(s, c.run, TRIAL_complete, 0, NULL, e), e);
    free(p);
}

static int fill(const char *path, int trials, int points, int waiting)
{
    struct store *s = NULL;
    struct err e = ERR_INIT;
    int64_t experiment = 0;
    const double start = clock_mono_s();
    must(store_open(path, STORE_CREATE, &s, &e), &e);
    add_trials(s, trials + waiting, &e);
    const int64_t sweep = make_sweep(s, &experiment, &e);
    for (int i = 0; i < trials; i++)
        fill_run(s, sweep, points, &e);
    printf("%d trials of %d points: %.0f s\n", trials, points, clock_mono_s() - start);
    store_close(s);
    return 0;
}

static void rest(double seconds)
{
    const struct timespec t = {(time_t)seconds, (long)(fmod(seconds, 1) * 1e9)};
    if (seconds > 0)
        nanosleep(&t, NULL);
}

static int grow(const char *path, int runs, double seconds, double rate)
{
    struct store *s = NULL;
    struct err e = ERR_INIT;
    int64_t experiment = 0;
    struct run_claim *claims = xcalloc((size_t)runs, sizeof *claims);
    must(store_open(path, 0, &s, &e), &e);
    const int64_t sweep = make_sweep(s, &experiment, &e);
    for (int i = 0; i < runs; i++)
        must(store_claim(s, sweep, 0, 3600000, NULL, &claims[i], &e), &e);
    const double start = clock_mono_s();
    for (int64_t step = 0; clock_mono_s() < start + seconds; step++) {
        for (int i = 0; i < runs; i++) {
            const struct metric_point p = {"train/loss", step,
                                           loss_at(claims[i].run, step)};
            must(store_log_metrics(s, claims[i].run, &p, 1, &e), &e);
        }
        rest(start + (double)(step + 1) / rate - clock_mono_s());
    }
    for (int i = 0; i < runs; i++)
        must(store_run_finish(s, claims[i].run, TRIAL_complete, 0, NULL, &e), &e);
    free(claims);
    store_close(s);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 6 && !strcmp(argv[1], "fill"))
        return fill(argv[2], atoi(argv[3]), atoi(argv[4]), atoi(argv[5]));
    if (argc == 6 && !strcmp(argv[1], "grow"))
        return grow(argv[2], atoi(argv[3]), atof(argv[4]), atof(argv[5]));
    fputs(
        "usage: bench_ui fill FILE TRIALS POINTS WAITING | grow FILE RUNS SECONDS RATE\n",
        stderr);
    return 2;
}
