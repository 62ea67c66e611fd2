/* tracker/exchange/push_files.c - what a trial's runs made, to where the server keeps
 * artifacts; of several attempts the last one's of a name. */
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/exchange/push_parts.h"
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

static int send_artifact(struct push *p, const char *root, const json_t *run,
                         const json_t *artifact, struct err *err)
{
    const char *name = json_get_str(artifact, "name", ""),
               *said = json_get_str(artifact, "path", "");
    char *path = fs_join(json_get_str(run, "run_dir", "."), said),
         *place = place_of(root, name, path);
    const int rc = send_tree(p, place, path, 0, err);
    free(path);
    free(place);
    return rc;
}

int push_files(struct push *p, struct push_run *r, const json_t *trial, struct err *err)
{
    const char *root = root_of(r->root);
    json_t *run, *artifact;
    size_t i, k;
    int rc = 0;
    json_array_foreach(json_object_get(trial, "runs"), i, run)
    {
        const json_t *all = json_object_get(run, "artifacts");
        if (!root)
            push_left_out(p, "artifacts, which that server keeps elsewhere",
                          json_array_size(all));
        json_array_foreach((json_t *)all, k, artifact)
        {
            if (rc == 0 && root)
                rc = send_artifact(p, root, run, artifact, err);
        }
    }
    return rc;
}
