/* runner/run_folder.c - see run_folder.h. */
#include "runner/run_folder.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/nn/adapter_files/trial_of.h"
#include "runner/result.h"
#include "runner/trial.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

static json_t *old_result(const char *dir)
{
    char *path = fs_join(dir, "result.json");
    json_t *r = fs_exists(path) ? json_read_file(path, NULL) : NULL;
    free(path);
    return r;
}

static bool holds(const char *dir, const char *name)
{
    char *path = fs_join(dir, name);
    const bool there = fs_exists(path);
    free(path);
    return there;
}

/* What tells the finished training from this one; NULL: nothing. */
static const char *difference(const json_t *old, const json_t *resolved,
                              const struct session *s)
{
    static const char *const hashes[] = {"model", "train_data", "chat_template",
                                         "init_adapter"};
    const json_t *theirs = json_object_get(old, "trial"),
                 *had = json_object_get(json_object_get(old, "environment"), "sha256");
    char then[65], now[65];
    trial_key(theirs, then);
    trial_key(resolved, now);
    if (!str_eq(then, now))
        return "configuration";
    if (json_get_int(theirs, "seed", 0) != (int64_t)s->trial.seed)
        return "seed";
    const char *what = NULL;
    for (size_t i = 0; i < sizeof hashes / sizeof *hashes && !what; i++) {
        const json_t *a = json_object_get(had, hashes[i]);
        if (a && !json_equal((json_t *)a, json_object_get(s->hashes, hashes[i])))
            what = hashes[i];
    }
    return what;
}

int run_folder_check(const char *dir, const json_t *resolved, const struct session *s,
                     struct err *err)
{
    json_t *old = old_result(dir);
    const char *what =
        json_object_get(old, "train") ? difference(old, resolved, s) : NULL;
    const bool foreign = !old && holds(dir, "adapter") && !holds(dir, "trace.jsonl");
    json_decref(old);
    if (what)
        return err_set(err, ERR_CONFIG,
                       "'%s' holds the finished training of another trial (its %s "
                       "differs): give another --out, or --overwrite to replace it",
                       dir, what);
    if (foreign)
        return err_set(
            err, ERR_CONFIG,
            "'%s' holds an adapter folder that no training here has left: give "
            "another --out, or --overwrite to replace it",
            dir);
    return 0;
}

int run_folder_check_evaluation(const char *dir, struct err *err)
{
    json_t *old = old_result(dir);
    const bool training = json_object_get(old, "train");
    json_decref(old);
    return training ? err_set(err, ERR_CONFIG,
                              "'%s' holds the results of a training, which an evaluation "
                              "would replace: give another --out",
                              dir)
                    : 0;
}

/* What stands in the way of replacing the folder; NULL: nothing. Allocated. */
static char *in_the_way(const char *dir, folder_file_fn *known)
{
    DIR *d = opendir(dir);
    const struct dirent *e;
    char *found = NULL;
    while (d && !found && (e = readdir(d))) {
        char *path = fs_join(dir, e->d_name);
        const bool own = !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
                         (known && known(e->d_name) && !fs_is_dir(path));
        if (!own)
            found = xstrdup(e->d_name);
        free(path);
    }
    if (d)
        closedir(d);
    return found;
}

int run_folder_check_replaced(const char *dir, folder_file_fn *known, bool overwrite,
                              struct err *err)
{
    char *found = in_the_way(dir, overwrite ? known : NULL);
    int rc = 0;
    if (found && overwrite)
        rc = err_set(err, ERR_CONFIG,
                     "'%s' would be replaced as a whole, and holds '%s', which is not of "
                     "what is written there: give another --out, or take it away",
                     dir, found);
    else if (found)
        rc = err_set(err, ERR_CONFIG,
                     "'%s' is not empty: give another --out, or --overwrite to replace "
                     "the model in it",
                     dir);
    free(found);
    return rc;
}

char *run_folder_adapter(const char *dir)
{
    char *inner = fs_join(dir, "adapter");
    const bool itself = adapter_is_folder(dir),
               inside = !itself && adapter_is_folder(inner);
    if (!inside)
        free(inner);
    return itself ? xstrdup(dir) : inside ? inner : NULL;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

int run_folder_adapters(const char *dir, run_folder_take *take, void *ctx,
                        struct err *err)
{
    struct dirent **names;
    size_t found = 0;
    int rc = 0;
    const int n = scandir(dir, &names, NULL, by_name);
    if (n < 0)
        return err_set(err, ERR_NOINPUT, "adapters: no folder '%s'", dir);
    for (int i = 0; i < n; i++) {
        char *path = fs_join(dir, names[i]->d_name);
        char *adapter =
            names[i]->d_name[0] == '.' || rc ? NULL : run_folder_adapter(path);
        if (adapter) {
            found++;
            rc = take(ctx, names[i]->d_name, adapter, err);
        }
        free(adapter);
        free(path);
        free(names[i]);
    }
    free(names);
    return rc || found ? rc : err_set(err, ERR_NOINPUT, "adapters: none in '%s'", dir);
}
