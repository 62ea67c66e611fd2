/* tracker/exchange/push_files.c - what a trial's runs made, to where the server keeps
 * artifacts; of several attempts the last one's of a name. */
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/beneath.h"
#include "lib/str.h"
#include "tracker/exchange/push_parts.h"
#include "tracker/mlflow/artifacts.h"
#include "tracker/mlflow/mlflow_api.h"
#include "tracker/store/store_priv.h"
#include "tracker/store/upkeep.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DEPTH = 8 };

/* "mlflow-artifacts:/1/RUN/artifacts", with a host between or not -> "1/RUN/artifacts". */
static const char *root_of(const char *uri)
{
    static const char scheme[] = "mlflow-artifacts:";
    if (!str_has_prefix(uri, scheme))
        return NULL;
    const char *path = uri + strlen(scheme);
    if (str_has_prefix(path, "//")) {
        path = strchr(path + 2, '/');
        if (!path)
            return NULL;
    }
    return path + strspn(path, "/");
}

static int send_file(struct push *p, const char *place, const char *path, size_t size,
                     struct err *err)
{
    const int rc = push_put_file(p, place, path, size, err);
    p->total->files += rc == 0;
    return rc < 0 ? err_context(err, "'%s': ", path) : 0;
}

/* A file or all files of a folder; links are not followed into. */
static int send_tree(struct push *p, const char *place, const char *path, int depth,
                     struct err *err)
{
    struct stat st;
    if (lstat(path, &st) < 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) ||
        depth > DEPTH)
        return push_left_out(p, "files that are not there, or no files", 1), 0;
    if (S_ISREG(st.st_mode))
        return send_file(p, place, path, (size_t)st.st_size, err);
    DIR *dir = opendir(path);
    int rc = 0;
    push_left_out(p, "folders that cannot be read", dir == NULL);
    for (struct dirent *e; dir && rc == 0 && (e = readdir(dir));) {
        if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
            continue;
        char *name = push_path(e->d_name), *below = fs_join(place, name),
             *file = fs_join(path, e->d_name);
        rc = send_tree(p, below, file, depth + 1, err);
        free(name);
        free(below);
        free(file);
    }
    if (dir)
        closedir(dir);
    return rc;
}

/* "trace" of .../trace.jsonl is "trace.jsonl" there, so that it can be looked at. */
static char *place_of(const char *root, const char *name, const char *path)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.'),
               *base = strrchr(name, '/');
    const bool bare =
        !strchr(base ? base : name, '.') && dot && strlen(dot) <= 8 && !fs_is_dir(path);
    char *own = xasprintf("%s%s", name, bare ? dot : ""), *plain = push_path(own),
         *place = fs_join(root, plain);
    free(own);
    free(plain);
    return place;
}

/* ---- where they are here ---- */

/* A run of this store, whose process wrote its paths where `own`. */
struct source {
    const json_t *run;
    bool own;
    char *placed, *copies; /* beside the store: what clients put, what the store keeps */
};

static int source_open(struct push *p, const json_t *run, struct source *out,
                       struct err *err)
{
    const int64_t id = json_get_int(run, "id", 0);
    char name[MLFLOW_RUN_ID_BYTES];
    int64_t own = 0;
    *out = (struct source){.run = run};
    int rc = store_int(p->store, "SELECT owner_pid <> 0 FROM run WHERE id = ?1",
                       ARGS(A_INT(id)), &own, err);
    if (rc >= 0)
        rc = mlflow_run_id(p->store, id, name, err);
    if (rc < 0)
        return rc;
    char *folder = mlflow_artifact_folder(store_path(p->store));
    out->own = own != 0;
    out->placed = fs_join(folder, name);
    out->copies = store_copies_folder(p->store);
    free(folder);
    return 0;
}

static void source_release(struct source *s)
{
    free(s->placed);
    free(s->copies);
}

/* Newly allocated; NULL: only somebody else says where. */
static char *source_path(const struct source *s, const char *name, const char *said)
{
    const size_t n = strlen(s->copies);
    char *path = beneath_is_path(name) ? fs_join(s->placed, name) : NULL;
    if (path && fs_exists(path))
        return path;
    free(path);
    if (s->own)
        return fs_join(json_get_str(s->run, "run_dir", "."), said);
    return str_has_prefix(said, s->copies) && said[n] == '/' &&
                   beneath_is_path(said + n + 1)
               ? xstrdup(said)
               : NULL;
}

/* ---- all of a run ---- */

static int send_artifact(struct push *p, const char *root, const struct source *s,
                         const json_t *artifact, struct err *err)
{
    const char *name = json_get_str(artifact, "name", "");
    char *path = source_path(s, name, json_get_str(artifact, "path", ""));
    if (!path) {
        push_left_out(p, "artifacts of imported runs", 1);
        return 0;
    }
    char *place = place_of(root, name, path);
    const int rc = send_tree(p, place, path, 0, err);
    free(path);
    free(place);
    return rc;
}

static int send_run(struct push *p, const char *root, const json_t *run, struct err *err)
{
    const json_t *all = json_object_get(run, "artifacts");
    struct source source;
    json_t *artifact;
    size_t i;
    if (!root)
        push_left_out(p, "artifacts, which that server keeps elsewhere",
                      json_array_size(all));
    if (!root || json_array_size(all) == 0)
        return 0;
    int rc = source_open(p, run, &source, err);
    json_array_foreach((json_t *)all, i, artifact)
    {
        if (rc == 0)
            rc = send_artifact(p, root, &source, artifact, err);
    }
    source_release(&source);
    return rc;
}

int push_files(struct push *p, struct push_run *r, const json_t *trial, struct err *err)
{
    const char *root = root_of(r->root);
    json_t *run;
    size_t i;
    int rc = 0;
    json_array_foreach(json_object_get(trial, "runs"), i, run)
    {
        if (rc == 0)
            rc = send_run(p, root, run, err);
    }
    return rc;
}
