/* runner/fingerprint.c - see fingerprint.h. */
#include "runner/fingerprint.h"
#include "lib/buf.h"
#include "lib/fs.h"
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "runner/hub/hf_model.h"
#include "runner/session.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER_FILES_MAX 1000

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of its regular files, sorted; hidden ones left out. */
static size_t list_files(const char *dir, char **names)
{
    size_t n = 0;
    DIR *d = opendir(dir);
    for (const struct dirent *e; d && n < FOLDER_FILES_MAX && (e = readdir(d));) {
        char *path = fs_join(dir, e->d_name);
        if (e->d_name[0] != '.' && !fs_is_dir(path))
            names[n++] = xstrdup(e->d_name);
        free(path);
    }
    if (d)
        closedir(d);
    qsort(names, n, sizeof *names, by_name);
    return n;
}

int fingerprint_folder(const char *dir, char hex[65], struct err *err)
{
    char **names = xcalloc(FOLDER_FILES_MAX, sizeof *names), of_file[SHA256_HEX];
    struct buf b = BUF_INIT;
    int rc = 0;
    const size_t n = list_files(dir, names);
    for (size_t i = 0; i < n; i++) {
        char *path = fs_join(dir, names[i]);
        if (!rc && !(rc = sha256_file(path, of_file, err)))
            buf_printf(&b, "%s %s\n", names[i], of_file);
        free(path);
        free(names[i]);
    }
    if (!rc)
        sha256_hex(buf_str(&b), b.len, hex);
    buf_release(&b);
    free(names);
    return rc;
}

static int of_model(const char *path, const char *name, char hex[65], struct err *err)
{
    struct hf_model *m;
    int rc = hf_model_open(fs_exists(path) ? path : name, &m, err);
    if (!rc)
        rc = hf_model_fingerprint(m, hex, err);
    if (!rc)
        hf_model_close(m);
    return rc;
}

static int of_file(const char *path, const char *name, char hex[65], struct err *err)
{
    (void)name;
    return sha256_file(path, hex, err);
}

static int of_folder(const char *path, const char *name, char hex[65], struct err *err)
{
    (void)name;
    return fingerprint_folder(path, hex, err);
}

static const struct {
    const char *key;
    int (*take)(const char *path, const char *name, char hex[65], struct err *err);
} inputs[] = {{"model", of_model},        {"train_data", of_file},
              {"eval_data", of_file},     {"test_data", of_file},
              {"general_data", of_file},  {"chat_template", of_file},
              {"init_adapter", of_folder}};

int fingerprint_trial(const json_t *resolved, const char *base_dir, json_t **out,
                      struct err *err)
{
    int rc = 0;
    *out = json_object();
    for (size_t i = 0; i < ARRAY_LEN(inputs) && !rc; i++) {
        const char *name = json_get_str(resolved, inputs[i].key, NULL);
        struct err why = ERR_INIT;
        char hex[SHA256_HEX];
        char *path = name ? fs_join(base_dir, name) : NULL;
        rc = path ? inputs[i].take(path, name, hex, &why) : 0;
        if (path && !rc)
            json_object_set_new(*out, inputs[i].key, json_string(hex));
        if (rc == -ERR_NOINPUT)
            rc = 0;
        else if (rc)
            err_set(err, why.code, "%s", why.msg);
        free(path);
    }
    if (rc) {
        json_decref(*out);
        *out = NULL;
    }
    return rc;
}

json_t *fingerprint_session(const struct session *s)
{
    static const char *const names[SPLIT_COUNT] = {"train_data", "eval_data", "test_data",
                                                   "general_data"};
    json_t *o = json_object();
    char hash[65];
    if (hf_model_fingerprint(s->hf, hash, NULL) == 0)
        json_object_set_new(o, "model", json_string(hash));
    for (int i = 0; i < SPLIT_COUNT; i++)
        if (s->data[i])
            json_object_set_new(o, names[i], json_string(s->data[i]->sha256));
    if (s->language.template_file && !sha256_file(s->language.template_file, hash, NULL))
        json_object_set_new(o, "chat_template", json_string(hash));
    char *init =
        s->trial.init_adapter ? fs_join(s->base_dir, s->trial.init_adapter) : NULL;
    if (init && fingerprint_folder(init, hash, NULL) == 0)
        json_object_set_new(o, "init_adapter", json_string(hash));
    free(init);
    return o;
}
