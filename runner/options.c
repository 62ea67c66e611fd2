/* runner/options.c - see options.h. */
#include "runner/options.h"
#include "lib/config/conf.h"
#include "lib/fs.h"
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/nn/peft/method.h"
#include "runner/task/task.h"
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* "|seq-cls=SEQ_CLS|...": with peft's words as aliases. */
static const char task_choices[] = ""
#define TASK(id, name, peft_type) "|" name "=" peft_type
#include "runner/task/tasks.def"
#undef TASK
    ;
#define TASK_CHOICES (task_choices + 1)

static const struct opt_def rows[] = {
#define OPTION(key, aliases, type, preset, min, max, choices, group, flags, metavar,     \
               help)                                                                     \
    {#key, aliases, type, preset, min, max, choices, group, flags, metavar, help},
#include "runner/options.def"
#undef OPTION
};

const struct opt_table trial_options = {"trial", rows, ARRAY_LEN(rows)};

bool trial_reads(const struct opt_def *def, const struct method *method)
{
    return !(def->flags & OPT_OF_METHOD) || method_reads(method, def->key);
}

/* --- the typed trial --- */

static const size_t offsets[] = {
#define OPTION(key, ...) offsetof(struct trial, key),
#include "runner/options.def"
#undef OPTION
};

static void read_member(const struct opt_def *def, const json_t *tree, void *member)
{
    switch (def->type) {
    case OPT_BOOL:
        *(bool *)member = json_get_bool(tree, def->key, false);
        break;
    case OPT_INT:
        *(int64_t *)member = json_get_int(tree, def->key, 0);
        break;
    case OPT_FLOAT:
        *(double *)member = json_get_num(tree, def->key, NAN);
        break;
    case OPT_STRING:
    case OPT_CHOICE:
    case OPT_PATH:
        *(const char **)member = json_get_str(tree, def->key, NULL);
        break;
    case OPT_NAMES:
    case OPT_INTS:
    case OPT_MAP:
    case OPT_ANY:
        *(json_t **)member = json_object_get(tree, def->key);
        break;
    }
}

void trial_init(struct trial *t, const json_t *resolved)
{
    const struct method *method = method_of(resolved, NULL);
    *t = (struct trial){.json = resolved, .filled = json_copy((json_t *)resolved)};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].preset && trial_reads(&rows[i], method) &&
            !json_object_get(resolved, rows[i].key))
            json_object_set_new(t->filled, rows[i].key, opt_default(&rows[i]));
        read_member(&rows[i], t->filled, (char *)t + offsets[i]);
    }
}

void trial_release(struct trial *t)
{
    json_decref(t->filled);
    *t = (struct trial){0};
}

/* --- from what a user wrote --- */

static bool is_read(const struct opt_def *def, const void *method)
{
    return trial_reads(def, method);
}

/* Names the nearest key that the trial's method reads. */
static int unknown_key(const json_t *given, const char *key, struct err *err)
{
    struct err other = ERR_INIT; /* a method that is wrong too is told next time */
    const char *name = json_get_str(given, "method", METHOD_DEFAULT);
    const struct preset *preset = preset_find(name);
    const struct method *method = preset ? preset->method : method_find(name, &other);
    return opt_unknown_among(&trial_options, key, "key", method ? is_read : NULL, method,
                             err);
}

/* "; of its own it reads target_modules, feedforward_modules" */
static void put_own_keys(const struct method *method, struct buf *out)
{
    enum { SHOWN = 8 };
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].flags & OPT_OF_METHOD &&
            !str_in_list(rows[i].group, "model|training", '|') &&
            method_reads(method, rows[i].key) && n++ < SHOWN)
            buf_printf(out, "%s%s", n == 1 ? "; of its own it reads " : ", ",
                       rows[i].key);
    if (n > SHOWN)
        buf_printf(out, " and %zu more", n - SHOWN);
}

static int not_read(const struct opt_def *def, const struct method *method,
                    struct err *err)
{
    struct buf own = BUF_INIT;
    put_own_keys(method, &own);
    int rc = err_set(err, ERR_CONFIG, "method '%s' does not read '%s'%s", method->name,
                     def->key, buf_str(&own));
    buf_release(&own);
    return rc;
}

/* Keys by their own names; values not looked at yet. */
static int rename_keys(const json_t *given, json_t *out, struct err *err)
{
    const char *key;
    json_t *v;
    if (!json_is_object(given))
        return err_set(err, ERR_CONFIG, "a trial is a mapping of keys to values");
    json_object_foreach((json_t *)given, key, v)
    {
        const struct opt_def *def = opt_find(&trial_options, key);
        if (!def)
            return unknown_key(given, key, err);
        if (json_object_get(out, def->key))
            return err_set(err, ERR_CONFIG, "'%s' is given twice (once as '%s')",
                           def->key, key);
        json_object_set(out, def->key, v);
    }
    return 0;
}

/* A preset's options go in where the user gave none; *method gets the method behind
 * it. */
static int unfold_preset(json_t *values, const struct method **method, struct err *err)
{
    const struct preset *preset = preset_find(json_get_str(values, "method", ""));
    if (preset) {
        json_t *options = conf_parse_value(preset->options, err);
        if (!options)
            return err_code(err);
        json_object_update_missing(values, options);
        json_decref(options);
        json_object_set_new(values, "method", json_string(preset->method->name));
    }
    *method = method_of(values, err);
    return *method ? 0 : err_code(err);
}

static int resolve_row(const struct opt_def *def, const json_t *values,
                       const struct method *method, unsigned required, json_t *out,
                       struct err *err)
{
    json_t *given = json_object_get(values, def->key);
    const bool has = given && !json_is_null(given);
    if (!trial_reads(def, method))
        return has ? not_read(def, method, err) : 0;
    if (!has && def->flags & required)
        return err_set(err, ERR_CONFIG, "'%s' is missing (%s)", def->key, def->help);
    json_t *v = has ? opt_check(def, given, err) : opt_default(def);
    if (!v)
        return err_code(err);
    if (json_is_null(v))
        json_decref(v);
    else
        json_object_set_new(out, def->key, v);
    return 0;
}

static int complete(const struct method *method, json_t *resolved, struct err *err)
{
    struct trial t;
    trial_init(&t, resolved);
    int rc = method->resolve(&t, resolved, err);
    trial_release(&t);
    return rc;
}

static int resolve(const json_t *given, unsigned required, json_t **resolved,
                   struct err *err)
{
    json_t *values = json_object(), *out = json_object();
    const struct method *method;
    int rc = rename_keys(given, values, err);
    if (!rc)
        rc = unfold_preset(values, &method, err);
    for (size_t i = 0; i < ARRAY_LEN(rows) && !rc; i++)
        rc = resolve_row(&rows[i], values, method, required, out, err);
    if (!rc && !json_object_get(out, "learning_rate"))
        json_object_set_new(out, "learning_rate", json_real(method->learning_rate));
    if (!rc && method->resolve)
        rc = complete(method, out, err);
    json_decref(values);
    if (rc < 0)
        return json_decref(out), rc;
    *resolved = out;
    return 0;
}

int trial_resolve(const json_t *given, json_t **resolved, struct err *err)
{
    return resolve(given, OPT_REQUIRED | OPT_TO_TRAIN, resolved, err);
}

int trial_resolve_use(const json_t *given, json_t **resolved, struct err *err)
{
    return resolve(given, OPT_REQUIRED, resolved, err);
}

void trial_key(const json_t *resolved, char key[65])
{
    json_t *hashed = json_copy((json_t *)resolved);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].flags & OPT_NOT_HASHED)
            json_object_del(hashed, rows[i].key);
    struct buf text = BUF_INIT;
    json_configuration(&text, hashed);
    sha256_hex(text.data, text.len, key);
    buf_release(&text);
    json_decref(hashed);
}

int trial_override(json_t *values, const char *word, struct err *err)
{
    const char *eq = strchr(word, '=');
    if (!eq)
        return err_set(err, ERR_USAGE, "'%s' is no override (write key=value)", word);
    char *key = xstrndup(word, (size_t)(eq - word));
    const struct opt_def *def = opt_find(&trial_options, key);
    int rc = def ? 0 : unknown_key(values, key, err);
    free(key);
    if (rc < 0)
        return rc;
    json_t *v = opt_from_text(def, eq + 1, err);
    if (!v)
        return err_context(err, "override '%s': ", word);
    if (def->type == OPT_PATH && json_is_string(v) && fs_exists(json_string_value(v))) {
        char *path = fs_absolute(json_string_value(v));
        json_decref(v);
        v = json_string(path);
        free(path);
    }
    for (const char *a = def->aliases; a;
         a = strchr(a, '|') ? strchr(a, '|') + 1 : NULL) {
        char *alias = xstrndup(a, strcspn(a, "|"));
        json_object_del(values, alias);
        free(alias);
    }
    json_object_set_new(values, def->key, v);
    return 0;
}

int trial_given(const char *path, const char *const *overrides, size_t count,
                json_t **given, char **base_dir, struct err *err)
{
    struct conf *conf;
    int rc = conf_load(path, &conf, err);
    if (rc < 0)
        return rc;
    json_t *values = json_is_object(conf_root(conf)) ? json_copy(conf_root(conf))
                                                     : json_incref(conf_root(conf));
    for (size_t i = 0; i < count && !rc; i++)
        rc = trial_override(values, overrides[i], err);
    conf_free(conf);
    if (rc)
        return json_decref(values), rc;
    *given = values;
    *base_dir = fs_dirname(path);
    return 0;
}

int trial_read(const char *path, const char *const *overrides, size_t count,
               trial_resolve_fn *resolve_as, json_t **resolved, char **base_dir,
               struct err *err)
{
    json_t *given = NULL;
    char *dir = NULL;
    int rc = trial_given(path, overrides, count, &given, &dir, err);
    if (rc)
        return rc;
    if ((rc = resolve_as(given, resolved, err)) < 0) {
        err_context(err, "trial file '%s': ", path);
        free(dir);
    } else {
        *base_dir = dir;
    }
    json_decref(given);
    return rc;
}
