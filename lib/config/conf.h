/* lib/config/conf.h - configuration files: YAML (libyaml) or JSON (jansson) into one
 * json_t tree, with places for messages.
 *
 * YAML scalars follow the 1.2 core schema, resolved here because libyaml gives text only:
 * `1e-4` is a number, `no`, `off`, `yes` are strings, no base 60, no time stamps.
 * Refused: duplicate keys, tags, merge keys, more than one document, depth over 32, more
 * than 100,000 nodes, aliases expanding to more than 10,000 nodes. Files ending in .json
 * go to jansson. Every error names file, line and column.
 *
 * A place is remembered for each value by its path ("parameters.rank.values[2]"), so that
 * later checks can say where; for a block below its key it is the key's place. */
#ifndef LIB_CONFIG_CONF_H
#define LIB_CONFIG_CONF_H

#include "lib/err.h"
#include <jansson.h>

struct conf; /* owns the tree */

int conf_load(const char *path, struct conf **out, struct err *err)
    __attribute__((warn_unused_result));
/* `name` stands for the file in messages. `is_json` picks the parser. */
int conf_parse(const char *text, size_t len, const char *name, int is_json,
               struct conf **out, struct err *err) __attribute__((warn_unused_result));
void conf_free(struct conf *c);
json_t *conf_root(struct conf *c); /* borrowed */
const char *conf_name(const struct conf *c);
/* "file 'x.yaml': line 12, column 3" for the nearest known ancestor of `path`; the string
 * lives as long as c. */
const char *conf_where(struct conf *c, const char *path);
/* One YAML value written in a flow style: `16`, `[query, value]`, `1e-4`, `all-linear`.
 * For key=value arguments. */
json_t *conf_parse_value(const char *text, struct err *err);

#endif
