/* tracker/mlflow/search/search_filter.c - clauses out of words; see search.h and search_priv.h. */
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/mlflow/search/search_priv.h"
#include <stdlib.h>
#include <string.h>

void search_init(struct search *q, enum search_what what)
{
    *q = (struct search){.what = what};
}

void search_release(struct search *q)
{
    for (size_t i = 0; i < q->count; i++) {
        free(q->clauses[i].name.key);
        free(q->clauses[i].text);
    }
    for (size_t i = 0; i < q->order_count; i++)
        free(q->orders[i].name.key);
    free(q->clauses);
    free(q->orders);
    search_init(q, q->what);
}

/* ---- keys ---- */

/* The word that closes what word i opens; 0: none does. */
static size_t closing(const struct search_words *w, size_t i)
{
    const enum search_word_kind open = w->list[i].kind, close = open + 1;
    size_t depth = 0;
    for (; i < w->count; i++) {
        depth += w->list[i].kind == open;
        if (w->list[i].kind == close && --depth == 0)
            return i;
    }
    return 0;
}

static bool begins_key(const struct search_words *w, size_t i)
{
    enum search_word_kind kind = w->list[i].kind;
    return kind == WORD_NAME || kind == WORD_TICKED || kind == WORD_SYMBOL;
}

/* What may follow a dot; metrics.f1(macro) and metrics.* as well. */
static bool part_ends(const struct search_words *w, size_t i, size_t *last)
{
    enum search_word_kind kind = w->list[i].kind;
    if (!begins_key(w, i) && kind != WORD_STRING && kind != WORD_STAR)
        return false;
    size_t next = search_words_solid(w, i + 1);
    const bool call = kind == WORD_NAME && w->list[next].kind == WORD_OPEN;
    *last = call && closing(w, next) ? closing(w, next) : i;
    return true;
}

/* A dot that nothing of the kind follows ends the key, and belongs to it. */
bool search_key_ends(const struct search_words *w, size_t i, size_t *last)
{
    if (!begins_key(w, i))
        return false;
    *last = i;
    size_t next = search_words_solid(w, i + 1);
    if (w->list[i].kind == WORD_NAME && w->list[next].kind == WORD_OPEN)
        return false; /* a call is no key */
    for (;; next = search_words_solid(w, *last + 1)) {
        if (w->list[next].kind == WORD_DOT) {
            if (!part_ends(w, search_words_solid(w, next + 1), last))
                *last = next;
        } else if (w->list[next].kind == WORD_OPEN_SQUARE && closing(w, next) > 0) {
            *last = closing(w, next);
        } else {
            return true;
        }
    }
}

/* ---- values ---- */

static const char *word_text(const struct search_words *w, size_t i, int *size)
{
    *size = (int)w->list[i].size;
    if (*size > 200)
        *size = 200;
    return w->text + w->list[i].at;
}

static int expected(const struct search_clause *c, const char *what,
                    const struct search_words *w, size_t i, struct err *err)
{
    int size;
    const char *found = word_text(w, i, &size);
    return err_set(err, ERR_USAGE, "Expected a %s for %s '%.100s'. Got value %.*s", what,
                   search_entity_name(c->name.entity), c->name.key, size, found);
}

static int read_number(struct search_clause *c, const struct search_words *w, size_t i,
                       struct err *err)
{
    if (w->list[i].kind != WORD_NUMBER)
        return expected(c, "numeric value", w, i, err);
    char *text = xstrndup(w->text + w->list[i].at, w->list[i].size);
    c->number = strtod(text, NULL);
    c->is_whole = str_whole(text, &c->whole);
    free(text);
    return 0;
}

/* The words from i to last, which have to be one quoted text. */
static int read_text(struct search_clause *c, const struct search_words *w, size_t i,
                     size_t last, struct err *err)
{
    const char *text = w->text + w->list[i].at;
    size_t size = w->list[last].at + w->list[last].size - w->list[i].at;
    if (size < 2 || (*text != '\'' && *text != '"') || text[size - 1] != *text)
        return expected(c, "quoted string value", w, i, err);
    c->text = xstrndup(text + 1, size - 2);
    return 0;
}

static bool is_numeric(const struct search_name *name)
{
    return name->entity == ENTITY_METRIC || (name->attribute && name->attribute->numeric);
}

/* The value at word i; *next is what comes behind it. */
static int read_value(enum search_what what, struct search_clause *c,
                      const struct search_words *w, size_t i, size_t *next,
                      struct err *err)
{
    size_t last = i;
    if (w->list[i].kind != WORD_STRING && !search_key_ends(w, i, &last))
        last = i;
    *next = last + 1;
    if (!is_numeric(&c->name))
        return read_text(c, w, i, last, err);
    int rc = read_number(c, w, i, err);
    if (rc == 0 && what == SEARCH_EXPERIMENTS && !c->is_whole)
        rc = expected(c, "whole number", w, i, err);
    return rc;
}

/* ---- clauses ---- */

struct reader {
    struct search *search;
    const struct search_words *words;
    size_t at;
    bool
        loose; /* what stands before joins with a name that follows: "a = 1 b IN (...)" */
};

static int invalid(const struct search_words *w, size_t i, struct err *err)
{
    int size;
    const char *found = word_text(w, i, &size);
    return err_set(err, ERR_USAGE, "Invalid clause(s) in filter string: '%.*s'", size,
                   found);
}

/* IN (...), NOT IN (...), IS NULL, IS NOT NULL at word i: which, and the word of its list or
 * its last. */
static bool keyword_op(const struct search_words *w, size_t i, enum search_op *op,
                       size_t *end)
{
    *end = search_words_solid(w, i + 1);
    if (w->list[i].kind != WORD_KEYWORD)
        return false;
    if (search_word_is(w, i, "IS")) {
        *op = search_word_is(w, *end, "NULL") ? OP_IS_NULL : OP_IS_NOT_NULL;
        return w->list[*end].kind == WORD_KEYWORD &&
               (*op == OP_IS_NULL || search_word_is(w, *end, "NOT NULL"));
    }
    *op = OP_IN;
    if (search_word_is(w, i, "NOT") && search_word_is(w, *end, "IN")) {
        *op = OP_NOT_IN;
        *end = search_words_solid(w, *end + 1);
    } else if (!search_word_is(w, i, "IN")) {
        return false;
    }
    return w->list[*end].kind == WORD_OPEN;
}

static int read_list(struct reader *r, struct search_clause *c, size_t open,
                     struct err *err)
{
    const struct search_words *w = r->words;
    const size_t close = closing(w, open);
    if (close == 0)
        return invalid(w, open, err);
    r->at = close + 1;
    c->text = search_list_read(w->text + w->list[open].at + 1,
                               w->list[close].at - w->list[open].at - 1, err);
    return c->text ? 0 : err_code(err);
}

/* What stands behind the key at word i. */
static int read_rest(struct reader *r, struct search_clause *c, size_t i, struct err *err)
{
    const struct search_words *w = r->words;
    size_t end;
    if (w->list[i].kind == WORD_COMPARE) {
        int rc = search_op_read(r->search->what, &c->name, w->text + w->list[i].at,
                                w->list[i].size, &c->op, err);
        r->loose = true;
        return rc < 0 ? rc
                      : read_value(r->search->what, c, w, search_words_solid(w, i + 1),
                                   &r->at, err);
    }
    if (r->loose || !keyword_op(w, i, &c->op, &end))
        return invalid(w, i, err);
    const bool list = c->op == OP_IN || c->op == OP_NOT_IN;
    r->loose = list;
    r->at = end + 1;
    int rc = search_op_check(&c->name, c->op, list ? "IN" : "IS NULL", err);
    return rc == 0 && list ? read_list(r, c, end, err) : rc;
}

static int read_clause(struct reader *r, struct err *err)
{
    const struct search_words *w = r->words;
    struct search *q = r->search;
    size_t last;
    if (!search_key_ends(w, r->at, &last))
        return invalid(w, r->at, err);
    if (q->count == SEARCH_MAX_CLAUSES)
        return err_set(err, ERR_USAGE, "filter has more than %d clauses",
                       SEARCH_MAX_CLAUSES);
    q->clauses = xgrow(q->clauses, &q->cap, q->count + 1, sizeof *q->clauses);
    struct search_clause *c = &q->clauses[q->count];
    *c = (struct search_clause){0};
    const char *key = w->text + w->list[r->at].at;
    int rc = search_name_read(q->what, key,
                              w->list[last].at + w->list[last].size - w->list[r->at].at,
                              false, &c->name, err);
    if (rc < 0)
        return rc;
    q->count++;
    return read_rest(r, c, search_words_solid(w, last + 1), err);
}

int search_filter_read(struct search *q, const char *filter, size_t size, struct err *err)
{
    struct search_words words;
    int rc = 0;
    if (size == 0)
        return 0;
    if (size > SEARCH_MAX_FILTER)
        return err_set(err, ERR_USAGE, "filter is %zu bytes long, at most %d", size,
                       SEARCH_MAX_FILTER);
    search_words_init(&words, filter, size);
    struct reader r = {.search = q, .words = &words};
    if (search_words_solid(&words, 0) == words.count)
        rc = err_set(err, ERR_USAGE, "Invalid filter '%.100s'. Could not be parsed.",
                     filter);
    while (rc == 0 && (r.at = search_words_solid(&words, r.at)) < words.count) {
        if (words.list[r.at].kind == WORD_KEYWORD &&
            search_word_is(&words, r.at, "AND")) {
            r.at++;
            r.loose = false;
        } else {
            rc = read_clause(&r, err);
        }
    }
    search_words_release(&words);
    return rc;
}
