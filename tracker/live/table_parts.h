/* tracker/live/table_parts.h - what the files of the table share: its rows and columns;
 * for table*.c only. */
#ifndef TRACKER_LIVE_TABLE_PARTS_H
#define TRACKER_LIVE_TABLE_PARTS_H

#include "lib/hash.h"
#include "tracker/live/live.h"
#include "tracker/store/store_priv.h"
#include "tracker/view/objective.h"

struct table_row {
    int64_t id, sweep, run; /* run: the newest, 0: none */
    uint64_t seed;
    enum trial_state state;
    char *key;               /* of the configuration without the seed */
    json_t *params, *config; /* while rows are read; config: of trials of no sweep */
    json_t *values;          /* {column: value} */
    json_t *tags;            /* NULL: none */
    char *note, *text;
    bool summed; /* its run's summary counts */
};

enum column_kind { COLUMN_KIND_FIELD, COLUMN_KIND_PARAM, COLUMN_KIND_METRIC };

struct table_column {
    char *name, *key; /* key: what the store calls it, which two kinds may share */
    enum column_kind kind;
    json_t *first; /* the first value that a row has */
    bool differs;
    size_t present;                /* rows that have one */
    double *numbers, first_number; /* of a metric, by row; NULL: no row has one */
    bool *has;                     /* which rows have one */
    enum direction better;
    bool main; /* what trials are judged by */
};

struct table {
    struct store *store;
    const struct live_query *query;
    struct table_row *rows; /* by id */
    size_t count, cap;
    struct table_column *columns;
    size_t column_count, column_cap;
    struct strmap *by_name;
    json_t *objectives;
    size_t *by_key; /* of a metric's number its column + 1; 0: not met yet */
    size_t key_count;
    char **key_names;
};

struct table_row *table_row_of(const struct table *t, int64_t id); /* NULL: none */
/* The column of this kind and key, added when it is new. */
size_t table_column_of(struct table *t, enum column_kind kind, const char *key);
/* A number as pages get it: nine significant digits. */
double table_rounded(double x);
/* A metric's value; the last one counts. */
void table_put_number(struct table *t, struct table_row *row, size_t column, double x);
/* Takes the value over; NULL and null are none. */
void table_put(struct table *t, struct table_row *row, size_t column, json_t *value);
bool table_varies(const struct table *t, const struct table_column *c);

/* table_values.c: numbers of the rows. */
int table_read_metrics(struct table *t, struct err *err);

/* table_order.c: which rows are asked for, and in which order. New array of rows'
 * indices; *count of them. NULL: an error. */
size_t *table_choose(struct table *t, size_t *count, struct err *err);

/* table_answer.c: the answer's text, appended; "lora rank=8", what tells a trial apart. */
extern const char *const table_kind_names[];
void table_answer(const struct table *t, const size_t *order, size_t count,
                  struct buf *out);
json_t *table_name(const struct table *t, const struct table_row *row);

/* table_groups.c: appends the list of the groups that have one of the rows in `order`, as
 * table_choose has them; each whole. */
void table_groups(const struct table *t, const size_t *order, size_t count,
                  struct buf *out);

#endif
