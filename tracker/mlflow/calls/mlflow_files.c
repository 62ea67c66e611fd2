/* tracker/mlflow/calls/mlflow_files.c - artifacts/list of MLflow's API: what is in a folder of a
 * run's artifacts, by its path within the run. Newer clients ask the artifact proxy instead
 * (cli/ui/artifact_routes.c). */
#include "tracker/mlflow/artifacts.h"
#include "tracker/mlflow/mlflow_inner.h"
#include "tracker/mlflow/run_text.h"

/* The run's artifact_uri; the caller's. */
static char *root_of(struct store *s, int64_t run, struct err *err)
{
    json_t *tree = run_text_tree(s, run, err);
    const char *uri = json_get_str(json_object_get(tree, "info"), "artifact_uri", NULL);
    char *out = uri ? xstrdup(uri) : NULL;
    json_decref(tree);
    return out;
}

/* Below the run's root, where the listing says last components. */
static void put_paths(json_t *files, const char *folder)
{
    json_t *file;
    size_t i;
    json_array_foreach(files, i, file)
    {
        char *path = xasprintf("%s/%s", folder, mlflow_text(file, "path"));
        if (*folder)
            json_object_set_new(file, "path", json_string(path));
        free(path);
    }
}

static int write_list(struct store *s, const char *root, const char *folder,
                      struct buf *answer, struct err *err)
{
    static const char scheme[] = "mlflow-artifacts:/";
    json_t *files = NULL, *whole;
    char *path = NULL, *within = NULL;
    int rc = *folder ? mlflow_artifact_path(folder, &within, err) : 0;
    if (rc == 0 && str_has_prefix(root, scheme)) { /* else they lie elsewhere */
        path = xasprintf("%s%s%s", root + strlen(scheme), within ? "/" : "",
                         within ? within : "");
        rc = mlflow_artifact_list(s, path, &files, err);
    }
    if (rc == 0) {
        if (files)
            put_paths(files, within ? within : "");
        whole = json_pack("{s:s}", "root_uri", root);
        if (json_array_size(files))
            json_object_set(whole, "files", files);
        json_write(answer, whole, 0);
        json_decref(whole);
    }
    json_decref(files);
    free(within);
    free(path);
    return rc;
}

CALL(list_artifacts)
{
    struct err err = ERR_INIT;
    struct mlflow_run r;
    if (mlflow_find_run(s, fields, &r, e) < 0)
        return -1;
    char *root = root_of(s, r.run, &err);
    const int rc =
        root ? write_list(s, root, mlflow_text(fields, "path"), answer, &err) : -1;
    free(root);
    return rc < 0 ? mlflow_fail_store(e, &err) : 0;
}
