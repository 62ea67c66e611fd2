/* sweep/space/space.c - expansion of a grid to rows.
 *
 * The product is walked as a tree over the axes. An axis whose `when` is already decided
 * to be false by the axes before it is not branched; at a leaf an absent axis must stand
 * at its first value. So each combination of (b) is met once, at the place where the
 * plain product has it first. */
#include "sweep/space/space.h"
#include "lib/buf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "sweep/samplers/sampler.h"
#include "sweep/space/space_parts.h"
#include "sweep/space/value.h"
#include <stdlib.h>
#include <string.h>

struct walk {
    const struct sweep_file *f;
    struct err *err;
    size_t *axes, axis_count;
    bool *decided; /* [axis position]: its presence depends on earlier axes only */
    size_t *pick;  /* [axis position] */
    struct sweep_choice *chosen;
    json_t **env;
    struct space_row *rows;
    size_t count, cap;
    size_t leaves, raw;
    struct strmap *seen;
};

static void release_values(json_t **env, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        json_decref(env[i]);
        env[i] = NULL;
    }
}

/* The values so far, for messages: "method=lora rank=8". */
static int settle_failed(const struct sweep_file *f, size_t at, json_t *const *env,
                         struct err *err)
{
    struct buf text = BUF_INIT;
    for (size_t i = 0; i < f->param_count; i++)
        if (env[i]) {
            buf_printf(&text, " %s=", f->params[i].name);
            value_show(&text, env[i]);
        }
    int rc = err_context(err, "%s: with%.200s: ", conf_where(f->conf, f->params[at].path),
                         buf_str(&text));
    buf_release(&text);
    return rc;
}

int space_settle(const struct sweep_file *f, const struct sweep_choice *chosen,
                 json_t **env, struct err *err)
{
    for (size_t o = 0; o < f->param_count; o++) {
        size_t i = f->order[o];
        json_t *v = NULL;
        if (!chosen[i].value)
            continue;
        int rc = 0;
        bool there = true;
        if (f->params[i].when) {
            rc = expr_eval(f->params[i].when, env, &v, err);
            there = rc == 0 && expr_truth(v);
            json_decref(v);
        }
        if (there && chosen[i].expr)
            rc = expr_eval(chosen[i].expr, env, &env[i], err);
        else if (there)
            env[i] = json_incref(chosen[i].value);
        if (rc < 0) {
            rc = settle_failed(f, i, env, err);
            release_values(env, f->param_count);
            return rc;
        }
    }
    return 0;
}

json_t *space_object(const struct sweep_file *f, json_t *const *env, const json_t *extra)
{
    json_t *object = json_object();
    for (size_t i = 0; i < f->param_count; i++)
        if (env[i])
            json_object_set(object, f->params[i].name, env[i]);
    if (extra)
        json_object_update(object, (json_t *)extra);
    return object;
}

bool space_is_new(struct strmap *seen, const json_t *combination)
{
    struct buf text = BUF_INIT;
    int64_t at;
    json_configuration(&text, combination);
    bool known = strmap_get(seen, buf_str(&text), text.len, &at);
    if (!known)
        strmap_put(seen, buf_str(&text), text.len, 1);
    buf_release(&text);
    return !known;
}

bool space_excluded(const struct sweep_file *f, json_t *const *env)
{
    for (size_t e = 0; e < f->exclude_count; e++) {
        const struct sweep_choice *want = f->excludes[e].by_param;
        bool match = true;
        for (size_t i = 0; i < f->param_count && match; i++)
            match = !want[i].value || (env[i] && json_equal(env[i], want[i].value));
        if (match)
            return true;
    }
    return false;
}

static int too_many(const struct walk *w)
{
    return sweep_file_error(w->f, "parameters", w->err,
                            "the grid is too large (over %d rows, or %d candidates); use "
                            "fewer values, or 'when'",
                            SPACE_ROWS_MAX, SPACE_LEAVES_MAX);
}

static void keep_row(struct walk *w)
{
    size_t n = w->f->param_count;
    w->rows = xgrow(w->rows, &w->cap, w->count + 1, sizeof *w->rows);
    struct space_row *r = &w->rows[w->count++];
    r->chosen = xcalloc(n, sizeof *r->chosen);
    memcpy(r->chosen, w->chosen, n * sizeof *r->chosen);
    r->original = xcalloc(n, sizeof(json_t *));
    memcpy(r->original, w->env, n * sizeof(json_t *));
    r->extra = NULL;
    memset(w->env, 0, n * sizeof(json_t *));
}

static int leaf(struct walk *w)
{
    const struct sweep_file *f = w->f;
    if (++w->leaves > SPACE_LEAVES_MAX || w->count >= SPACE_ROWS_MAX)
        return too_many(w);
    int rc = space_settle(f, w->chosen, w->env, w->err);
    if (rc < 0)
        return rc;
    bool first = true;
    for (size_t a = 0; a < w->axis_count; a++)
        first = first && (w->env[w->axes[a]] || w->pick[a] == 0);
    if (first) {
        json_t *object = space_object(f, w->env, NULL);
        w->raw++;
        space_is_new(w->seen, object);
        json_decref(object);
        if (!space_excluded(f, w->env))
            keep_row(w);
    }
    release_values(w->env, f->param_count);
    return 0;
}

/* Whether the axis at this position is dropped whatever the later axes are. */
static int is_dropped(struct walk *w, size_t position, bool *dropped)
{
    const struct sweep_file *f = w->f;
    size_t axis = w->axes[position];
    *dropped = false;
    if (!f->params[axis].when || !w->decided[position])
        return 0;
    int rc = space_settle(f, w->chosen, w->env, w->err);
    if (rc == 0) {
        json_t *v = NULL;
        rc = expr_eval(f->params[axis].when, w->env, &v, w->err);
        *dropped = rc == EXPR_ABSENT || (rc == 0 && !expr_truth(v));
        json_decref(v);
        rc = rc < 0 ? settle_failed(f, axis, w->env, w->err) : 0;
    }
    release_values(w->env, f->param_count);
    return rc;
}

static int branch(struct walk *w, size_t position)
{
    if (position == w->axis_count)
        return leaf(w);
    size_t axis = w->axes[position];
    const struct sweep_param *p = &w->f->params[axis];
    bool dropped;
    int rc = is_dropped(w, position, &dropped);
    size_t count = dropped ? 1 : p->count;
    for (size_t i = 0; i < count && rc == 0; i++) {
        w->pick[position] = i;
        w->chosen[axis] = p->choices[i];
        rc = branch(w, position + 1);
    }
    w->chosen[axis] = (struct sweep_choice){NULL, NULL};
    return rc;
}

/* For every parameter the last axis (its position + 1) that it depends on, itself
 * included; so an axis is decided when its `when` depends on earlier ones only. */
static void find_decided(struct walk *w)
{
    const struct sweep_file *f = w->f;
    size_t n = f->param_count, *last = xcalloc(n, sizeof *last);
    for (size_t a = 0; a < w->axis_count; a++)
        last[w->axes[a]] = a + 1;
    for (size_t o = 0; o < n; o++) {
        size_t i = f->order[o], own = last[i], by_when = 0, by_value = 0;
        bool *used = xcalloc(n, sizeof *used);
        if (f->params[i].when)
            expr_uses(f->params[i].when, used);
        for (size_t k = 0; k < n; k++)
            if (used[k] && last[k] > by_when)
                by_when = last[k];
        for (size_t c = 0; c < f->params[i].count; c++)
            if (f->params[i].choices[c].expr)
                expr_uses(f->params[i].choices[c].expr, used);
        for (size_t k = 0; k < n; k++)
            if (used[k] && last[k] > by_value)
                by_value = last[k];
        if (own)
            w->decided[own - 1] = by_when < own;
        last[i] = own > by_value ? own : by_value;
        free(used);
    }
    free(last);
}

bool space_extends(const struct sweep_file *f, const struct sweep_entry *e,
                   const struct space_row *r)
{
    for (size_t i = 0; i < f->param_count; i++) {
        const json_t *want = e->by_param[i].value;
        if (want && f->params[i].kind == PARAM_VALUES &&
            (!r->original[i] || !json_equal(r->original[i], want)))
            return false;
    }
    return true;
}

void space_extend(const struct sweep_file *f, const struct sweep_entry *e,
                  struct space_row *r)
{
    for (size_t i = 0; i < f->param_count; i++)
        if (e->by_param[i].value && f->params[i].kind != PARAM_VALUES)
            r->chosen[i] = e->by_param[i];
    if (!json_object_size(e->extra))
        return;
    if (!r->extra)
        r->extra = json_object();
    json_object_update(r->extra, e->extra);
}

struct space_row space_new_row(const struct sweep_file *f, const struct sweep_entry *e)
{
    struct space_row r = {xcalloc(f->param_count, sizeof *r.chosen), NULL,
                          json_copy(e->extra)};
    for (size_t i = 0; i < f->param_count; i++)
        if (e->by_param[i].value)
            r.chosen[i] = e->by_param[i];
        else if (f->params[i].kind == PARAM_CONSTANT)
            r.chosen[i] = f->params[i].choices[0];
    return r;
}

static void apply_includes(struct walk *w, struct sweep_space *out)
{
    const struct sweep_file *f = w->f;
    size_t originals = w->count;
    for (size_t e = 0; e < f->include_count; e++) {
        bool hit = false;
        for (size_t r = 0; r < originals; r++)
            if (space_extends(f, &f->includes[e], &w->rows[r])) {
                space_extend(f, &f->includes[e], &w->rows[r]);
                hit = true;
            }
        if (hit)
            continue;
        w->rows = xgrow(w->rows, &w->cap, w->count + 1, sizeof *w->rows);
        w->rows[w->count++] = space_new_row(f, &f->includes[e]);
        out->new_by_include++;
    }
}

/* Steps (f) and (g). */
static int finish_rows(struct walk *w, struct sweep_space *out)
{
    const struct sweep_file *f = w->f;
    struct strmap *seen = strmap_new();
    int rc = 0;
    out->combinations = xcalloc(w->count + 1, sizeof(json_t *));
    for (size_t r = 0; r < w->count && rc == 0; r++) {
        struct space_row *row = &w->rows[r];
        for (size_t i = 0; row->original && i < f->param_count; i++)
            if (f->params[i].kind == PARAM_VALUES && !row->original[i])
                row->chosen[i] = (struct sweep_choice){NULL, NULL};
        rc = space_settle(f, row->chosen, w->env, w->err);
        if (rc < 0)
            break;
        json_t *object = space_object(f, w->env, row->extra);
        release_values(w->env, f->param_count);
        if (space_is_new(seen, object)) {
            out->combinations[out->count++] = object;
        } else {
            out->merged++;
            json_decref(object);
        }
    }
    strmap_free(seen);
    return rc;
}

static void walk_init(struct walk *w, const struct sweep_file *f, struct err *err)
{
    size_t n = f->param_count;
    *w = (struct walk){.f = f, .err = err, .seen = strmap_new()};
    w->axes = xcalloc(n, sizeof *w->axes);
    w->decided = xcalloc(n, sizeof *w->decided);
    w->pick = xcalloc(n, sizeof *w->pick);
    w->chosen = xcalloc(n, sizeof *w->chosen);
    w->env = xcalloc(n, sizeof(json_t *));
    for (size_t i = 0; i < n; i++)
        if (f->params[i].kind == PARAM_VALUES)
            w->axes[w->axis_count++] = i;
        else if (f->params[i].kind == PARAM_CONSTANT)
            w->chosen[i] = f->params[i].choices[0];
    find_decided(w);
}

void space_list_free(const struct sweep_file *f, struct space_row *rows, size_t count)
{
    for (size_t r = 0; r < count; r++) {
        if (rows[r].original)
            release_values(rows[r].original, f->param_count);
        free(rows[r].original);
        free(rows[r].chosen);
        json_decref(rows[r].extra);
    }
    free(rows);
}

static void walk_release(struct walk *w)
{
    space_list_free(w->f, w->rows, w->count);
    free(w->axes);
    free(w->decided);
    free(w->pick);
    free(w->chosen);
    free(w->env);
    strmap_free(w->seen);
}

int space_list(const struct sweep_file *f, struct space_row **rows, size_t *count,
               struct err *err)
{
    struct walk w;
    walk_init(&w, f, err);
    int rc = branch(&w, 0);
    if (rc == 0) {
        *rows = w.rows;
        *count = w.count;
        w.rows = NULL;
        w.count = 0;
    }
    walk_release(&w);
    return rc;
}

int sweep_space_expand(const struct sweep_file *f, struct sweep_space *out,
                       struct err *err)
{
    *out = (struct sweep_space){.product = 1};
    if (!sampler_enumerates(f))
        return sweep_space_sample(f, out, err);
    struct walk w;
    /* What `exclude` drops is known only when it was built. */
    const double seeds = f->exclude_count ? 1 : (double)f->seed_count;
    const double limit = f->exclude_count ? SPACE_LEAVES_MAX : SPACE_ROWS_MAX;
    const double least = space_least_size(f, limit / seeds) * seeds;
    if (least > limit)
        return sweep_file_error(f, "parameters", err,
                                "the grid is too large: at least %.4g trials, and %.0f "
                                "are allowed; use fewer values or seeds, 'when', or "
                                "method random with budget.max_trials",
                                least, limit);
    walk_init(&w, f, err);
    for (size_t a = 0; a < w.axis_count; a++)
        out->product *= (double)f->params[w.axes[a]].count;
    int rc = branch(&w, 0);
    out->raw = w.raw;
    out->after_exclude = w.count;
    out->unique_raw = strmap_count(w.seen);
    if (rc == 0) {
        apply_includes(&w, out);
        rc = finish_rows(&w, out);
    }
    walk_release(&w);
    if (rc < 0)
        sweep_space_release(out);
    return rc;
}

void sweep_space_release(struct sweep_space *s)
{
    for (size_t i = 0; i < s->count; i++)
        json_decref(s->combinations[i]);
    free(s->combinations);
    *s = (struct sweep_space){0};
}
