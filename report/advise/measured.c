/* report/advise/measured.c - what the store has measured on the same task and base. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/stats/basic.h"
#include "lib/str.h"
#include "report/advise/advise.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_TRIALS = 20000, MAX_VALUES = 400000 };

/* Metrics to judge by, the first that there is; `select` chooses the configuration. */
static const struct {
    const char *score, *select;
    bool maximize;
} metrics[] = {
    {"test/macro_f1", "eval/macro_f1", true}, {"test/accuracy", "eval/accuracy", true},
    {"eval/macro_f1", "eval/macro_f1", true}, {"eval/accuracy", "eval/accuracy", true},
    {"test/loss", "eval/loss", false},        {"eval/loss", "eval/loss", false},
};

struct seen {
    int64_t id;
    char method[32], key[65];
    double rows; /* max_train_samples; 0: all */
    double score, select, latency;
};

struct seen_list {
    struct seen *items;
    size_t count, cap;
    char base[128]; /* the base that is asked about */
};

/* What a base is called here: as it is known, else the last part of its path or id. */
static void base_name(const struct advise_request *r, const char *path, char *out,
                      size_t n)
{
    const char *slash = strrchr(path, '/'),
               *known = r->known_name ? r->known_name(path) : NULL;
    snprintf(out, n, "%s", known ? known : slash && slash[1] ? slash + 1 : path);
}

/* A JSON text of the store. */
static json_t *unfold(const json_t *text)
{
    const char *s = json_string_value(text);
    return s ? json_parse(s, strlen(s), "store", NULL) : NULL;
}

/* What the trainer knows of the run, else what the sweep calls its method. */
static void take_method(const json_t *facts, const json_t *params, const json_t *config,
                        struct seen *s)
{
    struct method_facts known;
    const char *said = json_get_str(params, "method", json_get_str(config, "method", ""));
    snprintf(s->method, sizeof s->method, "%s",
             method_facts_read(facts, &known) ? known.name : said);
}

static void add_trial(const struct advise_request *r, const json_t *row,
                      struct seen_list *l)
{
    json_t *params = unfold(json_array_get(row, 2)),
           *config = unfold(json_array_get(row, 3)),
           *facts = unfold(json_array_get(row, 4));
    char base[128];
    base_name(r, json_get_str(config, "model", ""), base, sizeof base);
    if (str_eq(json_get_str(config, "task", "seq-cls"), r->task) &&
        !strcasecmp(base, l->base)) {
        l->items = xgrow(l->items, &l->cap, l->count + 1, sizeof *l->items);
        struct seen *s = &l->items[l->count++];
        *s = (struct seen){.id = json_integer_value(json_array_get(row, 0)),
                           .rows = json_get_num(config, "max_train_samples", 0),
                           .score = NAN,
                           .select = NAN,
                           .latency = NAN};
        snprintf(s->key, sizeof s->key, "%s", json_string_value(json_array_get(row, 1)));
        take_method(facts, params, config, s);
    }
    json_decref(params);
    json_decref(config);
    json_decref(facts);
}

static int by_id(const void *a, const void *b)
{
    int64_t x = ((const struct seen *)a)->id, y = ((const struct seen *)b)->id;
    return x < y ? -1 : x > y;
}

/* One metric of all trials into a field. Returns how many had it. */
static size_t read_metric(struct store *s, const char *key, struct seen_list *l,
                          size_t field)
{
    size_t i, found = 0;
    json_t *row, *bind = json_pack("[s]", key);
    json_t *result = store_query(
        s, "SELECT trial, value FROM summary_view WHERE key = ?1 AND value IS NOT NULL",
        bind, MAX_VALUES, NULL);
    json_array_foreach(json_object_get(result, "rows"), i, row)
    {
        struct seen wanted = {.id = json_integer_value(json_array_get(row, 0))};
        struct seen *t = bsearch(&wanted, l->items, l->count, sizeof wanted, by_id);
        if (!t)
            continue;
        *(double *)((char *)t + field) = json_number_value(json_array_get(row, 1));
        found++;
    }
    json_decref(bind);
    json_decref(result);
    return found;
}

/* Keeps the trials on numbers of rows nearest to the one asked about. */
static void keep_nearest_rows(struct seen_list *l, double rows)
{
    double best = INFINITY, nearest = 0;
    size_t kept = 0;
    for (size_t i = 0; i < l->count; i++) {
        double off = l->items[i].rows > 0 ? fabs(log(l->items[i].rows / rows)) : INFINITY;
        if (off < best) {
            best = off;
            nearest = l->items[i].rows;
        }
    }
    if (!isfinite(best))
        return;
    for (size_t i = 0; i < l->count; i++)
        if (l->items[i].rows == nearest)
            l->items[kept++] = l->items[i];
    l->count = kept;
}

static int by_configuration(const void *a, const void *b)
{
    const struct seen *x = a, *y = b;
    int order = strcmp(x->method, y->method);
    order = order ? order : strcmp(x->key, y->key);
    return order ? order : by_id(a, b);
}

/* The seeds of one configuration; better by `select` than what is there already? */
static void take_configuration(const struct seen *s, size_t n, bool maximize,
                               double *best_select, struct measured *m)
{
    double *scores = xcalloc(n, sizeof *scores), *latency = xcalloc(n, sizeof *latency);
    double select = 0;
    size_t k = 0, timed = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(s[i].score))
            continue;
        scores[k++] = s[i].score;
        select += isfinite(s[i].select) ? s[i].select : s[i].score;
        if (isfinite(s[i].latency))
            latency[timed++] = s[i].latency;
    }
    m->trials += k;
    m->configurations += k > 0;
    select = k ? select / (double)k : NAN;
    const bool better =
        k > 0 && (!isfinite(*best_select) ||
                  (maximize ? select > *best_select : select < *best_select));
    if (better) {
        struct stat_interval ci = stat_t_interval(scores, k, 0.95);
        *best_select = select;
        free(m->values);
        m->values = scores;
        m->seeds = k;
        m->mean = stat_mean(scores, k);
        m->low = ci.low;
        m->high = ci.high;
        m->latency_ms = timed ? stat_mean(latency, timed) : NAN;
    } else {
        free(scores);
    }
    free(latency);
}

static void measure_method(const struct seen_list *l, const char *method, size_t metric,
                           struct measured *m)
{
    double best = NAN;
    m->maximize = metrics[metric].maximize;
    snprintf(m->metric, sizeof m->metric, "%s", metrics[metric].score);
    for (size_t i = 0, n; i < l->count; i += n) {
        for (n = 1; i + n < l->count && str_eq(l->items[i + n].key, l->items[i].key) &&
                    str_eq(l->items[i + n].method, l->items[i].method);)
            n++;
        if (str_eq(l->items[i].method, method))
            take_configuration(&l->items[i], n, m->maximize, &best, m);
    }
}

int advise_measure(const struct advise_request *r, struct advice *items, size_t count,
                   struct err *err)
{
    struct seen_list l = {0};
    size_t i, metric = 0;
    json_t *row,
        *result = store_query(r->store,
                              "SELECT id, key, params, config, method_facts FROM "
                              "trial_view WHERE "
                              "state = 'complete' ORDER BY id DESC",
                              NULL, MAX_TRIALS, err);
    if (!result)
        return err_code(err);
    base_name(r, r->model, l.base, sizeof l.base);
    json_array_foreach(json_object_get(result, "rows"), i, row)
    {
        add_trial(r, row, &l);
    }
    json_decref(result);
    if (isfinite(r->rows))
        keep_nearest_rows(&l, r->rows);
    if (l.count)
        qsort(l.items, l.count, sizeof *l.items, by_id);
    while (
        l.count && metric < ARRAY_LEN(metrics) &&
        !read_metric(r->store, metrics[metric].score, &l, offsetof(struct seen, score)))
        metric++;
    if (l.count && metric < ARRAY_LEN(metrics)) {
        read_metric(r->store, metrics[metric].select, &l, offsetof(struct seen, select));
        read_metric(r->store, "latency/p50_ms", &l, offsetof(struct seen, latency));
        qsort(l.items, l.count, sizeof *l.items, by_configuration);
        for (size_t k = 0; k < count; k++)
            measure_method(&l, items[k].candidate->method, metric, &items[k].measured);
    }
    free(l.items);
    return 0;
}
