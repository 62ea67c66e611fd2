/* runner/hub/pull/hub.c - the hub's list of files, names and digests; see hub.h. */
#include "runner/hub/pull/hub.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_FILES = 100000, MAX_PATH = 1024, MAX_ID = 200 };

/* --- names --- */

bool hub_path_ok(const char *path)
{
    size_t len = strlen(path);
    if (len == 0 || len > MAX_PATH || str_has_suffix(path, HUB_PART) ||
        str_eq(path, HUB_RECORD))
        return false;
    for (const unsigned char *c = (const unsigned char *)path; *c; c++)
        if (*c < 0x20 || *c == 0x7f || *c == '\\')
            return false;
    for (const char *part = path;; part++) {
        size_t n = strcspn(part, "/");
        if (n == 0 || n > 255 || (n == 1 && part[0] == '.') ||
            (n == 2 && part[0] == '.' && part[1] == '.') ||
            (n == 4 && !strncasecmp(part, ".git", 4)))
            return false;
        part += n;
        if (!*part)
            return true;
    }
}

bool hub_id_ok(const char *id)
{
    size_t slashes = 0, len = strlen(id);
    if (len == 0 || len > MAX_ID || strstr(id, "..") || id[0] == '/' ||
        id[len - 1] == '/' || !hub_path_ok(id))
        return false;
    for (const char *c = id; *c; c++) {
        slashes += *c == '/';
        if (!isalnum((unsigned char)*c) && !strchr("-._/", *c))
            return false;
    }
    return slashes <= 1;
}

static bool is_hex(const char *s, size_t n)
{
    return strlen(s) == n && strspn(s, "0123456789abcdef") == n;
}

/* --- the list --- */

static int read_file(const json_t *row, const char *name, struct hub_file *f,
                     struct err *err)
{
    const char *path = json_get_str(row, "rfilename", "");
    const json_t *lfs = json_object_get(row, "lfs");
    const char *sha256 = json_get_str(lfs, "sha256", json_get_str(lfs, "oid", "")),
               *blob = json_get_str(row, "blobId", "");
    if (!hub_path_ok(path)) {
        char *clean = str_clean(path, strlen(path));
        int rc = err_set(err, ERR_PARSE,
                         "%s: the file name '%.200s' is not written: it could leave the "
                         "folder",
                         name, clean);
        free(clean);
        return rc;
    }
    f->size = json_get_int(lfs, "size", json_get_int(row, "size", -1));
    if (f->size < -1)
        return err_set(err, ERR_PARSE, "%s: '%s' has a negative size", name, path);
    if (is_hex(sha256, 64))
        snprintf(f->digest, sizeof f->digest, "%s", sha256);
    else if (!lfs && is_hex(blob, 40))
        snprintf(f->digest, sizeof f->digest, "%s", blob);
    f->path = xstrdup(path);
    return 0;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct hub_file *)a)->path, ((const struct hub_file *)b)->path);
}

/* No file twice, and none that is also a folder of another. */
static int check_paths(struct hub_list *l, const char *name, struct err *err)
{
    int rc = 0;
    int64_t known;
    struct strmap *files = strmap_new();
    for (size_t i = 0; i < l->count && !rc; i++) {
        const char *path = l->files[i].path;
        if (strmap_get(files, path, strlen(path), &known))
            rc = err_set(err, ERR_PARSE, "%s: '%s' is there twice", name, path);
        strmap_put(files, path, strlen(path), 1);
    }
    for (size_t i = 0; i < l->count && !rc; i++)
        for (const char *path = l->files[i].path, *at = path;
             !rc && (at = strchr(at, '/')); at++)
            if (strmap_get(files, path, (size_t)(at - path), &known))
                rc = err_set(err, ERR_PARSE, "%s: '%.*s' is there twice, file and folder",
                             name, (int)(at - path), path);
    strmap_free(files);
    if (l->count)
        qsort(l->files, l->count, sizeof *l->files, by_path);
    return rc;
}

int hub_list_parse(const char *text, size_t len, const char *name, struct hub_list *out,
                   struct err *err)
{
    json_t *row, *root = json_parse(text, len, name, err);
    size_t i;
    int rc = root ? 0 : err_code(err);
    *out = (struct hub_list){0};
    const json_t *rows = json_object_get(root, "siblings");
    const char *sha = json_get_str(root, "sha", "");
    if (!rc && (!json_is_array(rows) || json_array_size(rows) > MAX_FILES))
        rc = err_set(err, ERR_PARSE, "%s: no list of files (siblings); is it a hub?",
                     name);
    if (!rc && *sha && !is_hex(sha, 40))
        rc = err_set(err, ERR_PARSE, "%s: 'sha' is no commit", name);
    if (!rc) {
        out->commit = *sha ? xstrdup(sha) : NULL;
        out->files = xcalloc(json_array_size(rows) + 1, sizeof *out->files);
        json_array_foreach((json_t *)rows, i, row)
        {
            if (!rc && !(rc = read_file(row, name, &out->files[out->count], err)))
                out->count++;
        }
    }
    rc = rc ? rc : check_paths(out, name, err);
    json_decref(root);
    if (rc)
        hub_list_release(out);
    return rc;
}

void hub_list_release(struct hub_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->files[i].path);
    free(l->files);
    free(l->commit);
    *l = (struct hub_list){0};
}

const char *const hub_model_patterns[] = {
    "*.json", "*.safetensors", "*.txt", "*.model", "*.jinja", "*.md", "LICENSE*"};
const size_t hub_model_pattern_count = ARRAY_LEN(hub_model_patterns);

int64_t hub_list_keep(struct hub_list *l, const char *const *patterns, size_t count,
                      bool top)
{
    int64_t left_out = 0;
    size_t kept = 0;
    for (size_t i = 0; i < l->count; i++) {
        bool keep = false;
        for (size_t k = 0; k < count && !keep; k++)
            keep = fnmatch(patterns[k], l->files[i].path, top ? FNM_PATHNAME : 0) == 0;
        if (keep) {
            l->files[kept++] = l->files[i];
            continue;
        }
        left_out += l->files[i].size > 0 ? l->files[i].size : 0;
        free(l->files[i].path);
    }
    l->count = kept;
    return left_out;
}

/* --- digests --- */

int hub_check(const char *file, const struct hub_file *f, struct err *err)
{
    char digest[SHA256_HEX];
    int64_t size = fs_size(file);
    if (f->size >= 0 && size != f->size)
        return err_set(err, ERR_PARSE, "'%s' has %lld bytes, the hub says %lld", f->path,
                       (long long)size, (long long)f->size);
    if (!f->digest[0])
        return 0;
    const bool blob = strlen(f->digest) == 40;
    int rc = blob ? git_blob_file(file, digest, err) : sha256_file(file, digest, err);
    if (!rc && strcmp(digest, f->digest) != 0)
        rc = err_set(err, ERR_PARSE, "'%s' has the %s %.12s..., the hub says %.12s...",
                     f->path, blob ? "SHA-1" : "SHA-256", digest, f->digest);
    return rc;
}
