/* tracker/mlflow/search/search_sql.c - clauses and orders as SQL over the store's tables, with all
 * that a client wrote bound; see search_priv.h. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/mlflow/mlflow_ids.h"
#include "tracker/mlflow/run_text.h"
#include "tracker/mlflow/search/search_priv.h"
#include <ctype.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void search_sql_init(struct search_sql *q)
{
    *q = (struct search_sql){.text = BUF_INIT};
}

void search_sql_release(struct search_sql *q)
{
    for (size_t i = 0; i < q->count; i++)
        free(q->binds[i].text);
    free(q->binds);
    buf_release(&q->text);
    search_sql_init(q);
}

/* `text` is owned from now on. */
static void bind(struct search_sql *q, struct arg value, char *text)
{
    q->binds = xgrow(q->binds, &q->cap, q->count + 1, sizeof *q->binds);
    value.s = text;
    q->binds[q->count++] = (struct search_bind){value, text};
    buf_printf(&q->text, "?%zu", q->count);
}

void search_sql_int(struct search_sql *q, int64_t value)
{
    bind(q, (struct arg)A_INT(value), NULL);
}

void search_sql_real(struct search_sql *q, double value)
{
    bind(q, (struct arg)A_REAL(value), NULL);
}

void search_sql_text(struct search_sql *q, const char *value)
{
    bind(q, (struct arg){.type = ARG_TEXT}, xstrdup(value));
}

static void add(struct search_sql *q, const char *text)
{
    buf_str_add(&q->text, text);
}

/* ---- what is named ---- */

/* A metric's value as MLflow's table has it: what is infinite is the largest number of its
 * sign. NaN is a text, which is neither equal to a number nor below one; where it shall not
 * be above one either (>, >=, DESC), it is below all of them. */
#define VALUE(nan)                                                                       \
    "CASE kind WHEN 0 THEN value WHEN 1 THEN " nan                                       \
    " WHEN 2 THEN 1.7976931348623157e308 WHEN 3 THEN -1.7976931348623157e308 ELSE 0.0 "  \
    "END"
/* Where the latest value is, the first of these that has one; as run_text.c has it. */
#define METRIC(nan)                                                                      \
    "coalesce((SELECT " VALUE(                                                           \
        nan) " FROM run_summary WHERE run = run.id AND key = "                           \
             "%1$lld), (SELECT " VALUE(                                                  \
                 nan) " FROM metric WHERE run = run.id AND key = %1$lld "                \
                      "ORDER BY step DESC LIMIT 1), (SELECT " VALUE(                     \
                          nan) " FROM metric_more WHERE run = "                          \
                               "run.id AND key = %1$lld ORDER BY step DESC, at_ms "      \
                               "DESC, value DESC LIMIT 1))"

static int add_metric(struct search_sql *q, struct store *s, const char *key, bool above,
                      struct err *err)
{
    static const char find[] = "SELECT id FROM metric_key WHERE name = ?1";
    int64_t id = 0;
    int rc = store_int(s, find, ARGS(A_TEXT(key)), &id, err);
    if (rc < 0)
        return rc;
    if (rc == 0)
        add(q, "NULL");
    else if (above)
        buf_printf(&q->text, METRIC("-9e999"), (long long)id);
    else
        buf_printf(&q->text, METRIC("'nan'"), (long long)id);
    return 0;
}

/* Tags that runs of ours have no row for. */
static const struct {
    const char *key, *sql;
} made_tags[] = {{"mlflow.runName", RUN_NAME_SQL}, {"mlflow.note.content", RUN_NOTE_SQL}};

static void add_tag(struct search_sql *q, enum search_what what, const char *key)
{
    for (size_t i = 0; what == SEARCH_RUNS && i < ARRAY_LEN(made_tags); i++)
        if (str_eq(made_tags[i].key, key)) {
            add(q, made_tags[i].sql);
            return;
        }
    add(q, what == SEARCH_RUNS
               ? "(SELECT value FROM tag WHERE tag.trial = trial.id AND tag.key = "
               : "(SELECT value FROM experiment_tag WHERE experiment_tag.experiment = "
                 "experiment.id AND experiment_tag.key = ");
    search_sql_text(q, key);
    add(q, ")");
}

/* The trial's; else what a program logged into its run of ours, where any ever did: it is
 * asked before runs are, since few trials have what is looked for. */
static int add_param(struct search_sql *q, struct store *s, const char *key,
                     struct err *err)
{
    static const char any[] = "SELECT 1 FROM run_param LIMIT 1";
    int64_t one;
    int rc = store_int(s, any, NULL, &one, err);
    if (rc < 0)
        return rc;
    add(q, rc ? "coalesce(flat_param(" RUN_PARAMS_SQL ", "
              : "flat_param(" RUN_PARAMS_SQL ", ");
    search_sql_text(q, key);
    add(q, ")");
    if (rc)
        buf_printf(&q->text,
                   ", (SELECT value FROM run_param WHERE run_param.run = run.id AND "
                   "run_param.key = ?%zu))",
                   q->count);
    return 0;
}

static int add_named(struct search_sql *q, struct store *s, enum search_what what,
                     const struct search_name *name, bool above, struct err *err)
{
    switch (name->entity) {
    case ENTITY_METRIC:
        return add_metric(q, s, name->key, above, err);
    case ENTITY_PARAM:
        return add_param(q, s, name->key, err);
    case ENTITY_TAG:
        add_tag(q, what, name->key);
        return 0;
    default:
        add(q, name->attribute->sql);
        return 0;
    }
}

/* ---- values ---- */

/* MLflow's LIKE as SQLite's GLOB, which is the same but for its letters. */
static int bind_pattern(struct search_sql *q, const struct search_clause *c,
                        struct err *err)
{
    struct buf glob = BUF_INIT;
    for (const char *p = c->text; *p; p++) {
        const char small = c->op == OP_ILIKE ? (char)tolower((unsigned char)*p) : *p;
        if (strchr("*?[", *p))
            buf_printf(&glob, "[%c]", *p);
        else
            buf_char(&glob, *p == '%' ? '*' : *p == '_' ? '?' : small);
    }
    if (glob.len > SEARCH_MAX_PATTERN) {
        buf_release(&glob);
        return err_set(err, ERR_USAGE, "pattern of '%.100s' is too long", c->name.key);
    }
    bind(q, (struct arg){.type = ARG_TEXT}, xstrdup(buf_str(&glob)));
    buf_release(&glob);
    return 0;
}

static int add_value(struct search_sql *q, const struct search_clause *c, struct err *err)
{
    buf_printf(&q->text, " %s ", search_op_sql(c->op));
    switch (c->op) {
    case OP_LIKE:
    case OP_ILIKE:
        return bind_pattern(q, c, err);
    case OP_IN:
    case OP_NOT_IN:
        add(q, "(SELECT value FROM json_each(");
        search_sql_text(q, c->text);
        add(q, "))");
        return 0;
    case OP_IS_NULL:
    case OP_IS_NOT_NULL:
        return 0;
    default:
        if (c->text)
            search_sql_text(q, c->text);
        else if (c->is_whole && c->name.entity == ENTITY_ATTRIBUTE)
            search_sql_int(q, c->whole);
        else /* what is not finite is above -1e400, and NaN is not */
            search_sql_real(q, c->op == OP_GE ? fmax(c->number, -DBL_MAX) : c->number);
        return 0;
    }
}

/* ---- clauses ---- */

static bool is_plain_op(enum search_op op)
{
    return op == OP_EQ || op == OP_NE || op == OP_IN || op == OP_NOT_IN;
}

/* An id that a client has, as the number that it is here; -1: it is none. */
static int64_t number_of(struct store *s, enum search_what what, const char *text)
{
    if (what == SEARCH_RUNS) {
        int64_t run = mlflow_run_number(s, text);
        return run > 0 ? run : -1;
    }
    int64_t n;
    return str_whole(text, &n) ? n : -1;
}

/* Ids are compared as numbers, which indexes know. */
static int add_ids(struct search_sql *q, struct store *s, enum search_what what,
                   const struct search_clause *c, struct err *err)
{
    const bool list = c->op == OP_IN || c->op == OP_NOT_IN;
    json_t *texts = list ? json_loads(c->text, 0, NULL) : json_pack("[s]", c->text),
           *text;
    size_t i;
    int rc = 0;
    if (!texts)
        return err_set(err, ERR_BUG, "list of ids does not read back; this is a bug");
    buf_printf(&q->text, "%s %s (", c->name.attribute->sql,
               c->op == OP_IN || c->op == OP_EQ ? "IN" : "NOT IN");
    json_array_foreach(texts, i, text)
    {
        int64_t id = number_of(s, what, json_string_value(text));
        if (id < 0 && what == SEARCH_EXPERIMENTS)
            rc = err_set(err, ERR_USAGE,
                         "Invalid experiment ID '%.100s'. Experiment ID must "
                         "be a valid integer.",
                         json_string_value(text));
        buf_printf(&q->text, "%s%lld", i ? ", " : "", (long long)id);
    }
    add(q, ")");
    json_decref(texts);
    return rc;
}

static int add_clause(struct search_sql *q, struct store *s, enum search_what what,
                      const struct search_clause *c, struct err *err)
{
    const bool dataset = c->name.entity == ENTITY_DATASET;
    const bool id = c->name.attribute && c->name.attribute->is_id;
    if (id && is_plain_op(c->op))
        return add_ids(q, s, what, c, err);
    if (dataset)
        add(q,
            "EXISTS (SELECT 1 FROM dataset_input WHERE dataset_input.run = run.id AND ");
    if (c->op == OP_ILIKE)
        add(q, "lower(");
    int rc = 0;
    if (id)
        add(q, RUN_ID_SQL);
    else
        rc = add_named(q, s, what, &c->name, c->op == OP_GT || c->op == OP_GE, err);
    if (c->op == OP_ILIKE)
        add(q, ")");
    if (rc == 0)
        rc = add_value(q, c, err);
    if (dataset)
        add(q, ")");
    return rc;
}

int search_sql_clauses(struct search_sql *q, struct store *s, const struct search *search,
                       struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < search->count && rc == 0; i++) {
        add(q, " AND (");
        rc = add_clause(q, s, search->what, &search->clauses[i], err);
        add(q, ")");
    }
    return rc;
}

int search_sql_order(struct search_sql *q, struct store *s, enum search_what what,
                     const struct search_order *o, struct err *err)
{
    return add_named(q, s, what, &o->name, o->descending, err);
}
