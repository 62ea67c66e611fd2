/* tracker/mlflow/search/search_names.c - entities, keys and operators of a search; see
 * search_priv.h. */
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/mlflow/run_text.h"
#include "tracker/mlflow/search/search_priv.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define OPS_NUMBER                                                                       \
    (1u << OP_EQ | 1u << OP_NE | 1u << OP_LT | 1u << OP_LE | 1u << OP_GT | 1u << OP_GE)
#define OPS_LIKE (1u << OP_EQ | 1u << OP_NE | 1u << OP_LIKE | 1u << OP_ILIKE)
#define OPS_LIST (1u << OP_IN | 1u << OP_NOT_IN)
#define OPS_NULL (1u << OP_IS_NULL | 1u << OP_IS_NOT_NULL)

static const struct {
    const char *word, *sql;
} ops[] = {
    [OP_EQ] = {"=", "="},
    [OP_NE] = {"!=", "<>"},
    [OP_LT] = {"<", "<"},
    [OP_LE] = {"<=", "<="},
    [OP_GT] = {">", ">"},
    [OP_GE] = {">=", ">="},
    [OP_LIKE] = {"LIKE", "GLOB"}, /* GLOB tells capitals, SQLite's LIKE does not */
    [OP_ILIKE] = {"ILIKE", "GLOB"},
    [OP_IN] = {"IN", "IN"},
    [OP_NOT_IN] = {"NOT IN", "NOT IN"},
    [OP_IS_NULL] = {"IS NULL", "IS NULL"},
    [OP_IS_NOT_NULL] = {"IS NOT NULL", "IS NOT NULL"},
};

static const struct {
    const char *word;
    enum search_entity entity;
    bool of_experiments;
} entities[] = {
    {"attribute", ENTITY_ATTRIBUTE, true},
    {"tag", ENTITY_TAG, true},
    {"tags", ENTITY_TAG, true},
    {"attributes", ENTITY_ATTRIBUTE, false},
    {"attr", ENTITY_ATTRIBUTE, false},
    {"run", ENTITY_ATTRIBUTE, false},
    {"metric", ENTITY_METRIC, false},
    {"metrics", ENTITY_METRIC, false},
    {"parameter", ENTITY_PARAM, false},
    {"parameters", ENTITY_PARAM, false},
    {"param", ENTITY_PARAM, false},
    {"params", ENTITY_PARAM, false},
    {"dataset", ENTITY_DATASET, false},
    {"datasets", ENTITY_DATASET, false},
};
static const struct {
    const char *name;
    unsigned ops;
} of_entity[] = {
    [ENTITY_ATTRIBUTE] = {"attribute", 0}, /* the attribute's own */
    [ENTITY_METRIC] = {"metric", OPS_NUMBER},
    [ENTITY_PARAM] = {"parameter", OPS_LIKE | OPS_NULL},
    [ENTITY_TAG] = {"tag", OPS_LIKE | OPS_NULL},
    [ENTITY_DATASET] = {"dataset", OPS_LIKE | OPS_LIST},
};

/* Other names of an attribute are rows of their own, found by the same SQL. */
static const struct search_attribute of_runs[] = {
    {"run_id", "run.id", false, true, true, OPS_LIKE | OPS_LIST},
    {"run_name", RUN_NAME_SQL, false, true, false, OPS_LIKE},
    {"run name", RUN_NAME_SQL, false, false, false, OPS_LIKE},
    {"Run name", RUN_NAME_SQL, false, false, false, OPS_LIKE},
    {"Run Name", RUN_NAME_SQL, false, false, false, OPS_LIKE},
    {"user_id", RUN_USER_SQL, false, true, false, OPS_LIKE},
    {"status", "(" RUN_STATUS_SQL ")", false, true, false, OPS_LIKE},
    {"artifact_uri", RUN_ARTIFACTS_SQL, false, true, false, OPS_LIKE},
    {"start_time", "run.started_ms", true, true, false, OPS_NUMBER},
    {"created", "run.started_ms", true, true, false, OPS_NUMBER},
    {"Created", "run.started_ms", true, true, false, OPS_NUMBER},
    {"end_time", "run.ended_ms", true, true, false, OPS_NUMBER},
};
static const struct search_attribute of_experiments[] = {
    {"name", "experiment.name", false, true, false, OPS_LIKE},
    {"experiment_id", EXPERIMENT_ID_SQL, false, true, true,
     1u << OP_EQ | 1u << OP_NE | OPS_LIST},
    {"creation_time", "experiment.created_ms", true, true, false, OPS_NUMBER},
    {"last_update_time", "ifnull(experiment.updated_ms, experiment.created_ms)", true,
     true, false, OPS_NUMBER},
};
static const struct search_attribute of_datasets[] = {
    {"name", "name", false, false, false, 0},
    {"digest", "digest", false, false, false, 0},
    {"context", "context", false, false, false, 0},
};

static bool same(const char *text, size_t size, const char *word)
{
    return strlen(word) == size && memcmp(text, word, size) == 0;
}

static void strip(const char **text, size_t *size, char quote)
{
    if (*size >= 2 && (*text)[0] == quote && (*text)[*size - 1] == quote) {
        (*text)++;
        *size -= 2;
    }
}

static int read_entity(enum search_what what, const char *word, size_t size,
                       enum search_entity *out, struct err *err)
{
    const bool experiments = what == SEARCH_EXPERIMENTS;
    if (!experiments)
        strip(&word, &size, '`');
    for (size_t i = 0; i < ARRAY_LEN(entities); i++)
        if (same(word, size, entities[i].word) &&
            (!experiments || entities[i].of_experiments)) {
            *out = entities[i].entity;
            return 0;
        }
    return err_set(err, ERR_USAGE, "Invalid entity type '%.*s'. Valid values are %s",
                   (int)(size > 100 ? 100 : size), word,
                   experiments
                       ? "('attribute', 'tag', 'tags')"
                       : "['metric', 'parameter', 'tag', 'attribute', 'dataset']");
}

static const struct search_attribute *find_attribute(enum search_what what,
                                                     enum search_entity entity,
                                                     const char *key, bool for_order)
{
    const bool datasets = entity == ENTITY_DATASET, runs = what == SEARCH_RUNS;
    const struct search_attribute *list = datasets ? of_datasets
                                          : runs   ? of_runs
                                                   : of_experiments;
    size_t count = datasets ? ARRAY_LEN(of_datasets)
                   : runs   ? ARRAY_LEN(of_runs)
                            : ARRAY_LEN(of_experiments);
    for (size_t i = 0; i < count; i++)
        if (str_eq(list[i].name, key) && (list[i].ordered || !for_order || datasets))
            return &list[i];
    return NULL;
}

int search_name_read(enum search_what what, const char *raw, size_t size, bool for_order,
                     struct search_name *out, struct err *err)
{
    const char *dot = memchr(raw, '.', size);
    *out = (struct search_name){.entity = ENTITY_ATTRIBUTE};
    if (dot) {
        int rc = read_entity(what, raw, (size_t)(dot - raw), &out->entity, err);
        if (rc < 0)
            return rc;
        size -= (size_t)(dot + 1 - raw);
        raw = dot + 1;
    }
    const size_t before = size;
    strip(&raw, &size, '\'');
    if (size == before)
        strip(&raw, &size, '"');
    strip(&raw, &size, '`');
    out->key = xstrndup(raw, size);
    if (out->entity != ENTITY_ATTRIBUTE && out->entity != ENTITY_DATASET)
        return 0;
    out->attribute = find_attribute(what, out->entity, out->key, for_order);
    if (out->attribute)
        return 0;
    int rc = err_set(err, ERR_USAGE, "Invalid %s key '%.100s' specified",
                     of_entity[out->entity].name, out->key);
    free(out->key);
    out->key = NULL;
    return rc;
}

const char *search_entity_name(enum search_entity e)
{
    return of_entity[e].name;
}

int search_op_check(const struct search_name *name, enum search_op op, const char *word,
                    struct err *err)
{
    unsigned allowed = name->entity == ENTITY_ATTRIBUTE ? name->attribute->ops
                                                        : of_entity[name->entity].ops;
    if (allowed & 1u << op)
        return 0;
    return err_set(err, ERR_USAGE, "Invalid comparator '%.100s' for %s '%.100s'", word,
                   of_entity[name->entity].name, name->key);
}

/* Of experiments MLflow knows them in capitals only. */
int search_op_read(enum search_what what, const struct search_name *name,
                   const char *word, size_t size, enum search_op *op, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(ops); i++)
        if (same(word, size, ops[i].word) ||
            (what == SEARCH_RUNS && strlen(ops[i].word) == size &&
             strncasecmp(word, ops[i].word, size) == 0)) {
            *op = (enum search_op)i;
            return search_op_check(name, *op, ops[i].word, err);
        }
    return err_set(err, ERR_USAGE, "Invalid comparator '%.*s' for %s '%.100s'",
                   (int)(size > 100 ? 100 : size), word, of_entity[name->entity].name,
                   name->key);
}

const char *search_op_sql(enum search_op op)
{
    return ops[op].sql;
}
