/* tracker/mlflow/flat_params.c - see flat_params.h. */
#include "tracker/mlflow/flat_params.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/secret/secret.h"
#include "lib/str.h"
#include "tracker/store/store_priv.h"
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 64 }; /* that of lib/json */

/* A text walked member by member. Its name is put together where it is asked for: those of
 * the objects around stand in `name` already. */
struct walk {
    const char *p;
    const char *key; /* as it is written, with its quotes */
    size_t key_size;
    struct buf name;
    size_t outer[MAX_DEPTH]; /* bytes of `name` that the objects around are */
    int depth;
    const char *raw; /* the member's value as it is written */
    size_t raw_size;
};

static const char *skip_blanks(const char *p)
{
    return p + strspn(p, " \t\r\n");
}

static const char *skip_string(const char *p)
{
    for (p++; *p && *p != '"'; p++)
        p += *p == '\\' && p[1];
    return *p ? p + 1 : p;
}

static const char *skip_value(const char *p)
{
    int depth = 0;
    do {
        if (*p == '"') {
            p = skip_string(p);
        } else if (*p == '{' || *p == '[' || *p == '}' || *p == ']') {
            depth += *p == '{' || *p == '[' ? 1 : -1;
            p++;
        } else if (depth == 0) {
            p += strcspn(p, ",}] \t\r\n");
        } else {
            p += *p ? 1 : 0;
        }
    } while (depth > 0 && *p);
    return p;
}

/* The text of a string that is written at p, `size` bytes with its quotes. */
static void add_string(struct buf *out, const char *p, size_t size)
{
    if (size < 2)
        return;
    if (!memchr(p, '\\', size)) {
        buf_add(out, p + 1, size - 2);
        return;
    }
    json_t *j = json_loadb(p, size, JSON_DECODE_ANY, NULL);
    if (json_is_string(j))
        buf_str_add(out, json_string_value(j));
    json_decref(j);
}

static void cut_name(struct walk *w, size_t n)
{
    w->name.len = n;
    if (w->name.data)
        w->name.data[n] = '\0';
}

/* The key at w->p, and what stands before its value. */
static void read_key(struct walk *w)
{
    const char *end = skip_string(w->p);
    w->key = w->p;
    w->key_size = (size_t)(end - w->p);
    w->p = skip_blanks(end);
    w->p = skip_blanks(w->p + (*w->p == ':'));
}

static const char *name_of(struct walk *w)
{
    cut_name(w, w->outer[w->depth - 1]);
    if (w->name.len > 0)
        buf_char(&w->name, '.');
    add_string(&w->name, w->key, w->key_size);
    return buf_str(&w->name);
}

/* Most names can be compared as they are written. */
static bool is_named(struct walk *w, const char *name, size_t size)
{
    if (w->depth > 1 || memchr(w->key, '\\', w->key_size))
        return str_eq(name_of(w), name);
    return w->key_size == size + 2 && memcmp(w->key + 1, name, size) == 0;
}

static bool next_member(struct walk *w)
{
    for (;;) {
        w->p += strspn(w->p, ", \t\r\n");
        if (*w->p == '}') {
            w->p++;
            if (--w->depth == 0)
                return false;
            continue;
        }
        if (*w->p != '"')
            return false;
        read_key(w);
        if (*w->p == '{' && w->depth < MAX_DEPTH && *skip_blanks(w->p + 1) != '}') {
            name_of(w);
            w->outer[w->depth++] = w->name.len;
            w->p++;
            continue;
        }
        w->raw = w->p;
        w->p = skip_value(w->p);
        w->raw_size = (size_t)(w->p - w->raw);
        return true;
    }
}

static bool begin(struct walk *w, const char *json)
{
    *w = (struct walk){.p = skip_blanks(json), .name = BUF_INIT, .depth = 1};
    if (*w->p != '{')
        return false;
    w->p++;
    return true;
}

/* As it is shown. A secret within a text has some letters around it. */
static void put_value(struct walk *w, struct buf *out)
{
    enum { SHORTEST = 8 };
    const bool text = w->raw_size && *w->raw == '"';
    char *clean = NULL;
    if (text)
        add_string(out, w->raw, w->raw_size);
    else
        buf_add(out, w->raw, w->raw_size);
    const char *hidden = secret_value(name_of(w), buf_str(out)) ? SECRET_SHOWN : NULL;
    if (!hidden && out->len >= SHORTEST && (text || strchr("[{", *w->raw)))
        hidden = clean =
            text ? secret_text(buf_str(out)) : secret_json_text(buf_str(out));
    if (hidden) {
        buf_clear(out);
        buf_str_add(out, hidden);
    }
    free(clean);
}

void flat_params_each(const char *json, flat_params_told *told, void *ctx)
{
    struct walk w;
    struct buf value = BUF_INIT;
    bool more = begin(&w, json);
    while (more && next_member(&w)) {
        buf_clear(&value);
        put_value(&w, &value);
        more = told(ctx, buf_str(&w.name), buf_str(&value));
    }
    buf_release(&value);
    buf_release(&w.name);
}

bool flat_params_find(const char *json, const char *name, struct buf *value)
{
    const size_t size = strlen(name);
    struct walk w;
    bool found = false;
    if (begin(&w, json))
        while (!found && next_member(&w))
            found = is_named(&w, name, size);
    if (found)
        put_value(&w, value);
    buf_release(&w.name);
    return found;
}

/* flat_param(params_json, name): text or NULL. */
static void sql_function(sqlite3_context *ctx, int count, sqlite3_value **args)
{
    const char *json = (const char *)sqlite3_value_text(args[0]),
               *name = (const char *)sqlite3_value_text(args[1]);
    struct buf value = BUF_INIT;
    (void)count;
    if (json && name && flat_params_find(json, name, &value))
        sqlite3_result_text(ctx, buf_str(&value), (int)value.len, SQLITE_TRANSIENT);
    buf_release(&value);
}

int flat_params_register(struct store *s, struct err *err)
{
    /* Doing it again would make all statements of the connection be prepared anew. */
    static const char probe[] = "SELECT flat_param('{}', '')";
    sqlite3_stmt *stmt = NULL;
    bool known = sqlite3_prepare_v2(s->db, probe, -1, &stmt, NULL) == SQLITE_OK;
    sqlite3_finalize(stmt);
    if (known)
        return 0;
    int rc = sqlite3_create_function_v2(
        s->db, "flat_param", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY,
        NULL, sql_function, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 1 : store_sql_error(s, rc, "add a function", err);
}
