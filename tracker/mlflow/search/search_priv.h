/* tracker/mlflow/search/search_priv.h - what the files of the search share: words, clauses, SQL.
 *
 *     filter -> search_words -> search_filter -> struct search -> search_sql -> SQLite
 *
 * Words are cut as sqlparse's lexer cuts them, since that decides what MLflow accepts: a
 * dot and digits are a number, -1 is one word, `a-b` three, LIKE is an operator unless a
 * dot or a parenthesis says that it is a name. Kinds that no clause knows are WORD_OTHER;
 * these may stand only within parentheses of a key, as in metrics.f1(macro). */
#ifndef TRACKER_MLFLOW_SEARCH_PRIV_H
#define TRACKER_MLFLOW_SEARCH_PRIV_H

#include "lib/buf.h"
#include "lib/err.h"
#include "tracker/mlflow/search/search.h"
#include "tracker/store/store_priv.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SEARCH_MAX_FILTER = 100000,
    SEARCH_MAX_CLAUSES = 500,
    SEARCH_MAX_ORDERS = 100,
    SEARCH_MAX_RESULTS = 50000,
    SEARCH_RESULTS = 1000,
    SEARCH_MAX_PATTERN = 50000, /* SQLite's own, in bytes of a GLOB */
    SEARCH_MAX_TOKEN = 1000000,
    SEARCH_MAX_SECONDS = 30,
};

/* ---- search_words.c ---- */
enum search_word_kind {
    WORD_END,
    WORD_SPACE,
    WORD_NAME,    /* loss; also keywords that are none where they stand */
    WORD_KEYWORD, /* AND, NOT, IN, IS, NULL, 'NOT NULL', ASC, ... */
    WORD_TICKED,  /* `a b`, and [a b] */
    WORD_STRING,  /* 'a b' */
    WORD_SYMBOL,  /* "a b" */
    WORD_NUMBER,  /* 1, -1.5, 1e-3 */
    WORD_COMPARE, /* =, <>, LIKE, NOT LIKE, ... */
    WORD_STAR,
    WORD_DOT,
    WORD_OPEN,
    WORD_CLOSE,
    WORD_OPEN_SQUARE,
    WORD_CLOSE_SQUARE,
    WORD_OTHER,
};
struct search_word {
    enum search_word_kind kind;
    uint32_t at, size; /* bytes of the text */
};
struct search_words {
    const char *text; /* borrowed */
    struct search_word *list;
    size_t count, cap; /* list[count] is WORD_END */
};
/* Of valid UTF-8, at most SEARCH_MAX_FILTER bytes. */
void search_words_init(struct search_words *w, const char *text, size_t size);
void search_words_release(struct search_words *w);
/* Is the word this one, in any case? */
bool search_word_is(const struct search_words *w, size_t i, const char *word);
/* The first that is no blank, from i on. */
size_t search_words_solid(const struct search_words *w, size_t i);

/* ---- search_names.c ---- */
enum search_what { SEARCH_RUNS, SEARCH_EXPERIMENTS };
enum search_entity {
    ENTITY_ATTRIBUTE,
    ENTITY_METRIC,
    ENTITY_PARAM,
    ENTITY_TAG,
    ENTITY_DATASET,
};
enum search_op {
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_LIKE,
    OP_ILIKE,
    OP_IN,
    OP_NOT_IN,
    OP_IS_NULL,
    OP_IS_NOT_NULL,
};
/* As clients have it. */
#define EXPERIMENT_ID_SQL "iif(experiment.name = 'Default', 0, experiment.id)"
struct search_attribute {
    const char *name, *sql;
    bool numeric, ordered, is_id;
    unsigned ops; /* 1 << OP_... */
};
/* What `raw`, a key as it was written, names: an entity and a key (newly allocated), of an
 * attribute also its row. `for_order`: of order_by. */
struct search_name {
    enum search_entity entity;
    char *key;
    const struct search_attribute *attribute;
};
int search_name_read(enum search_what what, const char *raw, size_t size, bool for_order,
                     struct search_name *out, struct err *err);
const char *search_entity_name(enum search_entity e);
/* The operator, allowed for what is named. */
int search_op_read(enum search_what what, const struct search_name *name,
                   const char *word, size_t size, enum search_op *op, struct err *err);
int search_op_check(const struct search_name *name, enum search_op op, const char *word,
                    struct err *err);
const char *search_op_sql(enum search_op op);

/* ---- search_filter.c, search_order.c ---- */
struct search_clause {
    struct search_name name;
    enum search_op op;
    char *text;    /* value of texts; of IN a JSON list */
    double number; /* value of numbers */
    int64_t whole; /* the same where is_whole */
    bool is_whole;
};
struct search_order {
    struct search_name name;
    bool descending;
};
struct search {
    enum search_what what;
    struct search_clause *clauses;
    size_t count, cap;
    struct search_order *orders;
    size_t order_count, order_cap;
};
void search_init(struct search *q, enum search_what what);
void search_release(struct search *q);
int search_filter_read(struct search *q, const char *filter, size_t size,
                       struct err *err);
int search_order_read(struct search *q, const char *item, size_t size, struct err *err);
/* The key that begins at word i: *last its last word. false: there is none. */
bool search_key_ends(const struct search_words *w, size_t i, size_t *last);
/* The words of an IN list, as Python reads a tuple of texts; newly allocated JSON. */
char *search_list_read(const char *text, size_t size, struct err *err);

/* ---- search_sql.c ---- */
struct search_bind {
    struct arg value;
    char *text; /* owned, behind value.s */
};
/* A statement that grows: text with a '?' per bound value. */
struct search_sql {
    struct buf text;
    struct search_bind *binds;
    size_t count, cap;
};
void search_sql_init(struct search_sql *q);
void search_sql_release(struct search_sql *q);
void search_sql_int(struct search_sql *q, int64_t value);
void search_sql_real(struct search_sql *q, double value);
void search_sql_text(struct search_sql *q, const char *value); /* copied */
/* " AND (...)" per clause. */
int search_sql_clauses(struct search_sql *q, struct store *s, const struct search *search,
                       struct err *err);
/* The value that an order sorts by; NaN is behind the numbers in its direction. */
int search_sql_order(struct search_sql *q, struct store *s, enum search_what what,
                     const struct search_order *o, struct err *err);

/* ---- search_page.c ---- */
/* What a page is sorted by: k1 .. kN, NULL last, then the id. */
struct search_keys {
    bool descending[SEARCH_MAX_ORDERS + 3]; /* of k1 .. kN and of the id */
    size_t count;
};
/* Runs q, which is a SELECT of `id` and `k1` .. `kN`, for at most `limit` rows behind the
 * token's (NULL or "": from the first). */
int search_page_read(struct search_sql *q, struct store *s,
                     const struct search_keys *keys, size_t limit, const char *token,
                     struct search_page *out, struct err *err);

#endif
