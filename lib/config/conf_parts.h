/* lib/config/conf_parts.h - inside conf*.c: the tree with its
 * places.
 *
 * Places are kept by path text. Paths over CONF_PATH_MAX bytes are not remembered (their
 * nearest ancestor answers for them), so that hostile input cannot make the table
 * large. */
#ifndef LIB_CONFIG_CONF_PARTS_H
#define LIB_CONFIG_CONF_PARTS_H

#include "lib/buf.h"
#include "lib/config/conf.h"
#include "lib/hash.h"

#define CONF_DEPTH_MAX       32
#define CONF_NODES_MAX       100000
#define CONF_ALIAS_NODES_MAX 10000
#define CONF_BYTES_MAX       ((size_t)16 << 20)
#define CONF_PATH_MAX        512

struct conf {
    char *name; /* NULL: messages carry no place (one value, not a file) */
    json_t *root;
    struct strmap *places; /* path -> line << 32 | column, both from 1 */
    char **answers;        /* strings handed out by conf_where */
    size_t answer_count, answer_cap;
};

/* Sets a message that starts with file, line and column (from 1; 0: unknown). */
int conf_fail(const struct conf *c, size_t line, size_t column, struct err *err,
              const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void conf_place(struct conf *c, const struct buf *path, size_t line, size_t column);
/* Appends ".key" or "[index]" and returns the length before, for conf_path_cut. */
size_t conf_path_key(struct buf *path, const char *key);
size_t conf_path_index(struct buf *path, size_t index);
void conf_path_cut(struct buf *path, size_t len);

/* A plain YAML scalar by the core schema; NULL for a number that is out of range. */
json_t *conf_plain_scalar(const char *s, size_t len);
int conf_read_yaml(struct conf *c, const char *text, size_t len, struct err *err);
int conf_read_json(struct conf *c, const char *text, size_t len, struct err *err);

#endif
