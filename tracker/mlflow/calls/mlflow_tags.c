/* tracker/mlflow/calls/mlflow_tags.c - runs/set-tag and delete-tag: the tags of the run's trial. The
 * note is the trial's note as well, so that `show` has it. */
#include "tracker/mlflow/mlflow_inner.h"

enum { PUT, DROP, NOTE };
static const char *const sql[] = {
    [PUT] = "INSERT OR REPLACE INTO tag (trial, key, value) VALUES (?1, ?2, ?3)",
    [DROP] = "DELETE FROM tag WHERE trial = ?1 AND key = ?2",
    [NOTE] = "UPDATE trial SET note = ?2 WHERE id = ?1",
};

static const char note_key[] = "mlflow.note.content", name_key[] = "mlflow.runName";

int mlflow_put_tag(struct store *s, const struct mlflow_run *r, const char *key,
                   const char *value, const char *where, struct mlflow_error *e)
{
    struct err err = ERR_INIT;
    if (mlflow_check_name(where, where, key, e) < 0)
        return -1;
    if (str_eq(key, name_key) && !*value) /* a name is never taken away */
        return 0;
    char *kept = mlflow_kept_text(key, value, MLFLOW_MAX_TAG);
    int rc =
        store_exec(s, sql[PUT], ARGS(A_INT(r->trial), A_TEXT(key), A_TEXT(kept)), &err);
    if (rc >= 0 && str_eq(key, note_key))
        rc = store_exec(s, sql[NOTE], ARGS(A_INT(r->trial), A_TEXT(*kept ? kept : NULL)),
                        &err);
    free(kept);
    return rc < 0 ? mlflow_fail_store(e, &err) : 0;
}

int mlflow_put_tags(struct store *s, const struct mlflow_run *r, const json_t *tags,
                    struct mlflow_error *e)
{
    const json_t *tag;
    size_t i;
    int rc = mlflow_check_pairs("tags", tags, e);
    json_array_foreach((json_t *)tags, i, tag)
    {
        char where[32];
        snprintf(where, sizeof where, "tags[%zu].key", i);
        if (rc == 0)
            rc = mlflow_put_tag(s, r, mlflow_text(tag, "key"), mlflow_text(tag, "value"),
                                where, e);
    }
    return rc;
}

CALL(set_tag)
{
    (void)answer;
    struct mlflow_run r;
    if (mlflow_find_active_run(s, fields, &r, e) < 0 || mlflow_touch(s, &r, e) < 0)
        return -1;
    return mlflow_put_tag(s, &r, mlflow_text(fields, "key"), mlflow_text(fields, "value"),
                          "key", e);
}

CALL(delete_tag)
{
    (void)answer;
    struct err err = ERR_INIT;
    struct mlflow_run r;
    const char *key = mlflow_text(fields, "key");
    if (mlflow_find_active_run(s, fields, &r, e) < 0 || mlflow_touch(s, &r, e) < 0)
        return -1;
    int rc = store_exec(s, sql[DROP], ARGS(A_INT(r.trial), A_TEXT(key)), &err);
    if (rc == 0)
        return mlflow_fail(e, MLFLOW_RESOURCE_DOES_NOT_EXIST,
                           "No tag with name: %.300s in run with id %s", key, r.id);
    if (rc > 0 && str_eq(key, note_key))
        rc = store_exec(s, sql[NOTE], ARGS(A_INT(r.trial), A_TEXT(NULL)), &err);
    return rc < 0 ? mlflow_fail_store(e, &err) : 0;
}
