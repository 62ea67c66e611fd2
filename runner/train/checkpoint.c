/* runner/train/checkpoint.c - see checkpoint.h. */
#include "runner/train/checkpoint.h"
#include "lib/fs.h"
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "runner/train/trace.h"
#include "runner/trial.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FORMAT 2
#define CHUNK  ((size_t)1 << 20)
#define FOLDER "checkpoints"

void pieces_add(struct pieces *p, const char *name, void *data, size_t bytes,
                bool on_device)
{
    if (!bytes)
        return;
    p->items = xgrow(p->items, &p->cap, p->count + 1, sizeof *p->items);
    struct piece *q = &p->items[p->count++];
    *q = (struct piece){.data = data, .bytes = bytes, .on_device = on_device};
    snprintf(q->name, sizeof q->name, "%s", name);
}

void pieces_release(struct pieces *p)
{
    free(p->items);
    *p = (struct pieces){0};
}

void checkpoint_release(struct checkpoint *c)
{
    json_decref(c->evaluations);
    free(c->run_dir);
    *c = (struct checkpoint){0};
}

/* --- whose it is --- */

/* Names and places of the trainable parameters: equal layouts have equal bytes. */
static void layout_hash(const struct session *s, char out[SHA256_HEX])
{
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < s->net.params.count; i++) {
        const struct param *p = s->net.params.items[i];
        if (p->trainable)
            buf_printf(&b, "%s %d %d %zu\n", p->name, p->rows, p->cols, p->offset);
    }
    sha256_hex(buf_str(&b), b.len, out);
    buf_release(&b);
}

/* Files that went into what a checkpoint holds; test_data does so at the end only. */
static const char *const inputs[] = {"model", "init_adapter", "train_data", "eval_data",
                                     "chat_template"};

/* What must be equal. */
static json_t *identity(const struct session *s, const struct pieces *p)
{
    char key[SHA256_HEX], layout[SHA256_HEX];
    json_t *o = json_object(), *list = json_array();
    trial_key(s->trial.json, key);
    layout_hash(s, layout);
    for (size_t i = 0; i < p->count; i++) {
        json_t *q = json_object();
        json_object_set_new(q, "name", json_string(p->items[i].name));
        json_object_set_new(q, "bytes", json_integer((json_int_t)p->items[i].bytes));
        json_array_append_new(list, q);
    }
    json_object_set_new(o, "format", json_integer(FORMAT));
    json_object_set_new(o, "key", json_string(key));
    json_object_set_new(o, "seed", json_integer((json_int_t)s->course.seed));
    for (size_t i = 0; i < ARRAY_LEN(inputs); i++)
        json_object_set(o, inputs[i], json_object_get(s->hashes, inputs[i]));
    json_object_set_new(o, "layout", json_string(layout));
    json_object_set_new(o, "pieces", list);
    return o;
}

static json_t *backend_text(const struct session *s)
{
    char text[64];
    snprintf(text, sizeof text, "%s %s", s->backend->name, s->backend->variant);
    return json_string(text);
}

/* --- writing --- */

static int write_piece(FILE *f, const struct piece *p, const struct backend *b,
                       char *chunk)
{
    for (size_t at = 0; at < p->bytes; at += CHUNK) {
        const size_t n = p->bytes - at < CHUNK ? p->bytes - at : CHUNK;
        const char *from = (const char *)p->data + at;
        if (p->on_device)
            b->download(b->device, chunk, from, n);
        if (fwrite(p->on_device ? chunk : from, 1, n, f) != n)
            return -1;
    }
    return 0;
}

static int write_state(const char *path, const struct pieces *p, const struct backend *b,
                       struct err *err)
{
    FILE *f = fopen(path, "w");
    char *chunk = xmalloc(CHUNK);
    bool ok = f;
    for (size_t i = 0; i < p->count && ok; i++)
        ok = write_piece(f, &p->items[i], b, chunk) == 0;
    ok = ok && fflush(f) == 0 && fsync(fileno(f)) == 0;
    const int no = errno;
    if (f && fclose(f) != 0)
        ok = false;
    free(chunk);
    return ok ? 0
              : err_set(err, ERR_IO, "cannot write checkpoint '%s': %s", path,
                        strerror(no));
}

static int write_manifest(const char *dir, const char *state, const struct session *s,
                          const struct pieces *p, const struct checkpoint *c,
                          struct err *err)
{
    char hash[SHA256_HEX];
    int rc = sha256_file(state, hash, err);
    if (rc)
        return rc;
    json_t *m = identity(s, p);
    char *path = fs_join(dir, "manifest.json");
    json_object_set_new(m, "backend", backend_text(s));
    json_object_set_new(m, "update", json_integer(c->update));
    json_object_set_new(m, "trace_bytes", json_integer(c->trace_bytes));
    json_object_set(m, "evaluations", c->evaluations);
    json_object_set_new(m, "energy_j", json_number_or_word(c->energy_j));
    json_object_set_new(m, "total_s", json_number_or_word(c->total_s));
    json_object_set_new(m, "reused_tokens", json_integer(c->reused_tokens));
    json_object_set_new(m, "sha256", json_string(hash));
    rc = json_write_file(path, m, 1, err);
    json_decref(m);
    free(path);
    return rc;
}

/* --- the folder --- */

static int newest_first(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? 1 : -(x > y);
}

/* Updates that RUN/checkpoints has folders of, newest first. */
static int64_t *list_updates(const char *folder, size_t *count)
{
    int64_t *list = NULL;
    size_t cap = 0;
    *count = 0;
    DIR *d = opendir(folder);
    for (const struct dirent *e; d && (e = readdir(d));) {
        char *end;
        const long long n = strtoll(e->d_name, &end, 10);
        if (!isdigit((unsigned char)*e->d_name) || *end)
            continue;
        list = xgrow(list, &cap, *count + 1, sizeof *list);
        list[(*count)++] = n;
    }
    if (d)
        closedir(d);
    if (*count)
        qsort(list, *count, sizeof *list, newest_first);
    return list;
}

static char *folder_of(const char *folder, int64_t update)
{
    return xasprintf("%s/%08lld", folder, (long long)update);
}

static void remove_old(const char *folder, int64_t keep)
{
    size_t count;
    int64_t *list = list_updates(folder, &count);
    for (size_t i = (size_t)keep; i < count; i++) {
        char *dir = folder_of(folder, list[i]);
        fs_remove_tree(dir, NULL);
        free(dir);
    }
    free(list);
}

int checkpoint_save(const struct session *s, const struct pieces *p,
                    const struct checkpoint *c, const char *run_dir, int64_t keep,
                    struct err *err)
{
    char *folder = fs_join(run_dir, FOLDER), *fresh = fs_join(folder, "new");
    char *state = fs_join(fresh, "state.bin"), *dir = folder_of(folder, c->update);
    int rc = fs_exists(fresh) ? fs_remove_tree(fresh, err) : 0;
    if (!rc)
        rc = fs_mkdirs(fresh, err);
    if (!rc)
        rc = write_state(state, p, s->backend, err);
    if (!rc)
        rc = write_manifest(fresh, state, s, p, c, err);
    if (!rc) /* in the place of a damaged one, passed over when resuming */
        rc = fs_replace_folder(fresh, dir, err);
    if (!rc)
        remove_old(folder, keep);
    free(folder);
    free(fresh);
    free(state);
    free(dir);
    return rc;
}

int checkpoint_remove_all(const char *run_dir, struct err *err)
{
    char *folder = fs_join(run_dir, FOLDER);
    int rc = fs_exists(folder) ? fs_remove_tree(folder, err) : 0;
    free(folder);
    return rc;
}

/* --- reading --- */

/* Whether the manifest is this trial's. A damaged one counts as ours: it is passed over
 * later. */
static bool is_ours(const json_t *manifest, const json_t *mine, const char **what)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)mine, key, v)
    {
        *what = key;
        if (!json_equal(v, json_object_get(manifest, key)))
            return false;
    }
    return true;
}

static int check_sound(const char *dir, const char *run_dir, const json_t *m,
                       const struct pieces *p, struct checkpoint *c, struct err *err)
{
    char *state = fs_join(dir, "state.bin"), *trace = fs_join(run_dir, "trace.jsonl");
    char hash[SHA256_HEX];
    size_t bytes = 0;
    for (size_t i = 0; i < p->count; i++)
        bytes += p->items[i].bytes;
    *c = (struct checkpoint){.update = json_get_int(m, "update", -1),
                             .trace_bytes = json_get_int(m, "trace_bytes", -1),
                             .energy_j = json_get_num(m, "energy_j", NAN),
                             .total_s = json_get_num(m, "total_s", 0),
                             .reused_tokens = json_get_int(m, "reused_tokens", 0)};
    int rc = 0;
    if (fs_size(state) != (int64_t)bytes)
        rc = err_set(err, ERR_PARSE, "'%s' has %lld bytes instead of %zu", state,
                     (long long)fs_size(state), bytes);
    if (!rc)
        rc = sha256_file(state, hash, err);
    if (!rc && !str_eq(hash, json_get_str(m, "sha256", "")))
        rc = err_set(err, ERR_PARSE, "'%s' does not match its hash", state);
    if (!rc)
        rc = trace_check(trace, c->trace_bytes, c->update, err);
    if (!rc && !json_is_array(json_object_get(m, "evaluations")))
        rc = err_set(err, ERR_PARSE, "its manifest has no list of evaluations");
    free(state);
    free(trace);
    return rc;
}

static int read_state(const char *dir, const struct pieces *p, const struct backend *b,
                      struct err *err)
{
    char *path = fs_join(dir, "state.bin"), *chunk = xmalloc(CHUNK);
    FILE *f = fopen(path, "r");
    bool ok = f;
    for (size_t i = 0; i < p->count && ok; i++) {
        const struct piece *q = &p->items[i];
        for (size_t at = 0; at < q->bytes && ok; at += CHUNK) {
            const size_t n = q->bytes - at < CHUNK ? q->bytes - at : CHUNK;
            ok = fread(chunk, 1, n, f) == n;
            if (ok && q->on_device)
                b->upload(b->device, (char *)q->data + at, chunk, n);
            else if (ok)
                memcpy((char *)q->data + at, chunk, n);
        }
    }
    int rc = ok ? 0 : err_set(err, ERR_IO, "cannot read checkpoint '%s'", path);
    if (f)
        fclose(f);
    free(chunk);
    free(path);
    return rc;
}

/* 1 taken, 0 not usable, negative: refused. */
static int try_one(const struct session *s, const struct pieces *p, const char *run_dir,
                   const char *dir, bool foreign_is_error, struct checkpoint *c,
                   struct err *err)
{
    struct err why = ERR_INIT;
    const char *what = "";
    char *path = fs_join(dir, "manifest.json");
    json_t *m = json_read_file(path, &why), *mine = identity(s, p),
           *backend = backend_text(s);
    int rc = 0;
    if (m && !is_ours(m, mine, &what)) {
        if (foreign_is_error)
            rc = err_set(err, ERR_CONFIG,
                         "'%s' is a checkpoint of another trial (its %s differs): give "
                         "another --out, or remove it",
                         dir, what);
    } else if (m && !check_sound(dir, run_dir, m, p, c, &why)) {
        if (!json_equal(backend, json_object_get(m, "backend")))
            text_print(stderr,
                       "peftlab: checkpoint '%s' was made on %s, this is %s: the numbers "
                       "go on by rounding only\n",
                       dir, json_get_str(m, "backend", "?"), json_string_value(backend));
        rc = read_state(dir, p, s->backend, err);
        c->evaluations = json_incref(json_object_get(m, "evaluations"));
        c->run_dir = xstrdup(run_dir);
        rc = rc ? rc : 1;
    }
    if (why.code)
        text_print(stderr, "peftlab: checkpoint '%s' is passed over: %s\n", dir, why.msg);
    json_decref(m);
    json_decref(mine);
    json_decref(backend);
    free(path);
    return rc;
}

int checkpoint_resume(const struct session *s, const struct pieces *p,
                      const char *run_dir, bool foreign_is_error, struct checkpoint *c,
                      struct err *err)
{
    char *folder = fs_join(run_dir, FOLDER);
    size_t count;
    int64_t *list = list_updates(folder, &count);
    int rc = 0;
    *c = (struct checkpoint){0};
    for (size_t i = 0; i < count && !rc; i++) {
        char *dir = folder_of(folder, list[i]);
        rc = try_one(s, p, run_dir, dir, foreign_is_error, c, err);
        free(dir);
    }
    if (rc != 1)
        checkpoint_release(c);
    free(list);
    free(folder);
    return rc;
}
