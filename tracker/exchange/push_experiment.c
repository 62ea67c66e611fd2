/* tracker/exchange/push_experiment.c - an experiment in MLflow: found or made, and which of
 * its runs are this store's. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/secret/secret.h"
#include "lib/str.h"
#include "tracker/exchange/push_parts.h"
#include "tracker/store/store_priv.h"
#include <stdlib.h>

enum {
    PAGE = 200
}; /* of runs with hundreds of parameters each, within PUSH_MAX_ANSWER */

static const char tags_sql[] =
    "SELECT key, value FROM experiment_tag WHERE experiment = (SELECT id FROM experiment "
    "WHERE name = ?1) ORDER BY key";

static int find_experiment(struct push *p, const char *name, struct err *err)
{
    json_t *fields = json_pack("{s:s}", "experiment_name", name), *answer = NULL;
    struct err why = ERR_INIT;
    int rc = push_get(p, "experiments/get-by-name", fields, &answer, &why);
    const json_t *found = json_object_get(answer, "experiment");
    if (rc == 0 && !str_eq(json_get_str(found, "lifecycle_stage", "active"), "active"))
        rc = err_set(err, ERR_CONFIG,
                     "the experiment '%.200s' is deleted at %.200s; restore it there",
                     name, p->base);
    else if (rc == 0)
        p->experiment_id = xstrdup(json_get_str(found, "experiment_id", ""));
    else if (!str_eq(p->code, "RESOURCE_DOES_NOT_EXIST"))
        rc = err_set(err, why.code, "%s", why.msg);
    else
        rc = 0;
    json_decref(answer);
    json_decref(fields);
    return rc;
}

static int add_experiment_tags(struct push *p, const char *name, json_t *tags,
                               struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = store_statement(p->store, tags_sql, ARGS(A_TEXT(name)), &stmt, err);
    while (rc >= 0 && (rc = store_step(p->store, stmt, err)) > 0) {
        const char *key = (const char *)sqlite3_column_text(stmt, 0),
                   *value = (const char *)sqlite3_column_text(stmt, 1);
        char *clean = secret_text(value);
        const char *shown = secret_value(key, value) ? SECRET_SHOWN
                            : clean                  ? clean
                                                     : value;
        json_array_append_new(tags, json_pack("{s:s, s:s}", "key", key, "value", shown));
        free(clean);
    }
    if (stmt)
        store_done(stmt);
    return rc;
}

/* Somebody else may make it at the same moment. */
static int make_experiment(struct push *p, const char *name, struct err *err)
{
    json_t *fields = json_pack("{s:s}", "name", name), *answer = NULL,
           *tags = json_array();
    struct err why = ERR_INIT;
    int rc = add_experiment_tags(p, name, tags, &why);
    json_object_set_new(fields, "tags", tags);
    if (rc == 0)
        rc = push_post(p, "experiments/create", fields, &answer, &why);
    if (rc == 0)
        p->experiment_id = xstrdup(json_get_str(answer, "experiment_id", ""));
    else if (str_eq(p->code, "RESOURCE_ALREADY_EXISTS"))
        rc = find_experiment(p, name, err);
    if (!p->experiment_id)
        rc = err_set(err, why.code ? why.code : ERR_DEVICE, "%s",
                     why.code ? why.msg : "the experiment comes and goes there");
    json_decref(answer);
    json_decref(fields);
    return rc;
}

static void note_known(struct push *p, const json_t *runs)
{
    json_t *run, *tag;
    size_t i, k;
    json_array_foreach((json_t *)runs, i, run)
    {
        const char *id = NULL, *sent = NULL;
        json_array_foreach(json_object_get(json_object_get(run, "data"), "tags"), k, tag)
        {
            const char *key = json_get_str(tag, "key", ""),
                       *value = json_get_str(tag, "value", "");
            id = str_eq(key, PUSH_TAG_ID) ? value : id;
            sent = str_eq(key, PUSH_TAG_SENT) ? value : sent;
        }
        const json_t *info = json_object_get(run, "info");
        if (id)
            json_object_set_new(p->known, id,
                                json_pack("{s:s, s:s*}", "run_id",
                                          json_get_str(info, "run_id", ""), "sent",
                                          sent));
    }
}

/* The runs of this store that the experiment has there. */
static int find_known(struct push *p, struct err *err)
{
    char *filter = xasprintf("tags.`" PUSH_TAG_ID "` LIKE '%s/%%'", p->store_id);
    char *token = NULL;
    int rc = 0;
    do {
        json_t *fields = json_pack("{s:[s], s:s, s:i, s:s*}", "experiment_ids",
                                   p->experiment_id, "filter", filter, "max_results",
                                   PAGE, "page_token", token),
               *answer = NULL;
        rc = push_post(p, "runs/search", fields, &answer, err);
        note_known(p, json_object_get(answer, "runs"));
        const char *next = json_get_str(answer, "next_page_token", "");
        free(token);
        token = *next ? xstrdup(next) : NULL;
        json_decref(answer);
        json_decref(fields);
    } while (rc == 0 && token);
    free(token);
    free(filter);
    return rc;
}

int push_experiment(struct push *p, const char *name, struct err *err)
{
    free(p->experiment_id);
    json_decref(p->known);
    p->experiment_id = NULL;
    p->known = json_object();
    int rc = find_experiment(p, name, err);
    if (rc == 0 && !p->experiment_id)
        return make_experiment(p, name, err);
    return rc < 0 ? rc : find_known(p, err);
}
