/* report/trials/kept_rows.c - see kept_rows.h. */
#include "report/trials/kept_rows.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/store/upkeep.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Scores that are kept in memory for one report: 256 MB. */
enum { MAX_SCORES = 1 << 25 };

/* A run's numbers were rounded to floats once. */
static bool is_score(double mean, double score)
{
    return fabs(mean - score) <= 1e-4 * fmax(1, fabs(score));
}

struct loader {
    const struct store *store;
    const char *metric, *name; /* "test/accuracy", "accuracy" */
    rows_to_scores *scores;
    struct kept_rows *out;
    struct strmap *sets;
    size_t total;
};

/* In words that hold on any machine: paths are no part of a page. */
static void note_unread(struct kept_rows *k, int64_t trial, const struct err *e)
{
    k->unread++;
    if (!k->problem)
        k->problem = xasprintf("of trial %lld the copy is %s", (long long)trial,
                               e->code == ERR_NOINPUT
                                   ? "gone: FILE.artifacts belongs to the store FILE"
                                   : "damaged");
}

static int read_file(const struct loader *l, const char *sha256, struct row_results *rows,
                     struct err *err)
{
    struct buf bytes;
    buf_init(&bytes, ROWS_MAX_BYTES);
    int rc = store_kept_content(l->store, sha256, ROWS_MAX_BYTES, &bytes, err);
    if (!rc)
        rc = row_results_read(buf_str(&bytes), bytes.len, rows, err);
    buf_release(&bytes);
    return rc;
}

static size_t set_of(struct loader *l, const char *sha256)
{
    int64_t set = (int64_t)strmap_count(l->sets);
    if (!strmap_get(l->sets, sha256, strlen(sha256), &set))
        strmap_put(l->sets, sha256, strlen(sha256), set);
    return (size_t)set;
}

static void load_trial(struct loader *l, const struct report_trial *t,
                       struct trial_rows *out, const char *sha256)
{
    struct err e = ERR_INIT;
    struct row_results rows;
    if (read_file(l, sha256, &rows, &e)) {
        note_unread(l->out, t->id, &e);
        return;
    }
    double *scores = xcalloc(rows.count + 1, sizeof *scores), mean = 0;
    bool known = l->total + rows.count <= MAX_SCORES && l->scores(&rows, l->name, scores);
    for (size_t i = 0; i < rows.count; i++)
        mean += scores[i] / (double)rows.count;
    if (known && is_score(mean, trial_metric(t, l->metric))) {
        *out = (struct trial_rows){scores, rows.count, set_of(l, rows.rows_sha256)};
        l->total += rows.count;
    } else {
        l->out->unfit++;
        free(scores);
    }
    row_results_release(&rows);
}

void kept_rows_load(const struct store *s, const struct report_data *d,
                    const char *metric, rows_to_scores *scores, struct kept_rows *out)
{
    const char *slash = strchr(metric, '/');
    char *file = xasprintf("rows/%.*s", slash ? (int)(slash - metric) : 0, metric);
    *out = (struct kept_rows){.of = xcalloc(d->count + 1, sizeof *out->of),
                              .trials = d->count};
    struct loader l = {s, metric, slash ? slash + 1 : metric, scores, out, strmap_new(),
                       0};
    for (size_t i = 0, k = 0; i < d->count; i++) {
        const struct report_trial *t = &d->trials[i];
        const char *sha256 = NULL;
        for (; k < json_array_size(d->row_files); k++) { /* both by trial */
            const json_t *row = json_array_get(d->row_files, k);
            const int64_t id = json_integer_value(json_array_get(row, 0));
            if (id > t->id)
                break;
            if (id == t->id && str_eq(json_string_value(json_array_get(row, 1)), file))
                sha256 = json_string_value(json_array_get(row, 2));
        }
        if (!isfinite(trial_metric(t, metric)))
            continue;
        if (sha256)
            load_trial(&l, t, &out->of[i], sha256);
        out->with += out->of[i].scores != NULL;
        out->without += !out->of[i].scores;
    }
    strmap_free(l.sets);
    free(file);
}

void kept_rows_release(struct kept_rows *k)
{
    for (size_t i = 0; i < k->trials; i++)
        free(k->of[i].scores);
    free(k->of);
    free(k->problem);
    *k = (struct kept_rows){0};
}
