/* cli/trial/recorded.c - see recorded.h. */
#include "cli/trial/recorded.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <stdlib.h>
#include <string.h>

/* The method, which may be a preset, and numbers as they were written; all else as it was
 * resolved. */
static json_t *params_of(const json_t *given, const json_t *resolved)
{
    json_t *params = json_object(), *v;
    const char *key;
    json_object_foreach((json_t *)given, key, v)
    {
        const struct opt_def *def = opt_find(&trial_options, key);
        if (!def || str_eq(def->key, "seed"))
            continue;
        const bool as_written = json_is_number(v) || str_eq(def->key, "method");
        json_t *value = as_written ? v : json_object_get(resolved, def->key);
        if (value)
            json_object_set(params, def->key, value);
    }
    return params;
}

static char *folder_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return xstrdup(slash && slash[1] ? slash + 1 : "train");
}

void recorded_open(struct recorded *r, const struct trial_command *t, const char *out)
{
    *r = (struct recorded){0};
    if (json_get_bool(t->values, "no_store", 0))
        return;
    const char *experiment = json_get_str(t->values, "experiment", NULL);
    r->shown = store_default_path(json_get_str(t->values, "store", NULL));
    r->store = fs_absolute(r->shown);
    r->base_dir = fs_absolute(t->base_dir);
    r->run_dir = fs_absolute(out);
    r->experiment = experiment ? xstrdup(experiment) : folder_name(r->base_dir);
    trial_key(t->trial, r->key);
    r->trial = (struct by_hand_trial){.store = r->store,
                                      .experiment = r->experiment,
                                      .base_dir = r->base_dir,
                                      .run_dir = r->run_dir,
                                      .key = r->key,
                                      .seed = (uint64_t)json_get_int(t->trial, "seed", 0),
                                      .config = t->trial,
                                      .params = params_of(t->given, t->trial)};
    r->run = by_hand_new(&r->trial);
}

struct sink *recorded_sink(struct recorded *r)
{
    return r->run ? by_hand_sink(r->run) : sink_null();
}

int64_t recorded_end(struct recorded *r, const struct err *why)
{
    int64_t trial = r->run ? by_hand_end(r->run, why) : 0;
    r->run = NULL;
    return trial;
}

void recorded_release(struct recorded *r)
{
    json_decref(r->trial.params);
    free(r->shown);
    free(r->store);
    free(r->experiment);
    free(r->base_dir);
    free(r->run_dir);
}
