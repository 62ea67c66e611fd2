/* sweep/run/clone.c - see clone.h. */
#include "sweep/run/clone.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "sweep/space/value.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

int sweep_file_of(struct store *s, int64_t sweep, const char *word,
                  const struct opt_table *keys, struct sweep_file **out, struct err *err)
{
    json_t *tree = NULL, *bind = json_pack("[I]", (json_int_t)sweep);
    int rc = store_sweep_file(s, sweep, &tree, err);
    json_t *result = rc < 0
                         ? NULL
                         : store_query(s, "SELECT base_dir FROM sweep_view WHERE id = ?1",
                                       bind, 1, err);
    json_decref(bind);
    if (!result) {
        json_decref(tree);
        return err_code(err);
    }
    struct buf text = BUF_INIT;
    json_t *row = json_array_get(json_object_get(result, "rows"), 0);
    /* Relative paths start where the file was. */
    char *name = fs_join(json_string_value(json_array_get(row, 0)), "sweep.json");
    json_write(&text, tree, 1);
    rc = sweep_file_parse(buf_str(&text), text.len, name, true, &word, word != NULL, keys,
                          out, err);
    if (rc < 0)
        rc = err_context(err, "file of sweep %lld in the store: ", (long long)sweep);
    free(name);
    buf_release(&text);
    json_decref(result);
    json_decref(tree);
    return rc;
}

/* ---- words ---- */

struct clone {
    struct store *store;
    const struct sweep_hooks *hooks;
    struct sweep_file *file;
    struct trial_row parent;
    json_t *params; /* of the clone */
    uint64_t seed;
};

static int unknown_key(const struct clone *c, const char *key, struct err *err)
{
    const char *names[SWEEP_PARAMS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < c->file->param_count && count < SWEEP_PARAMS_MAX; i++)
        names[count++] = c->file->params[i].name;
    const char *near = str_nearest(key, names, count);
    return err_set(err, ERR_USAGE,
                   "clone: the sweep has no parameter '%s'%s%s%s; '+%s=...' adds one",
                   key, near ? " (did you mean '" : "", near ? near : "",
                   near ? "'?)" : "", key);
}

static int apply_word(struct clone *c, const char *word, struct err *err)
{
    const bool adds = *word == '+', drops = *word == '~';
    const char *key = word + (adds || drops), *equals = strchr(key, '=');
    int64_t index;
    if (drops)
        return json_object_del(c->params, key) == 0
                   ? 0
                   : err_set(err, ERR_USAGE, "clone: trial %lld has no '%s' to take away",
                             (long long)c->parent.id, key);
    if (!equals || equals == key)
        return err_set(err, ERR_USAGE, "clone: '%s' is not key=value, +key=value or ~key",
                       word);
    char *name = xstrndup(key, (size_t)(equals - key));
    const struct opt_def *def =
        c->file->drives_command ? NULL : opt_find(c->hooks->trial_options, name);
    const bool known = adds || def || str_eq(name, "seed") ||
                       json_object_get(c->params, name) ||
                       strmap_get(c->file->names, name, strlen(name), &index);
    json_t *given = known ? conf_parse_value(equals + 1, err) : NULL;
    json_t *value = given ? value_canon(given) : NULL;
    int rc = !known ? unknown_key(c, name, err) : !value ? err_code(err) : 0;
    if (rc == 0 && str_eq(name, "seed") && !json_object_get(c->params, "seed")) {
        if (!json_is_integer(value) || json_integer_value(value) < 0)
            rc = err_set(err, ERR_USAGE, "clone: seed must be a whole number from 0");
        c->seed = (uint64_t)json_integer_value(value);
    } else if (rc == 0) {
        json_object_set(c->params, def ? def->key : name, value);
    }
    json_decref(given);
    json_decref(value);
    free(name);
    return rc;
}

/* ---- warm ---- */

static bool may_differ(const struct opt_def *def)
{
    return str_eq(def->group, "data") || str_eq(def->group, "training") ||
           def->flags & OPT_SAME_SHAPE;
}

static int check_same_shape(const struct clone *c, const json_t *resolved,
                            struct err *err)
{
    const struct opt_table *t = c->hooks->trial_options;
    for (size_t i = 0; i < t->count; i++) {
        const json_t *before = json_object_get(c->parent.config, t->rows[i].key);
        const json_t *now = json_object_get(resolved, t->rows[i].key);
        if (may_differ(&t->rows[i]) || (!before && !now) ||
            (before && now && json_equal(before, now)))
            continue;
        return err_set(err, ERR_CONFIG,
                       "clone --warm: '%s' differs from trial %lld, whose adapter would "
                       "not fit; clone without --warm starts anew",
                       t->rows[i].key, (long long)c->parent.id);
    }
    return 0;
}

/* Puts the parent's adapter folder into params. */
static int start_warm(struct clone *c, struct err *err)
{
    if (!c->file->names_model)
        return err_set(err, ERR_CONFIG,
                       "clone --warm: the sweep drives a program of yours, whose weights "
                       "are its own business; clone without --warm");
    json_t *bind = json_pack("[I]", (json_int_t)c->parent.id);
    json_t *result = store_query(c->store,
                                 "SELECT path FROM artifact_view WHERE trial = ?1 AND "
                                 "name = 'adapter' ORDER BY run DESC LIMIT 1",
                                 bind, 1, err);
    json_decref(bind);
    if (!result)
        return err_code(err);
    const json_t *row = json_array_get(json_object_get(result, "rows"), 0);
    const char *path = json_string_value(json_array_get(row, 0));
    int rc = 0;
    if (!path)
        rc =
            err_set(err, ERR_NOINPUT,
                    "clone --warm: trial %lld (%s) has no adapter yet; one is saved when "
                    "it is complete",
                    (long long)c->parent.id, trial_state_name(c->parent.state));
    else if (!fs_is_dir(path))
        rc = err_set(err, ERR_NOINPUT,
                     "clone --warm: the adapter of trial %lld, '%s', is gone",
                     (long long)c->parent.id, path);
    else
        json_object_set_new(c->params, "init_adapter", json_string(path));
    json_decref(result);
    return rc;
}

/* ---- adding ---- */

static int64_t next_number(struct store *s, int64_t sweep, struct err *err)
{
    json_t *bind = json_pack("[I]", (json_int_t)sweep);
    json_t *result =
        store_query(s, "SELECT ifnull(max(number), -1) + 1 FROM trial WHERE sweep = ?1",
                    bind, 1, err);
    const json_t *row = json_array_get(json_object_get(result, "rows"), 0);
    const int64_t number =
        result ? json_integer_value(json_array_get(row, 0)) : err_code(err);
    json_decref(bind);
    json_decref(result);
    return number;
}

static int add(struct clone *c, const struct sweep_trial *t, bool warm, int64_t *id,
               struct err *err)
{
    const int64_t number = next_number(c->store, c->parent.sweep, err);
    size_t added = 0;
    struct trial_row row = {.sweep = c->parent.sweep,
                            .experiment = c->parent.experiment,
                            .number = number,
                            .key = t->key,
                            .seed = t->seed,
                            .base_dir = c->parent.base_dir,
                            .config = t->resolved,
                            .params = c->params,
                            .predicted_bytes = t->peak_bytes,
                            .predicted_s = t->seconds,
                            .state = TRIAL_waiting,
                            .parent = c->parent.id,
                            .warm = warm};
    int rc = number < 0 ? (int)number : store_add_trials(c->store, &row, 1, &added, err);
    if (rc == 0 && !added)
        rc = err_set(err, ERR_CONFIG,
                     "clone: trial %lld of this sweep has that configuration and seed "
                     "already (%s)",
                     (long long)row.id, trial_state_name(row.state));
    *id = row.id;
    return rc;
}

static int make(struct clone *c, const char *const *words, size_t count, bool warm,
                int64_t *id, struct err *err)
{
    struct sweep_plan plan = {.file = c->file};
    struct sweep_trial t = {0};
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = apply_word(c, words[i], err);
    if (rc == 0 && warm)
        rc = start_warm(c, err);
    if (rc == 0)
        rc = sweep_plan_trial(&plan, c->hooks, c->params, c->seed, &t, err);
    if (rc == 0 && warm)
        rc = check_same_shape(c, t.resolved, err);
    if (rc == 0)
        rc = sweep_plan_predict(&plan, c->hooks, &t, err);
    if (rc == 0)
        rc = add(c, &t, warm, id, err);
    json_decref(t.resolved);
    return rc;
}

int sweep_clone(struct store *s, const struct sweep_hooks *hooks, int64_t parent,
                const char *const *words, size_t count, bool warm, int64_t *id,
                struct err *err)
{
    struct clone c = {.store = s, .hooks = hooks};
    int rc = store_get_trial(s, parent, &c.parent, err);
    if (rc < 0)
        return rc;
    if (!c.parent.sweep)
        rc = err_set(err, ERR_CONFIG,
                     "clone: trial %lld belongs to no sweep; 'peftlab train FILE "
                     "key=value' trains it with other keys",
                     (long long)parent);
    if (rc == 0)
        rc = sweep_file_of(s, c.parent.sweep, NULL, hooks->trial_options, &c.file, err);
    if (rc == 0) {
        c.params = json_copy(c.parent.params);
        c.seed = c.parent.seed;
        rc = make(&c, words, count, warm, id, err);
    }
    json_decref(c.params);
    sweep_file_free(c.file);
    trial_row_release(&c.parent);
    return rc;
}
