/* report/advise/measured.c - what the store has measured on the same task and base, and on
 * the same data: figures of other data never speak for these. Data are the same where the
 * hashes of the training file, and of the evaluation file where both are known, are. */
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/stats/basic.h"
#include "lib/str.h"
#include "report/advise/advise.h"
#include "tracker/view/objective.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_TRIALS = 20000, MAX_VALUES = 400000 };

/* Metrics to judge by where no sweep says one, the first that there is; the second of
 * each chooses the configuration. A language model is judged by its loss: the share of next
 * tokens that are right says less of the same. */
static const char *const metrics[][2] = {
    {"test/macro_f1", "eval/macro_f1"}, {"test/accuracy", "eval/accuracy"},
    {"eval/macro_f1", "eval/macro_f1"}, {"eval/accuracy", "eval/accuracy"},
    {"test/pearson", "eval/pearson"},   {"eval/pearson", "eval/pearson"},
    {"test/loss", "eval/loss"},         {"eval/loss", "eval/loss"},
};

struct seen {
    int64_t id;
    char method[32], key[65];
    double rows; /* max_train_samples; 0: all */
    double score, select, latency;
    int64_t sweep;            /* 0: none */
    char train[65], eval[65]; /* SHA-256; "" not recorded */
    char data[128];           /* what they are called, with the sweep */
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
           *facts = unfold(json_array_get(row, 4)),
           *environment = unfold(json_array_get(row, 5)),
           *hashes = json_object_get(environment, "sha256");
    const char *sweep = json_string_value(json_array_get(row, 7)),
               *file = json_get_str(config, "train_data", "data of no name");
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
        s->sweep = json_integer_value(json_array_get(row, 6));
        snprintf(s->train, sizeof s->train, "%s", json_get_str(hashes, "train_data", ""));
        snprintf(s->eval, sizeof s->eval, "%s", json_get_str(hashes, "eval_data", ""));
        snprintf(s->data, sizeof s->data, "%s%s%.60s%s", file, sweep ? " (sweep " : "",
                 sweep ? sweep : "", sweep ? ")" : "");
    }
    json_decref(environment);
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

/* "" where there is no such file (a hub's name, a placeholder). */
static void hash_of(const char *path, char out[65])
{
    if (!path || sha256_file(path, out, NULL) < 0)
        *out = '\0';
}

/* Keeps the trials on one set of data, the asked one where it is given; rows come newest
 * first. */
static void keep_data(const struct advise_request *r, struct seen_list *l,
                      struct evidence_data *d)
{
    char train[65], eval[65];
    size_t kept = 0;
    hash_of(r->train_data, train);
    hash_of(r->eval_data, eval);
    d->asked = *train != '\0';
    if (!d->asked && l->count) {
        snprintf(train, sizeof train, "%s", l->items[0].train);
        snprintf(eval, sizeof eval, "%s", l->items[0].eval);
    }
    for (size_t i = 0; i < l->count; i++) {
        const struct seen s = l->items[i];
        bool same =
            str_eq(s.train, train) && (!*eval || !*s.eval || str_eq(s.eval, eval));
        char *name = same ? d->name : d->other_name;
        d->others += !same;
        if (!*name)
            snprintf(name, sizeof d->name, "%s", s.data);
        if (same)
            l->items[kept++] = s;
    }
    l->count = kept;
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

/* What trials are judged by: as the newest sweep among them says (on the test split where
 * there is one), else the first of `metrics`. */
struct judge {
    char score[64], select[64];
    bool maximize;
};

static bool take_judge(struct store *s, struct seen_list *l, const char *score,
                       const char *select, const json_t *objectives, struct judge *j)
{
    snprintf(j->score, sizeof j->score, "%s", score);
    snprintf(j->select, sizeof j->select, "%s", select);
    j->maximize = objective_direction(objectives, score) == DIRECTION_HIGHER;
    return read_metric(s, score, l, offsetof(struct seen, score)) > 0;
}

/* 0: none. */
static int64_t newest_sweep(const struct seen_list *l)
{
    int64_t sweep = 0;
    for (size_t i = 0; i < l->count; i++)
        sweep = l->items[i].sweep > sweep ? l->items[i].sweep : sweep;
    return sweep;
}

static bool choose_judge(struct store *s, bool lm, struct seen_list *l, struct judge *j)
{
    const int64_t sweep = newest_sweep(l);
    json_t *said = sweep ? view_objectives(s, sweep, NULL) : NULL;
    const char *own = json_get_str(json_array_get(said, 0), "name", NULL);
    bool found = false;
    if (own && str_has_prefix(own, "eval/")) {
        char test[64];
        snprintf(test, sizeof test, "test/%s", own + 5);
        found = take_judge(s, l, test, own, said, j);
    }
    if (own && !found)
        found = take_judge(s, l, own, own, said, j);
    const size_t losses = ARRAY_LEN(metrics) - 2;
    for (size_t i = lm ? losses : 0; i < ARRAY_LEN(metrics) && !found; i++)
        found = take_judge(s, l, metrics[i][0], metrics[i][1], said, j);
    json_decref(said);
    return found;
}

static void measure_method(const struct seen_list *l, const char *method,
                           const struct judge *j, struct measured *m)
{
    double best = NAN;
    m->maximize = j->maximize;
    snprintf(m->metric, sizeof m->metric, "%s", j->score);
    for (size_t i = 0, n; i < l->count; i += n) {
        for (n = 1; i + n < l->count && str_eq(l->items[i + n].key, l->items[i].key) &&
                    str_eq(l->items[i + n].method, l->items[i].method);)
            n++;
        if (str_eq(l->items[i].method, method))
            take_configuration(&l->items[i], n, m->maximize, &best, m);
    }
}

int advise_measure(struct advise *a, struct err *err)
{
    const struct advise_request *r = a->request;
    struct seen_list l = {0};
    struct judge judge;
    size_t i;
    json_t *row,
        *result = store_query(r->store,
                              "SELECT id, key, params, config, method_facts, (SELECT "
                              "environment FROM run_view WHERE run_view.trial = "
                              "trial_view.id ORDER BY attempt DESC LIMIT 1), sweep, "
                              "sweep_name FROM trial_view WHERE state = 'complete' "
                              "ORDER BY id DESC",
                              NULL, MAX_TRIALS, err);
    if (!result)
        return err_code(err);
    base_name(r, r->model, l.base, sizeof l.base);
    json_array_foreach(json_object_get(result, "rows"), i, row)
    {
        add_trial(r, row, &l);
    }
    json_decref(result);
    keep_data(r, &l, &a->data);
    if (isfinite(r->rows))
        keep_nearest_rows(&l, r->rows);
    if (l.count)
        qsort(l.items, l.count, sizeof *l.items, by_id);
    if (l.count && choose_judge(r->store, advise_is_lm(r), &l, &judge)) {
        read_metric(r->store, judge.select, &l, offsetof(struct seen, select));
        read_metric(r->store, "latency/p50_ms", &l, offsetof(struct seen, latency));
        qsort(l.items, l.count, sizeof *l.items, by_configuration);
        for (size_t k = 0; k < a->count; k++)
            measure_method(&l, a->items[k].candidate->method, &judge,
                           &a->items[k].measured);
        if (newest_sweep(&l))
            a->decided = advise_decided(r->store, newest_sweep(&l));
    }
    free(l.items);
    return 0;
}
