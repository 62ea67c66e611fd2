/* tracker/mlflow/calls/mlflow_inputs.c - runs/log-inputs: the data that a run read. The first word
 * about a dataset of a run (its name and digest) counts. */
#include "lib/secret/secret.h"
#include "tracker/mlflow/mlflow_inner.h"

static const char add_sql[] =
    "INSERT OR IGNORE INTO dataset_input (run, name, digest, source_type, source, "
    "schema, "
    "profile, context, tags_json) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

/* Characters that a text may have; all but the first four may be missing. */
static const struct {
    const char *name;
    size_t most;
} texts[] = {{"name", 500},     {"digest", 36},      {"source_type", 500},
             {"source", 65535}, {"schema", 1048575}, {"profile", 16777215}};
enum { NAME, DIGEST, SOURCE_TYPE, SOURCE, SCHEMA, PROFILE, TEXTS };

static int check_dataset(const json_t *d, struct mlflow_error *e)
{
    for (size_t i = 0; i < TEXTS; i++) {
        const json_t *v = json_object_get(d, texts[i].name);
        const char *text = mlflow_text(d, texts[i].name);
        if (v && !json_is_null(v) && !json_is_string(v))
            return mlflow_refuse_value(texts[i].name, v, e);
        if (i <= SOURCE && !*text)
            return mlflow_fail(e, MLFLOW_INVALID_PARAMETER_VALUE,
                               "Dataset %s cannot be None", texts[i].name);
        if (mlflow_check_length(texts[i].name, text, texts[i].most, e) < 0)
            return -1;
    }
    return 0;
}

enum { MAX_TAG_KEY = 255, MAX_TAG = 500 };

static int check_tags(const json_t *tags, struct mlflow_error *e)
{
    const json_t *tag;
    size_t i;
    if (mlflow_check_pairs("tags", tags, e) < 0)
        return -1;
    json_array_foreach((json_t *)tags, i, tag)
    {
        const char *key = mlflow_text(tag, "key"), *value = mlflow_text(tag, "value");
        if (!*key)
            return mlflow_fail(e, MLFLOW_INVALID_PARAMETER_VALUE,
                               "InputTag key cannot be None");
        if (mlflow_check_length("key", key, MAX_TAG_KEY, e) < 0 ||
            mlflow_check_length("value", value, MAX_TAG, e) < 0)
            return -1;
    }
    return 0;
}

/* As JSON text, without secrets. *context: borrowed from `tags`; NULL: none. */
static void keep_tags(const json_t *tags, struct buf *out, const char **context)
{
    const json_t *tag;
    json_t *list = json_array();
    size_t i;
    *context = NULL;
    json_array_foreach((json_t *)tags, i, tag)
    {
        const char *key = mlflow_text(tag, "key"), *value = mlflow_text(tag, "value");
        char *text = mlflow_kept_text(key, value, MAX_TAG);
        json_array_append_new(list, json_pack("{s:s, s:s}", "key", key, "value", text));
        if (str_eq(key, "mlflow.data.context"))
            *context = value;
        free(text);
    }
    json_write(out, list, 0);
    json_decref(list);
}

/* Without secrets; NULL where nothing is said. The caller's. */
static char *kept(const json_t *d, int i)
{
    const char *text = mlflow_text(d, texts[i].name);
    char *clean = *text ? secret_json_text(text) : NULL;
    return clean ? clean : *text ? xstrdup(text) : NULL;
}

static int add_input(struct store *s, const struct mlflow_run *r, const json_t *input,
                     struct mlflow_error *e)
{
    struct err err = ERR_INIT;
    struct buf tags = BUF_INIT;
    const json_t *d = json_object_get(input, "dataset"),
                 *said = json_object_get(input, "tags");
    const char *context;
    char *words[TEXTS];
    if (!json_is_object(d))
        return mlflow_fail(e, MLFLOW_INVALID_PARAMETER_VALUE, "Dataset cannot be None");
    if (check_dataset(d, e) < 0 || check_tags(said, e) < 0)
        return -1;
    for (int i = 0; i < TEXTS; i++)
        words[i] = kept(d, i);
    keep_tags(said, &tags, &context);
    const int rc = store_exec(
        s, add_sql,
        ARGS(A_INT(r->run), A_TEXT(words[NAME]), A_TEXT(words[DIGEST]),
             A_TEXT(words[SOURCE_TYPE]), A_TEXT(words[SOURCE]), A_TEXT(words[SCHEMA]),
             A_TEXT(words[PROFILE]), A_TEXT(context), A_TEXT(buf_str(&tags))),
        &err);
    for (int i = 0; i < TEXTS; i++)
        free(words[i]);
    buf_release(&tags);
    return rc < 0 ? mlflow_fail_store(e, &err) : 0;
}

CALL(log_inputs)
{
    (void)answer;
    struct mlflow_run r;
    const json_t *input;
    size_t i;
    if (mlflow_find_active_run(s, fields, &r, e) < 0 || mlflow_touch(s, &r, e) < 0)
        return -1;
    int rc = 0;
    json_array_foreach(json_object_get(fields, "datasets"), i, input)
    {
        if (rc == 0)
            rc = add_input(s, &r, input, e);
    }
    return rc;
}
