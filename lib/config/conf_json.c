/* lib/config/conf_json.c - JSON configuration files: jansson reads and judges, a second
 * walk over the text, now known to be valid, finds the places. */
#include "lib/config/conf_parts.h"
#include "lib/json.h"
#include "lib/mem.h"
#include <stdlib.h>
#include <string.h>

struct walker {
    struct conf *conf;
    const char *at, *end, *line_start;
    size_t line, nodes;
    struct buf path;
};

static char peek(struct walker *w)
{
    for (; w->at < w->end && strchr(" \t\r\n", *w->at); w->at++)
        if (*w->at == '\n') {
            w->line++;
            w->line_start = w->at + 1;
        }
    return w->at < w->end ? *w->at : '\0';
}

/* Past a string; *key gets a new copy of its text, read by jansson for the escapes. */
static void walk_string(struct walker *w, char **key)
{
    const char *start = w->at++;
    while (w->at < w->end && *w->at != '"')
        w->at += *w->at == '\\' && w->at + 1 < w->end ? 2 : 1;
    w->at += w->at < w->end;
    if (!key)
        return;
    json_t *s = json_loadb(start, (size_t)(w->at - start), JSON_DECODE_ANY, NULL);
    *key = xstrdup(json_is_string(s) ? json_string_value(s) : "");
    json_decref(s);
}

static void walk_value(struct walker *w);

static void walk_object(struct walker *w)
{
    w->at++;
    while (peek(w) == '"') {
        char *key;
        walk_string(w, &key);
        w->at += peek(w) == ':';
        size_t cut = conf_path_key(&w->path, key);
        walk_value(w);
        conf_path_cut(&w->path, cut);
        free(key);
        w->at += peek(w) == ',';
    }
    w->at += w->at < w->end;
}

static void walk_array(struct walker *w)
{
    w->at++;
    for (size_t i = 0; peek(w) != ']' && w->at < w->end; i++) {
        size_t cut = conf_path_index(&w->path, i);
        walk_value(w);
        conf_path_cut(&w->path, cut);
        w->at += peek(w) == ',';
    }
    w->at += w->at < w->end;
}

static void walk_value(struct walker *w)
{
    char c = peek(w);
    w->nodes++;
    conf_place(w->conf, &w->path, w->line, (size_t)(w->at - w->line_start) + 1);
    if (c == '{')
        walk_object(w);
    else if (c == '[')
        walk_array(w);
    else if (c == '"')
        walk_string(w, NULL);
    else
        while (w->at < w->end && !strchr(",]} \t\r\n", *w->at))
            w->at++;
}

/* Levels of brackets outside strings, counted before anything recurses over the text. */
static int depth_of(const char *p, const char *end)
{
    int depth = 0, most = 0;
    bool quoted = false;
    for (; p < end; p++) {
        if (quoted && *p == '\\')
            p++;
        else if (*p == '"')
            quoted = !quoted;
        else if (!quoted && (*p == '{' || *p == '['))
            most = ++depth > most ? depth : most;
        else if (!quoted && (*p == '}' || *p == ']'))
            depth--;
    }
    return most;
}

int conf_read_json(struct conf *c, const char *text, size_t len, struct err *err)
{
    if (depth_of(text, text + len) > CONF_DEPTH_MAX)
        return conf_fail(c, 0, 0, err, "nested deeper than %d levels", CONF_DEPTH_MAX);
    char *label = xasprintf("file '%s'", conf_name(c));
    c->root = json_parse(text, len, label, err);
    free(label);
    if (!c->root)
        return -ERR_PARSE;
    struct walker w = {.conf = c, .at = text, .end = text + len, .line_start = text};
    w.line = 1;
    buf_init(&w.path, CONF_BYTES_MAX);
    walk_value(&w);
    buf_release(&w.path);
    if (w.nodes > CONF_NODES_MAX)
        return conf_fail(c, 0, 0, err, "more than %d values", CONF_NODES_MAX);
    return 0;
}
