/* tracker/exchange/push_run.c - a run in MLflow: found or made, its parameters and tags. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/exchange/push_parts.h"
#include <stdlib.h>
#include <string.h>

enum { CREATE_TRIES = 5 };

void push_run_release(struct push_run *r)
{
    free(r->id);
    free(r->run_id);
    free(r->root);
    json_decref(r->tags);
    json_decref(r->params);
    json_decref(r->there);
    *r = (struct push_run){0};
}

/* [{"key", "value"}, ...] of an object of texts, or back. */
static json_t *as_pairs(const json_t *object)
{
    json_t *list = json_array(), *v;
    const char *key;
    json_object_foreach((json_t *)object, key, v)
        json_array_append_new(list, json_pack("{s:s, s:O}", "key", key, "value", v));
    return list;
}

static json_t *as_object(const json_t *pairs)
{
    json_t *object = json_object(), *pair;
    size_t i;
    json_array_foreach((json_t *)pairs, i, pair)
    {
        json_t *value = json_object_get(pair, "value");
        if (value)
            json_object_set(object, json_get_str(pair, "key", ""), value);
    }
    return object;
}

/* ---- found or made ---- */

/* What a run there says of itself. */
static void take_answer(struct push_run *r, const json_t *run)
{
    const json_t *info = json_object_get(run, "info"),
                 *data = json_object_get(run, "data");
    const char *id = json_get_str(info, "run_id", json_get_str(info, "run_uuid", ""));
    free(r->run_id);
    free(r->root);
    json_decref(r->there);
    r->run_id = xstrdup(id);
    r->root = xstrdup(json_get_str(info, "artifact_uri", ""));
    r->there =
        json_pack("{s:o, s:o}", "params", as_object(json_object_get(data, "params")),
                  "metrics", as_object(json_object_get(data, "metrics")));
}

static int fetch(struct push *p, struct push_run *r, const char *run_id, struct err *err)
{
    json_t *fields = json_pack("{s:s}", "run_id", run_id), *answer = NULL;
    int rc = push_get(p, "runs/get", fields, &answer, err);
    if (rc == 0)
        take_answer(r, json_object_get(answer, "run"));
    r->was_there = rc == 0;
    json_decref(answer);
    json_decref(fields);
    return rc;
}

/* 1: the server has it, though nobody heard its answer. */
static int look_for(struct push *p, struct push_run *r, struct err *err)
{
    char *filter = xasprintf("tags.`" PUSH_TAG_ID "` = '%s'", r->id);
    json_t *fields = json_pack("{s:[s], s:s, s:i}", "experiment_ids", p->experiment_id,
                               "filter", filter, "max_results", 1),
           *answer = NULL;
    int rc = push_post(p, "runs/search", fields, &answer, err);
    const json_t *run = json_array_get(json_object_get(answer, "runs"), 0);
    if (rc == 0 && run) {
        take_answer(r, run);
        r->was_there = true;
        rc = 1;
    }
    json_decref(answer);
    json_decref(fields);
    free(filter);
    return rc;
}

static int create(struct push *p, struct push_run *r, struct err *err)
{
    json_t *fields = json_pack(
               "{s:s, s:s, s:s, s:I, s:o}", "experiment_id", p->experiment_id, "run_name",
               r->name, "user_id", json_get_str(r->tags, "mlflow.user", "peftlab"),
               "start_time", (json_int_t)r->started_ms, "tags", as_pairs(r->tags)),
           *answer = NULL;
    static const char passing[] =
        "TEMPORARILY_UNAVAILABLE|REQUEST_LIMIT_EXCEEDED|RESOURCE_EXHAUSTED";
    struct err why = ERR_INIT;
    int rc = 0;
    /* Before another try the first one is looked for; that waits as long as it must. */
    for (int i = 0; i < CREATE_TRIES && !r->run_id; i++) {
        err_clear(&why);
        rc = push_post_once(p, "runs/create", fields, &answer, &why);
        if (rc == 0)
            take_answer(r, json_object_get(answer, "run"));
        else if (*p->code && !str_in_list(p->code, passing, '|'))
            break;
        else if ((rc = look_for(p, r, err)) < 0)
            break;
    }
    json_decref(answer);
    json_decref(fields);
    if (!r->run_id)
        return err_set(err, why.code, "%s", why.msg);
    return *r->run_id
               ? 0
               : err_set(err, ERR_DEVICE, "%.200s made a run without a run_id", p->base);
}

int push_run_take(struct push *p, struct push_run *r, struct err *err)
{
    const json_t *known = json_object_get(p->known, r->id);
    json_object_set_new(r->tags, PUSH_TAG_ID, json_string(r->id));
    if (known)
        return fetch(p, r, json_get_str(known, "run_id", ""), err);
    const int rc = create(p, r, err);
    if (rc == 0)
        json_object_set_new(p->known, r->id, json_pack("{s:s}", "run_id", r->run_id));
    return rc;
}

/* ---- parameters and tags ---- */

static int send_part(struct push *p, const struct push_run *r, const char *part,
                     json_t *list, size_t from, struct err *err)
{
    json_t *some = json_array(), *item;
    size_t i;
    json_array_foreach(list, i, item)
    {
        if (i >= from && i < from + PUSH_BATCH_PARAMS)
            json_array_append(some, item);
    }
    json_t *fields = json_pack("{s:s, s:o}", "run_id", r->run_id, part, some);
    const int rc = push_post(p, "runs/log-batch", fields, NULL, err);
    json_decref(fields);
    return rc;
}

static int send_pairs(struct push *p, const struct push_run *r, const char *part,
                      const json_t *object, struct err *err)
{
    json_t *list = as_pairs(object);
    int rc = 0;
    for (size_t i = 0; i < json_array_size(list) && rc == 0; i += PUSH_BATCH_PARAMS)
        rc = send_part(p, r, part, list, i, err);
    json_decref(list);
    return rc;
}

/* Parameters are written once: what is there stays, also where it differs. */
static json_t *lacking(struct push *p, const struct push_run *r)
{
    const json_t *there = json_object_get(r->there, "params");
    json_t *out = json_object(), *v;
    const char *key;
    json_object_foreach(r->params, key, v)
    {
        const json_t *old = json_object_get(there, key);
        if (!old)
            json_object_set(out, key, v);
        else if (!json_equal(old, v))
            push_left_out(p, "parameters that are another's there", 1);
    }
    return out;
}

int push_run_fill(struct push *p, struct push_run *r, struct err *err)
{
    json_t *params = lacking(p, r);
    int rc = send_pairs(p, r, "params", params, err);
    /* those of a new run went along when it was made */
    if (rc == 0 && r->was_there)
        rc = send_pairs(p, r, "tags", r->tags, err);
    json_decref(params);
    return rc;
}

/* ---- data that it read ---- */

static json_t *input_of(const json_t *dataset)
{
    static const char *const names[] = {"name",   "digest", "source_type",
                                        "source", "schema", "profile"};
    const json_t *tags = json_object_get(dataset, "tags");
    json_t *said = json_object();
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (json_object_get(dataset, names[i]))
            json_object_set(said, names[i], json_object_get(dataset, names[i]));
    return json_pack("{s:o, s:o}", "tags",
                     json_is_array(tags) ? json_incref((json_t *)tags) : json_array(),
                     "dataset", said);
}

/* Saying the same again changes nothing there. */
int push_run_inputs(struct push *p, struct push_run *r, const json_t *trial,
                    struct err *err)
{
    json_t *list = json_array(), *run, *dataset;
    size_t i, k;
    int rc = 0;
    json_array_foreach(json_object_get(trial, "runs"), i, run)
    {
        json_array_foreach(json_object_get(run, "datasets"), k, dataset)
            json_array_append_new(list, input_of(dataset));
    }
    json_t *fields = json_pack("{s:s, s:o}", "run_id", r->run_id, "datasets", list);
    if (json_array_size(list) > 0)
        rc = push_post(p, "runs/log-inputs", fields, NULL, err);
    json_decref(fields);
    return rc;
}

int push_run_end(struct push *p, struct push_run *r, const char *sent, struct err *err)
{
    json_t *fields = json_pack("{s:s, s:s}", "run_id", r->run_id, "status", r->status);
    if (r->ended_ms > 0)
        json_object_set_new(fields, "end_time", json_integer(r->ended_ms));
    int rc = push_post(p, "runs/update", fields, NULL, err);
    json_decref(fields);
    if (rc < 0 || !sent)
        return rc;
    fields = json_pack("{s:s, s:s, s:s}", "run_id", r->run_id, "key", PUSH_TAG_SENT,
                       "value", sent);
    rc = push_post(p, "runs/set-tag", fields, NULL, err);
    json_decref(fields);
    return rc;
}
