/* lib/config/conf.c - see conf.h: files, places and messages; the two readers are in
 * conf_yaml.c and conf_json.c. */
#include "lib/config/conf.h"
#include "lib/config/conf_parts.h"
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int conf_fail(const struct conf *c, size_t line, size_t column, struct err *err,
              const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    char *clean = str_clean(text, strlen(text));
    int rc = !c->name ? err_set(err, ERR_PARSE, "%s", clean)
             : !line  ? err_set(err, ERR_PARSE, "file '%s': %s", c->name, clean)
                      : err_set(err, ERR_PARSE, "file '%s': line %zu, column %zu: %s",
                                c->name, line, column, clean);
    free(clean);
    return rc;
}

void conf_place(struct conf *c, const struct buf *path, size_t line, size_t column)
{
    if (path->len <= CONF_PATH_MAX)
        strmap_put(c->places, buf_str(path), path->len,
                   (int64_t)(line << 32 | (column & UINT32_MAX)));
}

size_t conf_path_key(struct buf *path, const char *key)
{
    size_t before = path->len;
    if (before > 0)
        buf_char(path, '.');
    buf_str_add(path, key);
    return before;
}

size_t conf_path_index(struct buf *path, size_t index)
{
    size_t before = path->len;
    buf_printf(path, "[%zu]", index);
    return before;
}

void conf_path_cut(struct buf *path, size_t len)
{
    path->len = len;
    if (path->data)
        path->data[len] = '\0';
}

static struct conf *conf_new(const char *name)
{
    struct conf *c = xcalloc(1, sizeof *c);
    c->name = name ? str_clean(name, strlen(name)) : NULL;
    c->places = strmap_new();
    return c;
}

void conf_free(struct conf *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->answer_count; i++)
        free(c->answers[i]);
    free(c->answers);
    strmap_free(c->places);
    json_decref(c->root);
    free(c->name);
    free(c);
}

int conf_parse(const char *text, size_t len, const char *name, int is_json,
               struct conf **out, struct err *err)
{
    *out = NULL;
    struct conf *c = conf_new(name);
    int rc = len > CONF_BYTES_MAX ? conf_fail(c, 0, 0, err,
                                              "larger than %zu MiB, the limit for "
                                              "configuration files",
                                              CONF_BYTES_MAX >> 20)
             : is_json            ? conf_read_json(c, text, len, err)
                                  : conf_read_yaml(c, text, len, err);
    if (rc < 0)
        conf_free(c);
    else
        *out = c;
    return rc;
}

int conf_load(const char *path, struct conf **out, struct err *err)
{
    *out = NULL;
    struct buf text = BUF_INIT;
    int rc = fs_read(path, CONF_BYTES_MAX, &text, err);
    if (rc == 0)
        rc = conf_parse(buf_str(&text), text.len, path, str_has_suffix(path, ".json"),
                        out, err);
    buf_release(&text);
    return rc;
}

json_t *conf_root(struct conf *c)
{
    return c->root;
}

const char *conf_name(const struct conf *c)
{
    return c->name ? c->name : "";
}

const char *conf_where(struct conf *c, const char *path)
{
    int64_t place = 0;
    size_t len = strlen(path);
    while (!strmap_get(c->places, path, len, &place) && len > 0) {
        do
            len--;
        while (len > 0 && path[len] != '.' && path[len] != '[');
    }
    char *s = place ? xasprintf("file '%s': line %lld, column %lld", conf_name(c),
                                (long long)(place >> 32), (long long)(place & UINT32_MAX))
                    : xasprintf("file '%s'", conf_name(c));
    c->answers = xgrow(c->answers, &c->answer_cap, c->answer_count + 1, sizeof(char *));
    return c->answers[c->answer_count++] = s;
}

json_t *conf_parse_value(const char *text, struct err *err)
{
    struct conf *c;
    if (conf_parse(text, strlen(text), NULL, 0, &c, err) < 0)
        return NULL;
    json_t *v = json_incref(conf_root(c));
    conf_free(c);
    return v;
}
