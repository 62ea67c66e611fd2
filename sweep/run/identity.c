/* sweep/run/identity.c - whether what is finished of a sweep was made from what there is
 * now: the same data and the same model (of commands controller_notes.c says so). A trial's key is its configuration; the files
 * that this names are part of what it is. Mixed, they would be compared as one. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "sweep/run/controller.h"
#include <stdlib.h>
#include <string.h>

/* The keys of a configuration that name files; equal ones are looked at once. */
static void files_of(const json_t *config, struct buf *out)
{
    static const char *const keys[] = {"model",     "train_data",   "eval_data",
                                       "test_data", "general_data", "init_adapter"};
    buf_clear(out);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        buf_printf(out, "%s\n", json_get_str(config, keys[i], ""));
}

static int changed(const struct controller *c, const char *what, long long trial,
                   struct err *err)
{
    return err_set(
        err, ERR_CONFIG,
        "sweep '%s': %s has changed since its trial %lld ran; put back what it "
        "was, or run all of it as another sweep with --name NAME",
        controller_name(c), what, trial);
}

static int compare(const struct controller *c, const json_t *had, const json_t *have,
                   const json_t *config, long long trial, struct err *err)
{
    const char *key;
    json_t *now;
    json_object_foreach((json_t *)have, key, now)
    {
        const json_t *then = json_object_get(had, key);
        if (!then || json_equal((json_t *)then, now))
            continue;
        char *what = xasprintf("%s '%s'", key, json_get_str(config, key, ""));
        int rc = changed(c, what, trial, err);
        free(what);
        return rc;
    }
    return 0;
}

/* `seen`: fingerprints by their files, an object. */
static int check_trial(const struct controller *c, json_t *seen, const json_t *row,
                       struct err *err)
{
    const char *text = json_string_value(json_array_get(row, 1)),
               *hashes = json_string_value(json_array_get(row, 2));
    json_t *config = text ? json_parse(text, strlen(text), "trial", NULL) : NULL,
           *had = hashes ? json_parse(hashes, strlen(hashes), "run", NULL) : NULL,
           *have = NULL;
    struct buf name = BUF_INIT;
    int rc = 0;
    files_of(config, &name);
    if (had && !(have = json_object_get(seen, buf_str(&name)))) {
        rc = c->hooks->fingerprint(config, c->file->base_dir, &have, err);
        if (rc == 0)
            json_object_set_new(seen, buf_str(&name), have);
    }
    if (rc == 0 && had)
        rc = compare(c, had, have, config, json_integer_value(json_array_get(row, 0)),
                     err);
    buf_release(&name);
    json_decref(config);
    json_decref(had);
    return rc;
}

int controller_check_identity(struct controller *c)
{
    static const char finished[] = "SELECT t.id, t.config, r.environment ->> '$.sha256', "
                                   "t.sweep FROM trial_view AS t "
                                   "JOIN run_view AS r ON r.id = t.run WHERE "
                                   "t.sweep_name = ?1 AND t.experiment_name "
                                   "= ?2 AND t.state = 'complete' ORDER BY t.id";
    json_t *bind = json_pack("[s, s]", controller_name(c), controller_experiment(c)),
           *result = store_query(c->store, finished, bind, SPACE_ROWS_MAX, c->err),
           *rows = json_object_get(result, "rows"), *seen = json_object(), *row;
    size_t i;
    int rc = result ? 0 : err_code(c->err);
    json_array_foreach(rows, i, row)
    {
        if (rc == 0 && c->hooks->fingerprint && c->file->names_model)
            rc = check_trial(c, seen, row, c->err);
    }
    json_decref(seen);
    json_decref(result);
    json_decref(bind);
    return rc;
}
