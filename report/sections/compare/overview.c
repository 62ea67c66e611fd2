/* report/sections/compare/overview.c - several cases at once: the verdict of each, and one
 * matrix of words over all of them: which method for which task, data size and hardware.
 * Of one case it is empty. */
#include "lib/json.h"
#include "lib/mem.h"
#include "report/page/words.h"
#include "report/report.h"
#include "report/sections/decision/decision.h"
#include <stdlib.h>

static const char *group_name(const struct report *r, size_t group)
{
    return r->data.groups.items[group].label;
}

static const char *case_name(const struct report *r, size_t column)
{
    return r->data.columns.items[column].label;
}

/* ---- how a group fares over all cases ---- */

struct record {
    size_t words[CELL_NOT_RUN + 1];
};

static struct record record_of(const struct report *r, size_t group)
{
    struct record x = {{0}};
    for (size_t c = 0; c < r->matrix.columns; c++)
        x.words[matrix_cell(&r->matrix, c, group)->word]++;
    return x;
}

/* Cases in which it is not shown to be worse. */
static size_t record_holds(const struct record *x)
{
    return x->words[CELL_BEST] + x->words[CELL_TIED] + x->words[CELL_UNDECIDED];
}

/* The group that holds in most cases, of those the one that is best in most, then with
 * the better ranks. */
static size_t steadiest(const struct report *r)
{
    size_t best = 0, best_ranks = 0;
    struct record top = {{0}};
    for (size_t g = 0; g < r->matrix.groups; g++) {
        struct record x = record_of(r, g);
        size_t ranks = 0;
        for (size_t c = 0; c < r->matrix.columns; c++)
            ranks += r->matrix.verdicts[c]->rank_of[g];
        size_t a = record_holds(&x), b = record_holds(&top);
        bool more = a != b ? a > b
                    : x.words[CELL_BEST] != top.words[CELL_BEST]
                        ? x.words[CELL_BEST] > top.words[CELL_BEST]
                        : ranks < best_ranks;
        if (g == 0 || more) {
            best = g;
            best_ranks = ranks;
            top = x;
        }
    }
    return best;
}

/* ---- numbers ---- */

static json_t *case_json(const struct report *r, size_t column)
{
    const struct verdict *v = r->matrix.verdicts[column];
    json_t *o = json_pack("{s:s, s:s}", "case", case_name(r, column), "confidence",
                          decision_confidence(r, column));
    json_object_set(o, "facts", r->data.columns.items[column].facts);
    if (!v->ranked)
        return o;
    const struct report_cell *c = matrix_cell(&r->matrix, column, v->ranking[0]);
    struct spread score = cell_spread(c, metric_of(r));
    json_t *tied = json_array();
    for (size_t i = 0; i < v->tied_count; i++)
        json_array_append_new(tied, json_string(group_name(r, v->tied[i])));
    json_object_set_new(o, "take", json_string(cell_name(r, c)));
    json_object_set_new(o, "group", json_string(group_name(r, c->group)));
    json_object_set_new(o, "score", spread_json(&score));
    json_object_set_new(o, "tied_set", tied);
    if (v->ranked > 1)
        put_number(o, "expected_regret", v->regrets[v->ranking[0]].expected);
    return o;
}

static json_t *record_json(const struct report *r, size_t group)
{
    const struct record x = record_of(r, group);
    json_t *o = json_pack("{s:s, s:I}", "group", group_name(r, group), "not_worse",
                          (json_int_t)record_holds(&x));
    for (int w = CELL_BEST; w <= CELL_NOT_RUN; w++)
        json_object_set_new(o, cell_word_text((enum cell_word)w),
                            json_integer((json_int_t)x.words[w]));
    return o;
}

/* "cola: head; sst2: lora": who leads where. */
static const char *leaders_text(const struct report *r, bool *same)
{
    enum { SHOWN = 6 };
    const char *text = "";
    size_t first = SIZE_MAX, shown = 0;
    *same = true;
    for (size_t c = 0; c < r->matrix.columns; c++) {
        const struct verdict *v = r->matrix.verdicts[c];
        if (!v->ranked)
            continue;
        first = first == SIZE_MAX ? v->ranking[0] : first;
        *same = *same && v->ranking[0] == first;
        if (shown++ < SHOWN)
            text = word_f("%s%s%.60s at %.80s", text, *text ? ", " : "",
                          group_name(r, v->ranking[0]), case_name(r, c));
    }
    return shown > SHOWN ? word_f("%s and %zu more", text, shown - SHOWN) : text;
}

static void takeaways(const struct report *r, json_t *o)
{
    const size_t g = steadiest(r), cases = r->matrix.columns;
    const struct record x = record_of(r, g);
    bool same;
    const char *leaders = leaders_text(r, &same);
    add_takeaway(
        o,
        "Over all %zu cases %s is the safest: best in %zu, not shown to be worse "
        "than the best in %zu, worse or failed in %zu, not run in %zu.",
        cases, group_name(r, g), x.words[CELL_BEST], record_holds(&x),
        x.words[CELL_WORSE] + x.words[CELL_FAILED], x.words[CELL_NOT_RUN]);
    if (same)
        add_takeaway(o, "The same leads everywhere: %s.", group_name(r, g));
    else
        add_takeaway(o, "Who leads depends on the case: %s.", leaders);
}

static json_t *numbers(struct report *r)
{
    json_t *o = json_object(), *cases = json_array(), *groups = json_array();
    bool several = r->matrix.columns > 1;
    for (size_t c = 0; several && c < r->matrix.columns; c++)
        json_array_append_new(cases, case_json(r, c));
    for (size_t g = 0; several && g < r->matrix.groups; g++)
        json_array_append_new(groups, record_json(r, g));
    json_object_set_new(o, "cases", cases);
    json_object_set_new(o, "groups", groups);
    json_object_set_new(o, "empty", json_boolean(!several));
    if (several)
        takeaways(r, o);
    return o;
}

/* ---- page ---- */

static void write_verdicts(const struct report *r, const json_t *n, struct html *h)
{
    const double delta = r->settings.rules.delta;
    const json_t *c;
    size_t i;
    html_table_open(
        h, NULL, "The verdict of each case",
        word_f("Case|Take|>%s|Confidence|As good, as far as is known", metric_of(r)));
    json_array_foreach(json_object_get(n, "cases"), i, c)
    {
        const struct verdict *v = r->matrix.verdicts[i];
        const char *others = "";
        for (size_t k = 1; k < v->tied_count && k <= 6; k++)
            others =
                word_f("%s%s%.60s", others, k > 1 ? ", " : "", group_name(r, v->tied[k]));
        html_row(h);
        html_head_cell(h, "%s", case_name(r, i));
        html_cell(h, "%s", json_get_str(c, "take", "nothing has results"));
        html_number(h, "%s",
                    v->ranked ? word_score(v->configs[v->ranking[0]].mean, delta) : "–");
        html_cell(h, "%s", json_get_str(c, "confidence", ""));
        html_cell(h, "%s%s", *others ? others : "–",
                  v->tied_count > 7 ? " and more" : "");
    }
    html_table_close(h);
}

/* Up to MATRIX_CASES of one sweep the selection matrix shows the same with more. */
enum { MAX_ROWS = 40, MATRIX_CASES = 3 };

static void write_words(const struct report *r, struct html *h)
{
    const double delta = r->settings.rules.delta;
    size_t *order = xcalloc(r->matrix.groups + 1, sizeof *order);
    struct buf head = BUF_INIT;
    matrix_order(&r->matrix, r->matrix.main_column, order);
    buf_str_add(&head, r->data.by_method ? "Method" : "Group");
    for (size_t c = 0; c < r->matrix.columns; c++)
        buf_printf(&head, "|%s", case_name(r, c));
    html_table_open(h, NULL,
                    "One matrix over all cases: the word against the best of each",
                    buf_str(&head));
    for (size_t i = 0; i < r->matrix.groups && i < MAX_ROWS; i++) {
        html_row(h);
        html_head_cell(h, "%s", group_name(r, order[i]));
        for (size_t c = 0; c < r->matrix.columns; c++) {
            const struct report_cell *cell = matrix_cell(&r->matrix, c, order[i]);
            buf_printf(&h->out, "<td class=\"cell w-%c\">",
                       cell_word_text(cell->word)[0]);
            html_el(h, "span", "word", "%s", cell_word_text(cell->word));
            if (cell->count)
                html_el(h, "span", "range", "%s", word_score(cell->verdict->mean, delta));
            html_raw(h, "</td>");
        }
    }
    html_table_close(h);
    if (r->matrix.groups > MAX_ROWS)
        html_el(h, "p", "note", "%zu more are in the selection matrix.",
                r->matrix.groups - MAX_ROWS);
    buf_release(&head);
    free(order);
}

static void write(const struct report *r, const json_t *n, struct html *h)
{
    write_verdicts(r, n, h);
    if (r->data.scope_count > 1 || r->matrix.columns > MATRIX_CASES)
        write_words(r, h);
}

const struct section section_overview = {"overview", "All cases at once", numbers, write};
