/* lib/config/conf_yaml.c - YAML events of libyaml into a json_t tree, one pass, with
 * limits.
 *
 * Recursion follows the nesting of the file, at most CONF_DEPTH_MAX deep. Every function
 * that reads a node returns a new reference, or NULL with the message set. */
#include "lib/config/conf_parts.h"
#include "lib/mem.h"
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct reader {
    struct conf *conf;
    yaml_parser_t parser;
    struct err *err;
    const char *text;
    size_t len;
    size_t nodes, alias_nodes;
    struct buf path;
    json_t *anchors; /* name -> value, copied at each alias */
};

static int fail_at(struct reader *r, const yaml_mark_t *m, const char *what)
{
    return conf_fail(r->conf, m->line + 1, m->column + 1, r->err, "%s", what);
}

/* True when the indentation of the line holds a tab, which libyaml reports as "cannot
 * start any token". */
static bool tab_indents(const struct reader *r, size_t line)
{
    const char *p = r->text, *end = r->text + r->len;
    while (p < end && line > 0)
        line -= *p++ == '\n';
    while (p < end && *p == ' ')
        p++;
    return p < end && *p == '\t';
}

/* libyaml's reader knows the offset of a bad byte, not its line. */
static int byte_failed(struct reader *r, const char *problem, size_t offset)
{
    size_t line = 1, start = 0;
    for (size_t i = 0; i < offset && i < r->len; i++)
        if (r->text[i] == '\n') {
            line++;
            start = i + 1;
        }
    return conf_fail(r->conf, line, offset - start + 1, r->err,
                     "%s (the file must be UTF-8)", problem);
}

static int parser_failed(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    const char *problem = p->problem ? p->problem : "cannot be read";
    if (p->error == YAML_MEMORY_ERROR)
        return err_set(r->err, ERR_NOMEM, "out of memory while reading a configuration");
    if (p->error == YAML_READER_ERROR)
        return byte_failed(r, problem, p->problem_offset);
    if (p->error == YAML_SCANNER_ERROR && tab_indents(r, p->problem_mark.line))
        return fail_at(r, &p->problem_mark, "a tab cannot indent in YAML (use spaces)");
    if (p->context)
        return conf_fail(r->conf, p->problem_mark.line + 1, p->problem_mark.column + 1,
                         r->err, "%s, %s", problem, p->context);
    return fail_at(r, &p->problem_mark, problem);
}

static int next_event(struct reader *r, yaml_event_t *event)
{
    return yaml_parser_parse(&r->parser, event) ? 0 : parser_failed(r);
}

static json_t *read_plain(struct reader *r, const yaml_mark_t *m, const char *s,
                          size_t len)
{
    json_t *v = conf_plain_scalar(s, len);
    if (!v)
        conf_fail(r->conf, m->line + 1, m->column + 1, r->err,
                  "number '%.40s' is out of range (put it in quotes if it is text)", s);
    return v;
}

static json_t *read_scalar(struct reader *r, const yaml_event_t *e)
{
    const char *s = (const char *)e->data.scalar.value;
    size_t len = e->data.scalar.length;
    json_t *v = NULL;
    if (memchr(s, '\0', len))
        fail_at(r, &e->start_mark, "text with a NUL character");
    else if (e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        return read_plain(r, &e->start_mark, s, len);
    else if (!(v = json_stringn(s, len)))
        fail_at(r, &e->start_mark, "text that is not valid UTF-8");
    return v;
}

/* ---- Nodes ---- */

static json_t *read_node(struct reader *r, yaml_event_t *e, int depth);

/* The next event as a node; `e` is released. *end is set when `ending` came instead. */
static json_t *read_next(struct reader *r, yaml_event_type_t ending, int depth, bool *end)
{
    yaml_event_t e;
    *end = false;
    if (next_event(r, &e) < 0)
        return NULL;
    *end = e.type == ending;
    json_t *v = *end ? NULL : read_node(r, &e, depth);
    yaml_event_delete(&e);
    return v;
}

static json_t *read_sequence(struct reader *r, int depth)
{
    json_t *list = json_array();
    for (;;) {
        bool end;
        size_t cut = conf_path_index(&r->path, json_array_size(list));
        json_t *v = read_next(r, YAML_SEQUENCE_END_EVENT, depth + 1, &end);
        conf_path_cut(&r->path, cut);
        if (end)
            return list;
        if (!v || json_array_append_new(list, v) < 0) {
            json_decref(list);
            return NULL;
        }
    }
}

static int check_key(struct reader *r, const json_t *object, const yaml_event_t *e)
{
    const yaml_mark_t *m = &e->start_mark;
    if (e->type != YAML_SCALAR_EVENT)
        return fail_at(r, m, "a key must be plain text");
    const char *key = (const char *)e->data.scalar.value;
    bool plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (e->data.scalar.tag)
        return fail_at(r, m, "tags are not supported");
    if (e->data.scalar.anchor)
        return fail_at(r, m, "anchors on keys are not supported");
    if (strlen(key) != e->data.scalar.length)
        return fail_at(r, m, "a key with a NUL character");
    if (plain && !*key)
        return fail_at(r, m, "a key is missing before ':'");
    if (plain && !strcmp(key, "<<"))
        return fail_at(r, m, "merge keys '<<' are not supported (write the values out)");
    if (json_object_get(object, key))
        return conf_fail(r->conf, m->line + 1, m->column + 1, r->err,
                         "key '%.80s' stands here twice", key);
    return 0;
}

/* One entry; false at the end of the mapping or on an error (*rc). */
static bool read_entry(struct reader *r, json_t *object, int depth, int *rc)
{
    yaml_event_t e;
    if ((*rc = next_event(r, &e)) < 0)
        return false;
    bool more = e.type != YAML_MAPPING_END_EVENT;
    if (more && (*rc = check_key(r, object, &e)) == 0) {
        const char *key = (const char *)e.data.scalar.value;
        size_t cut = conf_path_key(&r->path, key);
        bool end;
        json_t *v = read_next(r, YAML_NO_EVENT, depth + 1, &end);
        if (json_is_object(v) || json_is_array(v)) /* a block begins below its key */
            conf_place(r->conf, &r->path, e.start_mark.line + 1, e.start_mark.column + 1);
        conf_path_cut(&r->path, cut);
        if (!v)
            *rc = -ERR_PARSE;
        else if (json_object_set_new(object, key, v) < 0)
            *rc = fail_at(r, &e.start_mark, "a key that is not valid UTF-8");
    }
    yaml_event_delete(&e);
    return more && *rc == 0;
}

static json_t *read_mapping(struct reader *r, int depth)
{
    json_t *object = json_object();
    int rc;
    while (read_entry(r, object, depth, &rc))
        ;
    if (rc == 0)
        return object;
    json_decref(object);
    return NULL;
}

static size_t count_nodes(const json_t *v)
{
    size_t n = 1;
    for (size_t i = 0; json_is_array(v) && i < json_array_size(v); i++)
        n += count_nodes(json_array_get(v, i));
    for (void *it = json_is_object(v) ? json_object_iter((json_t *)v) : NULL; it;
         it = json_object_iter_next((json_t *)v, it))
        n += count_nodes(json_object_iter_value(it));
    return n;
}

static int height(const json_t *v)
{
    int most = 0;
    for (size_t i = 0; json_is_array(v) && i < json_array_size(v); i++) {
        int h = height(json_array_get(v, i));
        most = h > most ? h : most;
    }
    for (void *it = json_is_object(v) ? json_object_iter((json_t *)v) : NULL; it;
         it = json_object_iter_next((json_t *)v, it)) {
        int h = height(json_object_iter_value(it));
        most = h > most ? h : most;
    }
    return json_is_array(v) || json_is_object(v) ? most + 1 : 0;
}

/* An anchor becomes known only after its node is complete, so no value holds itself. */
static json_t *read_alias(struct reader *r, const yaml_event_t *e, int depth)
{
    const char *name = (const char *)e->data.alias.anchor;
    const json_t *v = json_object_get(r->anchors, name);
    if (!v) {
        conf_fail(r->conf, e->start_mark.line + 1, e->start_mark.column + 1, r->err,
                  "alias '*%.40s' names nothing above it", name);
        return NULL;
    }
    r->alias_nodes += count_nodes(v);
    if (r->alias_nodes > CONF_ALIAS_NODES_MAX)
        fail_at(r, &e->start_mark, "aliases expand to more than 10000 values");
    else if (depth + height(v) > CONF_DEPTH_MAX)
        fail_at(r, &e->start_mark, "nested deeper than 32 levels");
    else
        return json_deep_copy(v);
    return NULL;
}

static const char *anchor_of(const yaml_event_t *e)
{
    const yaml_char_t *a =
        e->type == YAML_SCALAR_EVENT           ? e->data.scalar.anchor
        : e->type == YAML_SEQUENCE_START_EVENT ? e->data.sequence_start.anchor
        : e->type == YAML_MAPPING_START_EVENT  ? e->data.mapping_start.anchor
                                               : NULL;
    return (const char *)a;
}

static bool has_tag(const yaml_event_t *e)
{
    return (e->type == YAML_SCALAR_EVENT && e->data.scalar.tag) ||
           (e->type == YAML_SEQUENCE_START_EVENT && e->data.sequence_start.tag) ||
           (e->type == YAML_MAPPING_START_EVENT && e->data.mapping_start.tag);
}

/* `depth` counts the collections around this node. */
static json_t *read_node(struct reader *r, yaml_event_t *e, int depth)
{
    const yaml_mark_t *m = &e->start_mark;
    bool collection =
        e->type == YAML_SEQUENCE_START_EVENT || e->type == YAML_MAPPING_START_EVENT;
    const char *problem = ++r->nodes > CONF_NODES_MAX ? "more than 100000 values"
                          : collection && depth >= CONF_DEPTH_MAX
                              ? "nested deeper than 32 levels"
                          : has_tag(e) ? "tags are not supported"
                                       : NULL;
    if (problem) {
        fail_at(r, m, problem);
        return NULL;
    }
    conf_place(r->conf, &r->path, m->line + 1, m->column + 1);
    json_t *v = e->type == YAML_ALIAS_EVENT            ? read_alias(r, e, depth)
                : e->type == YAML_SCALAR_EVENT         ? read_scalar(r, e)
                : e->type == YAML_SEQUENCE_START_EVENT ? read_sequence(r, depth)
                                                       : read_mapping(r, depth);
    if (v && anchor_of(e))
        json_object_set(r->anchors, anchor_of(e), v);
    return v;
}

/* STREAM-START [DOCUMENT-START node DOCUMENT-END] STREAM-END */
static int read_stream(struct reader *r)
{
    yaml_event_t e;
    int rc;
    while ((rc = next_event(r, &e)) == 0) {
        yaml_event_type_t type = e.type;
        if (type == YAML_DOCUMENT_START_EVENT && r->conf->root) {
            rc = fail_at(r, &e.start_mark, "more than one document ('---') in a file");
        } else if (type != YAML_STREAM_START_EVENT && type != YAML_STREAM_END_EVENT &&
                   type != YAML_DOCUMENT_START_EVENT && type != YAML_DOCUMENT_END_EVENT) {
            r->conf->root = read_node(r, &e, 0);
            rc = r->conf->root ? 0 : -ERR_PARSE;
        }
        yaml_event_delete(&e);
        if (rc < 0 || type == YAML_STREAM_END_EVENT)
            break;
    }
    if (rc == 0 && !r->conf->root) {
        r->conf->root = json_null();
        conf_place(r->conf, &r->path, 1, 1);
    }
    return rc;
}

int conf_read_yaml(struct conf *c, const char *text, size_t len, struct err *err)
{
    struct err own = ERR_INIT;
    struct reader r = {.conf = c, .err = &own, .text = text, .len = len};
    buf_init(&r.path, CONF_BYTES_MAX);
    if (!yaml_parser_initialize(&r.parser))
        return err_set(err, ERR_NOMEM, "out of memory while reading a configuration");
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
    r.anchors = json_object();
    int rc = read_stream(&r);
    json_decref(r.anchors);
    buf_release(&r.path);
    yaml_parser_delete(&r.parser);
    if (rc < 0)
        rc = own.code ? err_set(err, own.code, "%s", own.msg)
                      : err_set(err, ERR_NOMEM, "out of memory while reading YAML");
    return rc;
}
