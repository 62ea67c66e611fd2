/* lib/config/opt.h - option tables: one row per option drives flags, trial keys, sweep
 * keys, help and documentation.
 *
 * A table is an array of struct opt_def (made from a .def file or written in place). The
 * same functions read the values from a command line, from `key=value` words and from a
 * configuration tree, check type, range and choices, name the nearest key when one is
 * unknown, and fill defaults. Values are json_t. */
#ifndef LIB_CONFIG_OPT_H
#define LIB_CONFIG_OPT_H

#include "lib/buf.h"
#include "lib/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

enum opt_type {
    OPT_BOOL,
    OPT_INT,
    OPT_FLOAT,
    OPT_STRING,
    OPT_CHOICE, /* a string out of `choices` */
    OPT_PATH,   /* a string; relative to the file that names it */
    OPT_NAMES,  /* a string or a list of strings */
    OPT_INTS,   /* an integer or a list of integers */
    OPT_MAP,    /* an object of numbers */
    OPT_ANY
};

enum opt_flags {
    OPT_REQUIRED = 1,
    OPT_NOT_HASHED =
        2, /* does not change a trial's numbers, so it is not part of its key */
    OPT_REPEATED = 4,    /* a flag that may come more than once; the value is a list */
    OPT_OF_METHOD = 8,   /* read by those methods only whose rows name it */
    OPT_SAME_SHAPE = 16, /* an adapter fits whatever its value is */
    OPT_TO_TRAIN = 32    /* required of a trial that trains; what is there already is used
                            without */
};

struct opt_def {
    const char *key;     /* snake_case; as a flag --snake-case or --snake_case */
    const char *aliases; /* "r|lora_rank" or NULL */
    enum opt_type type;
    const char *preset; /* default as YAML text; NULL: null */
    double min, max;    /* for numbers, inclusive; min == max: unbounded */
    const char
        *choices; /* "none|all|lora_only"; aliases of a choice as "seq-cls=SEQ_CLS" */
    const char *group; /* heading in help */
    unsigned flags;
    const char *metavar; /* "N", "FILE"; NULL: from the type */
    const char *help;    /* one line, unit included */
};

struct opt_table {
    const char *name; /* "trial", "sweep plan" */
    const struct opt_def *rows;
    size_t count;
};

/* Key or alias; '-' equals '_' */
const struct opt_def *opt_find(const struct opt_table *t, const char *key);
/* The key that may have been meant (str_nearest). NULL: nothing near */
const char *opt_nearest(const struct opt_table *t, const char *key);
/* Checks one value and returns it in its normal form (a new reference; ints widened to
 * floats, choice aliases replaced), or NULL with a message without place ("rank must
 * be 1..4096, got 0"). null passes for options that are not required. */
json_t *opt_check(const struct opt_def *def, const json_t *value, struct err *err);
/* Reads text as the option's type (YAML rules for lists and maps). New reference. */
json_t *opt_from_text(const struct opt_def *def, const char *text, struct err *err);
/* Default value, new reference (json_null() when there is none). */
json_t *opt_default(const struct opt_def *def);
/* "unknown key 'lora.rnak'" with "did you mean 'rank'?" when there is something near.
 * Returns a negative code. */
int opt_unknown(const struct opt_table *t, const char *key, const char *what,
                struct err *err);
/* The same, proposing only what is wanted (NULL: all). */
typedef bool opt_wanted(const struct opt_def *def, const void *ctx);
int opt_unknown_among(const struct opt_table *t, const char *key, const char *what,
                      opt_wanted *wanted, const void *ctx, struct err *err);

/* Flags of a command. Accepts --key value, --key=value, --key / --no-key for booleans,
 * -h; `--` ends flags. What is not a flag goes to positional (borrowed pointers into
 * argv) in order; at most max_positional, else a usage error. `*values` gets every
 * option, defaults filled. Asking for help sets *help and returns 0. */
int opt_parse_args(const struct opt_table *t, int argc, char **argv, json_t **values,
                   const char **positional, size_t max_positional,
                   size_t *positional_count, bool *help, struct err *err);
/* Help text grouped by `group`, 90 columns. as_flags: "--rank N", else "rank: N". */
void opt_print_help(const struct opt_table *t, bool as_flags, FILE *f);
/* Groups in the order of their first rows; start with *row = 0. */
bool opt_next_group(const struct opt_table *t, size_t *row, const char **group);

/* Pieces of documentation (cli/docs/). */
const char *opt_metavar(const struct opt_def *def); /* "N", "DIR"; "" for booleans */
void opt_put_flag(struct buf *out, const struct opt_def *def); /* "--train-data" */
/* help [choices or range; default; required]; owned by the caller */
char *opt_describe(const struct opt_def *def);
struct opt_markdown {
    bool as_flags;
    const char *group; /* only this one's rows; NULL: all */
    const char *extra; /* heading of a further column, before the meaning; NULL: none */
    void (*put_extra)(struct buf *out, const struct opt_def *def);
};
/* Rows as a Markdown table. */
void opt_print_markdown(const struct opt_table *t, const struct opt_markdown *how,
                        struct buf *out);

#endif
