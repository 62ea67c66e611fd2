/* tracker/exchange/import_parts.h - what the files of the import share (import*.c):
 * checked members of objects, and runs. */
#ifndef TRACKER_EXCHANGE_IMPORT_PARTS_H
#define TRACKER_EXCHANGE_IMPORT_PARTS_H

#include "tracker/store/store_priv.h"

/* A number is kept where it is free; the empty subquery is NULL, which takes the next. */
#define FREE_ID(table)                                                                   \
    "(SELECT ?1 WHERE ?1 > 0 AND NOT EXISTS (SELECT 1 FROM " table " WHERE id = ?1))"

enum wanted { TEXT, COUNT, NUMBER, OBJECT, LIST, FLAG };
struct field {
    const char *name;
    enum wanted wanted;
    bool required;
};
/* Members are there where they must be, and of the right type where they are. */
int import_check(const json_t *object, const struct field *fields, size_t count,
                 const char *what, struct err *err);
#define CHECK(object, fields, what, err)                                                 \
    import_check(object, fields, ARRAY_LEN(fields), what, err)
int import_check_state(const char *state, const char *what, struct err *err);
bool import_is(const json_t *value, enum wanted wanted);
/* A number or one of the three words; `key` is for the message. */
int import_value(const json_t *value, const char *key, double *out, struct err *err);
const char *import_text(const json_t *object, const char *key); /* NULL: none */
/* A member as JSON text in `out`, without secrets; NULL when it is not there. */
const char *import_json(const json_t *object, const char *key, struct buf *out);
/* Adds a member's texts, {key: text}, to what they belong to by `add`, a statement of (owner,
 * key, value); without secrets. */
int import_texts(struct store *s, const char *add, int64_t owner, const json_t *object,
                 const char *member, struct err *err);
struct arg import_count(const json_t *object, const char *key); /* NULL where none */

/* ---- import_run.c ---- */
#define IMPORT_WAS_RUNNING "was running when it was exported"
struct import_news {
    size_t runs, grown; /* added; known ones that went on */
};
/* Adds a run with all that it holds, or what a known one lacks (import_grow). */
int import_run(struct store *s, int64_t trial, const json_t *o, struct import_news *news,
               struct err *err);
/* All that a run holds, over what is there; of one that is `known` no event twice. */
int import_contents(struct store *s, int64_t run, const json_t *o, bool known,
                    struct err *err);
/* Its summary values; of a known run those that it lacks, and ERR_CONFIG where one differs. */
int import_summaries(struct store *s, int64_t run, const json_t *o, bool known,
                     struct err *err);
/* ERR_CONFIG: what is known of `key` is another value. */
int import_differs(const char *key, double have, double value, struct err *err);

/* ---- import_grow.c ---- */
/* A known run with what came of it: compared, and where it went on (*grew) taken over.
 * ERR_CONFIG at the first point that differs or is not there any more. */
int import_grow(struct store *s, int64_t run, const json_t *o, bool *grew,
                struct err *err);

#endif
