/* tracker/mlflow/search/search_order.c - an item of order_by: "metrics.loss DESC".
 *
 * MLflow has sqlparse say that it is one name with or without a direction, without blanks
 * around, and cuts the name by a shell's rules where there is a direction (with backticks
 * as double quotes): metrics."a b" DESC sorts by 'a b' either way. */
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/mlflow/search/search_priv.h"
#include <stdlib.h>
#include <string.h>

static int unreadable(const char *item, size_t size, struct err *err)
{
    return err_set(err, ERR_USAGE, "Invalid order_by clause '%.*s'. Could not be parsed.",
                   (int)(size > 200 ? 200 : size), item);
}

/* One word by a shell's rules, quotes taken off; false: two words, or none that ends. */
static bool shell_word(const char *text, size_t size, struct buf *out)
{
    char quote = 0;
    for (size_t i = 0; i < size; i++) {
        const char c = text[i] == '`' ? '"' : text[i];
        if (!quote && (c == '"' || c == '\''))
            quote = c;
        else if (quote && c == quote)
            quote = 0;
        else if (!quote && strchr(" \t\r\n", c))
            return false;
        else if (c == '\\' && quote != '\'' && i + 1 < size &&
                 (!quote || text[i + 1] == '\\' || text[i + 1] == '"'))
            buf_char(out, text[++i]);
        else
            buf_char(out, c);
    }
    return !quote;
}

/* The name as MLflow gets to see it. */
static bool name_of(const struct search_words *w, size_t last, bool directed,
                    struct buf *out)
{
    const size_t size = w->list[last].at + w->list[last].size;
    if (directed)
        return shell_word(w->text, size, out);
    buf_add(out, w->text, size);
    return true;
}

static bool is_same(const struct search_name *a, const struct search_name *b)
{
    return a->entity == b->entity &&
           (a->attribute ? a->attribute->sql == b->attribute->sql
                         : str_eq(a->key, b->key));
}

/* The item is kept, or *o released. */
static int add_order(struct search *q, struct search_order *o, struct err *err)
{
    int rc = 0;
    bool twice = false;
    for (size_t i = 0; i < q->order_count; i++)
        twice = twice || is_same(&q->orders[i].name, &o->name);
    if (twice && q->what == SEARCH_RUNS)
        rc = err_set(err, ERR_USAGE, "`order_by` contains duplicate fields: '%.100s'",
                     o->name.key);
    else if (q->order_count == SEARCH_MAX_ORDERS)
        rc =
            err_set(err, ERR_USAGE, "order_by has more than %d items", SEARCH_MAX_ORDERS);
    if (rc < 0 || twice) {
        free(o->name.key);
        return rc;
    }
    q->orders = xgrow(q->orders, &q->order_cap, q->order_count + 1, sizeof *q->orders);
    q->orders[q->order_count++] = *o;
    return 0;
}

static bool may_order(const struct search *q, const struct search_name *name)
{
    return name->entity == ENTITY_ATTRIBUTE ||
           (q->what == SEARCH_RUNS && name->entity != ENTITY_DATASET);
}

static int read_words(struct search *q, const struct search_words *w, struct err *err)
{
    const size_t size = w->list[w->count].at;
    struct search_order o = {.descending = false};
    struct buf name = BUF_INIT;
    size_t last;
    if (!search_key_ends(w, 0, &last))
        return unreadable(w->text, size, err);
    size_t next = search_words_solid(w, last + 1);
    const bool directed = next < w->count;
    o.descending = directed && search_word_is(w, next, "DESC");
    int rc = 0;
    if (directed
            ? next + 1 < w->count || (!o.descending && !search_word_is(w, next, "ASC"))
            : last + 1 < w->count)
        rc = unreadable(w->text, size, err);
    else if (!name_of(w, last, directed, &name))
        rc = unreadable(w->text, size, err);
    else
        rc = search_name_read(q->what, buf_str(&name), name.len, true, &o.name, err);
    buf_release(&name);
    if (rc == 0 && !may_order(q, &o.name))
        rc = err_set(err, ERR_USAGE, "Invalid order_by entity: '%s'",
                     search_entity_name(o.name.entity));
    if (rc == 0)
        return add_order(q, &o, err);
    free(o.name.key);
    return rc;
}

int search_order_read(struct search *q, const char *item, size_t size, struct err *err)
{
    struct search_words words;
    if (size > SEARCH_MAX_FILTER)
        return err_set(err, ERR_USAGE,
                       "an item of order_by is %zu bytes long, at most %d", size,
                       SEARCH_MAX_FILTER);
    search_words_init(&words, item, size);
    int rc = read_words(q, &words, err);
    search_words_release(&words);
    return rc;
}
