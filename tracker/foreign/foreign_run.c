/* tracker/foreign/foreign_run.c - see foreign_run.h. */
#include "tracker/foreign/foreign_run.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "tracker/store/store_priv.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

void foreign_run_init(struct foreign_run *r, struct foreign *into, const char *tracker)
{
    *r = (struct foreign_run){.into = into,
                              .tracker = tracker,
                              .params = json_object(),
                              .tags = json_object(),
                              .environment = json_object(),
                              .summary = json_object(),
                              .events = json_array(),
                              .artifacts = json_array(),
                              .by_key = strmap_new(),
                              .state = TRIAL_complete,
                              .attempt = 1,
                              .exit_code = -1};
}

void foreign_run_release(struct foreign_run *r)
{
    char *const texts[] = {r->id,   r->experiment, r->sweep,  r->name,
                           r->note, r->host,       r->reason, r->folder};
    json_t *const trees[] = {r->params,  r->tags,   r->environment,
                             r->summary, r->events, r->artifacts};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        free(texts[i]);
    for (size_t i = 0; i < ARRAY_LEN(trees); i++)
        json_decref(trees[i]);
    for (size_t i = 0; i < r->series_count; i++) {
        free(r->series[i].key);
        free(r->series[i].points);
        free(r->series[i].more.points);
        free(r->series[i].gone.points);
    }
    free(r->series);
    strmap_free(r->by_key);
    *r = (struct foreign_run){0};
}

void foreign_text(char **field, const char *text, size_t len)
{
    free(*field);
    *field = str_clean(text, len);
}

void foreign_unsaid(struct foreign_run *r)
{
    r->state = TRIAL_failed;
    foreign_text(&r->reason, EXCHANGE_UNSAID, strlen(EXCHANGE_UNSAID));
}

bool foreign_goes_on(struct foreign_run *r)
{
    static const char reason[] = "went on when it was imported";
    if (!r->into->running) {
        foreign_left_out(r->into, "runs that are not over", 1);
        return true;
    }
    r->state = TRIAL_stale;
    foreign_text(&r->reason, reason, strlen(reason));
    return false;
}

void foreign_tag(struct foreign_run *r, const char *key, const char *text, size_t len)
{
    char *name = str_clean(key, strlen(key)), *value = str_clean(text, len);
    const bool fits = *name && strlen(name) <= STORE_MAX_NAME;
    foreign_left_out(r->into, "tags without a name that fits", !fits);
    if (fits)
        json_object_set_new(r->tags, name, json_string(value));
    free(name);
    free(value);
}

/* ---- values ---- */

char *foreign_metric_name(const char *key)
{
    static const char *const splits[] = {"eval_", "train_", "test_"};
    char *name = str_clean(key, strlen(key));
    const size_t n = strlen(name);
    for (size_t i = 0; i < ARRAY_LEN(splits); i++)
        if (str_has_prefix(name, splits[i]) && n > strlen(splits[i]))
            name[strlen(splits[i]) - 1] = '/';
    if (n > 0 && n <= STORE_MAX_NAME)
        return name;
    free(name);
    return NULL;
}

/* The same, counting what has none. */
static char *metric_name(struct foreign_run *r, const char *key)
{
    char *name = foreign_metric_name(key);
    foreign_left_out(r->into, "values without a name that fits", name == NULL);
    return name;
}

struct foreign_series *foreign_series(struct foreign_run *r, const char *key)
{
    int64_t at = 0;
    char *name = metric_name(r, key);
    if (!name)
        return NULL;
    if (strmap_get(r->by_key, name, strlen(name), &at)) {
        free(name);
        return &r->series[at];
    }
    strmap_put(r->by_key, name, strlen(name), (int64_t)r->series_count);
    r->series = xgrow(r->series, &r->series_cap, r->series_count + 1, sizeof *r->series);
    r->series[r->series_count] = (struct foreign_series){.key = name};
    return &r->series[r->series_count++];
}

static void keep(struct foreign_points *list, struct foreign_point point)
{
    list->points = xgrow(list->points, &list->cap, list->count + 1, sizeof point);
    list->points[list->count++] = point;
}

void foreign_series_cut(struct foreign_series *s, size_t from)
{
    for (size_t i = from; i < s->count; i++)
        keep(&s->gone, s->points[i]);
    s->count = from < s->count ? from : s->count;
}

int foreign_value(struct foreign_run *r, const char *key, int64_t step, double value,
                  struct err *err)
{
    if (r->values >= FOREIGN_MAX_VALUES)
        return err_set(err, ERR_CONFIG, "the run '%.100s' has more than %d values",
                       r->id ? r->id : "", FOREIGN_MAX_VALUES);
    struct foreign_series *s = NULL;
    if (step < 0 && r->at_ms <= 0) {
        foreign_left_out(r->into, "values at steps below 0", 1);
    } else if ((s = foreign_series(r, key))) {
        const struct foreign_point point = {step, r->at_ms, r->values++, value};
        if (step < 0) {
            keep(&s->more, point);
            return 0;
        }
        s->points = xgrow(s->points, &s->cap, s->count + 1, sizeof *s->points);
        s->points[s->count++] = point;
    }
    return 0;
}

void foreign_summary(struct foreign_run *r, const char *key, double value)
{
    char *name = metric_name(r, key);
    if (name)
        json_object_set_new(r->summary, name, json_number_or_word(value));
    free(name);
}

static int by_step(const void *a, const void *b)
{
    const struct foreign_point *p = a, *q = b;
    if (p->step != q->step)
        return p->step < q->step ? -1 : 1;
    return p->order < q->order ? -1 : p->order > q->order;
}

static bool same_value(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

/* Rising steps, each once: what the store takes. */
static void put_in_order(struct foreign_run *r, struct foreign_series *s)
{
    size_t kept = 0, lost = 0;
    if (s->count == 0)
        return;
    qsort(s->points, s->count, sizeof *s->points, by_step);
    for (size_t i = 0; i < s->count; i++) {
        if (kept > 0 && s->points[kept - 1].step == s->points[i].step) {
            const struct foreign_point *before = &s->points[--kept];
            const bool same = same_value(before->value, s->points[i].value);
            if (!same || before->at_ms != s->points[i].at_ms)
                keep(before->at_ms > 0 ? &s->more : &s->gone, *before);
            lost += !same && before->at_ms <= 0;
        }
        s->points[kept++] = s->points[i];
    }
    foreign_left_out(r->into, "values with a later one at their step", lost);
    s->count = kept;
}

/* ---- configurations ---- */

void foreign_flatten(json_t *flat, const char *prefix, const json_t *tree)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)tree, key, v)
    {
        char *clean = str_clean(key, strlen(key));
        char *name = *prefix ? xasprintf("%s.%s", prefix, clean) : xstrdup(clean);
        if (json_object_size(v) > 0)
            foreign_flatten(flat, name, v);
        else if (!json_is_null(v) && json_object_size(flat) < FOREIGN_MAX_PARAMS)
            json_object_set(flat, name, v);
        free(name);
        free(clean);
    }
}

/* Python writes NaN, Infinity and -Infinity bare. */
static void quote_words(struct buf *out, const char *text, size_t len)
{
    static const char *const words[] = {"NaN", "Infinity", "-Infinity"};
    bool within = false;
    for (size_t i = 0; i < len; i++) {
        size_t w = ARRAY_LEN(words);
        for (w = 0; !within && w < ARRAY_LEN(words); w++)
            if (len - i >= strlen(words[w]) &&
                !memcmp(text + i, words[w], strlen(words[w])))
                break;
        if (!within && w < ARRAY_LEN(words)) {
            buf_printf(out, "\"%s\"", words[w]);
            i += strlen(words[w]) - 1;
            continue;
        }
        if (within && text[i] == '\\' && i + 1 < len)
            buf_char(out, text[i++]);
        else if (text[i] == '"')
            within = !within;
        buf_char(out, text[i]);
    }
}

json_t *foreign_json(const char *text, size_t len)
{
    struct buf plain = BUF_INIT;
    json_t *v = json_parse(text, len, "value", NULL);
    if (!v) {
        quote_words(&plain, text, len);
        v = json_parse(buf_str(&plain), plain.len, "value", NULL);
    }
    buf_release(&plain);
    return v;
}

/* A whole number from 0 on, also as text (MLflow's parameters are texts). */
static bool is_seed(const json_t *v, int64_t *seed)
{
    double x = NAN;
    if (json_is_integer(v))
        x = (double)json_integer_value(v);
    else if (json_is_string(v) && !str_number(json_string_value(v), &x))
        return false;
    if (!(x >= 0 && x <= 9007199254740991.0) || x != floor(x))
        return false;
    *seed = (int64_t)x;
    return true;
}

/* The seed, which leaves the parameters; 0 where none is named. */
static int64_t take_seed(json_t *params)
{
    static const char *const names[] = {"seed", "random_seed"};
    const char *key, *found = NULL;
    json_t *v;
    int64_t seed = 0;
    for (size_t i = 0; i < ARRAY_LEN(names) && !found; i++)
        if (is_seed(json_object_get(params, names[i]), &seed))
            found = names[i];
    if (!found) {
        json_object_foreach(params, key, v)
        {
            if (!found && str_has_suffix(key, ".seed") && is_seed(v, &seed))
                found = key;
        }
    }
    if (found)
        json_object_del(params, found);
    return seed;
}

/* ---- into the store ---- */

static void set_text(json_t *object, const char *key, const char *text)
{
    if (text && *text)
        json_object_set_new(object, key, json_string(text));
}

/* [[step, value, at_ms], ...], without at_ms where it is not known. */
static void set_points(json_t *run, const char *part, const char *key,
                       const struct foreign_point *points, size_t count)
{
    json_t *all = json_object_get(run, part), *list = json_array();
    if (!all)
        json_object_set_new(run, part, all = json_object());
    for (size_t i = 0; i < count; i++) {
        json_t *point = json_array();
        json_array_append_new(point, json_integer(points[i].step));
        json_array_append_new(point, json_number_or_word(points[i].value));
        if (points[i].at_ms > 0)
            json_array_append_new(point, json_integer(points[i].at_ms));
        json_array_append_new(list, point);
    }
    json_object_set_new(all, key, list);
}

/* What a run took, in seconds, where report looks for it; transformers tells the training
 * alone. */
static void set_times(const struct foreign_run *r, json_t *summary)
{
    const json_t *trained = json_object_get(summary, "train/runtime");
    if (trained && !json_object_get(summary, "time/train_s"))
        json_object_set(summary, "time/train_s", (json_t *)trained);
    if (r->state == TRIAL_complete && r->started_ms > 0 && r->ended_ms > r->started_ms &&
        !json_object_get(summary, "time/total_s"))
        json_object_set_new(summary, "time/total_s",
                            json_real((double)(r->ended_ms - r->started_ms) / 1000));
}

static void set_series(struct foreign_run *r, json_t *run, json_t *summary)
{
    for (size_t i = 0; i < r->series_count; i++) {
        struct foreign_series *s = &r->series[i];
        put_in_order(r, s);
        set_points(run, "series", s->key, s->points, s->count);
        if (s->more.count > 0)
            set_points(run, "more", s->key, s->more.points, s->more.count);
        if (s->gone.count > 0)
            set_points(run, "before", s->key, s->gone.points, s->gone.count);
        if (s->count > 0)
            json_object_set_new(summary, s->key,
                                json_number_or_word(s->points[s->count - 1].value));
    }
    json_object_update(summary, r->summary);
    set_times(r, summary);
}

static json_t *run_object(struct foreign_run *r, int64_t now_ms)
{
    json_t *summary = json_object(), *run = json_object();
    const int64_t started = r->started_ms > 0 ? r->started_ms : now_ms;
    char *from = xasprintf("from %s, run %s%s%s", r->tracker, r->id,
                           r->folder ? ", of " : "", r->folder ? r->folder : "");
    json_object_set_new(run, "attempt", json_integer(r->attempt));
    json_object_set_new(run, "state", json_string(trial_state_name(r->state)));
    json_object_set_new(run, "started_ms", json_integer(started));
    json_object_set_new(run, "ended_ms",
                        json_integer(r->ended_ms > started ? r->ended_ms : started));
    if (r->exit_code >= 0)
        json_object_set_new(run, "exit_code", json_integer(r->exit_code));
    set_text(run, "reason", r->reason);
    set_text(run, "owner_host", r->host);
    json_object_set(run, "environment", r->environment);
    json_object_set(run, "events", r->events);
    json_object_set(run, "artifacts", r->artifacts);
    set_series(r, run, summary);
    json_object_set_new(run, "summary", summary);
    json_array_append_new(r->events,
                          json_pack("[I, s, s]", (json_int_t)now_ms, "import", from));
    free(from);
    return run;
}

/* A trial's key must fit where names do; an identifier that does not is hashed. */
static char *trial_key(const struct foreign_run *r)
{
    char sha256[SHA256_HEX];
    if (strlen(r->id) < STORE_MAX_NAME / 2)
        return xasprintf("%s:%s", r->tracker, r->id);
    sha256_hex(r->id, strlen(r->id), sha256);
    return xasprintf("%s:%s", r->tracker, sha256);
}

int foreign_give(struct foreign_run *r, struct err *err)
{
    json_t *trial = json_object(), *params = json_object(), *runs = json_array();
    const int64_t now = clock_wall_ms();
    char *key = trial_key(r);
    foreign_flatten(params, "", r->params);
    set_text(trial, "type", "trial");
    set_text(trial, "experiment",
             r->into->experiment ? r->into->experiment : r->experiment);
    set_text(trial, "sweep", r->sweep);
    set_text(trial, "key", key);
    set_text(trial, "state", trial_state_name(r->state));
    set_text(trial, "note", r->note);
    set_text(r->tags, r->tracker, r->id);
    set_text(r->tags, "name", r->name);
    json_object_set_new(trial, "seed", json_integer(take_seed(params)));
    json_object_set_new(trial, "by_key", json_integer(1));
    json_object_set_new(trial, "params", params);
    json_object_set(trial, "tags", r->tags);
    json_object_set_new(trial, "created_ms",
                        json_integer(r->started_ms > 0 ? r->started_ms : now));
    if (r->state != TRIAL_waiting)
        json_array_append_new(runs, run_object(r, now));
    json_object_set_new(trial, "runs", runs);
    const int rc = import_object(r->into->in, trial, err);
    json_decref(trial);
    free(key);
    return rc < 0 ? err_context(err, "%s, run '%.100s': ", r->tracker, r->id) : 0;
}
