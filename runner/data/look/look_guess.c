/* runner/data/look/look_guess.c - which column is the text, which the label, and of what
 * kind: names that data sets use first, then what the values are. */
#include "lib/buf.h"
#include "lib/json.h"
#include "lib/str.h"
#include "runner/data/lines.h"
#include "runner/data/look/look.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

const char *const look_kind_words[LOOK_KIND_COUNT] = {
#define X(name, words) words,
    LOOK_KINDS(X)
#undef X
};

/* By preference. */
static const char *const text_names[] = {
    "text",    "sentence",  "review", "content",  "body",        "comment", "tweet",
    "message", "utterance", "query",  "question", "description", "title",   "document"};
static const char *const label_names[] = {
    "label", "labels", "class", "category", "target", "sentiment", "intent",
    "topic", "tag",    "tags",  "score",    "rating", "stars",     "y"};
static const struct {
    const char *first, *second;
} pair_names[] = {
    {"text", "text_pair"},      {"sentence1", "sentence2"}, {"premise", "hypothesis"},
    {"question1", "question2"}, {"question", "answer"},     {"question", "sentence"},
    {"question", "passage"},    {"query", "passage"},       {"query", "document"},
    {"text_a", "text_b"},       {"text1", "text2"}};

/* More values than these are measurements, not classes. */
enum { CLASSES_MOST = 50 };

static bool is_mostly(const struct look_column *c, enum look_type t)
{
    return c && c->filled && c->types[t] * 10 >= c->filled * 9;
}

static const struct look_column *any_case(const struct look_file *f, const char *name)
{
    for (size_t i = 0; i < f->column_count; i++)
        if (!strcasecmp(f->columns[i].name, name))
            return &f->columns[i];
    return NULL;
}

static const struct look_column *named_text(const struct look_file *f, const char *name)
{
    const struct look_column *c = any_case(f, name);
    return is_mostly(c, LOOK_text) ? c : NULL;
}

static double mean_chars(const struct look_column *c)
{
    return c->types[LOOK_text] ? c->chars / (double)c->types[LOOK_text] : 0;
}

/* --- what the user names --- */

static int no_column(const struct look_file *f, const char *what, const char *name,
                     struct err *err)
{
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < f->column_count && b.len < 300; i++)
        buf_printf(&b, "%s%s", i ? ", " : "", f->columns[i].name);
    const int rc =
        name ? err_set(err, ERR_CONFIG, "data file '%s': no column '%s'; it has %s",
                       f->path, name, buf_str(&b))
             : err_set(err, ERR_CONFIG,
                       "data file '%s': no column looks like %s (it has %s); "
                       "name it",
                       f->path, what, buf_str(&b));
    buf_release(&b);
    return rc;
}

static int check_given(const struct look_file *f, const struct look_roles *given,
                       struct err *err)
{
    const char *const names[] = {given->text, given->pair, given->label};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i] && !look_column(f, names[i]))
            return no_column(f, NULL, names[i], err);
    return 0;
}

/* --- text --- */

static const struct look_column *longest_text(const struct look_file *f, const char *but)
{
    const struct look_column *best = NULL;
    for (size_t i = 0; i < f->column_count; i++) {
        const struct look_column *c = &f->columns[i];
        if (is_mostly(c, LOOK_text) && !str_eq(c->name, but) &&
            (!best || mean_chars(c) > mean_chars(best)))
            best = c;
    }
    return best;
}

static bool find_pair(const struct look_file *f, struct look_roles *r)
{
    for (size_t i = 0; i < sizeof pair_names / sizeof pair_names[0]; i++) {
        const struct look_column *a = named_text(f, pair_names[i].first),
                                 *b = named_text(f, pair_names[i].second);
        if (!a || !b || str_eq(b->name, r->label) ||
            (r->text && !str_eq(r->text, a->name)))
            continue;
        r->text = a->name;
        r->pair = b->name;
        return true;
    }
    return false;
}

static void find_text(const struct look_file *f, struct look_roles *r)
{
    if (!r->pair && find_pair(f, r))
        return;
    for (size_t i = 0; !r->text && i < sizeof text_names / sizeof text_names[0]; i++) {
        const struct look_column *c = named_text(f, text_names[i]);
        if (c && !str_eq(c->name, r->label))
            r->text = c->name;
    }
    const struct look_column *c = r->text ? NULL : longest_text(f, r->label);
    if (c)
        r->text = c->name;
}

/* --- label --- */

/* Numbers that count the rows say nothing about them. */
static bool is_id(const struct look_file *f, const struct look_column *c)
{
    return !strcasecmp(c->name, "id") || !strcasecmp(c->name, "index") ||
           str_has_suffix(c->name, "_id") || str_has_suffix(c->name, "Id") ||
           (c->types[LOOK_whole] == f->count && (c->many || c->value_count == f->count));
}

/* Could a model learn it: a few values that come back, or numbers? */
static bool is_label(const struct look_file *f, const struct look_column *c)
{
    if (is_id(f, c) || c->filled * 2 < f->count)
        return false;
    return is_mostly(c, LOOK_list) || c->types[LOOK_fraction] ||
           (!c->many && c->value_count >= 2 && c->value_count * 2 <= c->filled + 2);
}

static const char *few_values(const struct look_file *f, const struct look_roles *r)
{
    const struct look_column *best = NULL;
    for (size_t i = 0; i < f->column_count; i++) {
        const struct look_column *c = &f->columns[i];
        const bool taken = str_eq(c->name, r->text) || str_eq(c->name, r->pair);
        if (!taken && is_label(f, c) && !c->many &&
            (!best || c->value_count < best->value_count))
            best = c;
    }
    return best ? best->name : NULL;
}

static void find_label(const struct look_file *f, struct look_roles *r)
{
    for (size_t i = 0; !r->label && i < sizeof label_names / sizeof label_names[0]; i++) {
        const struct look_column *c = any_case(f, label_names[i]);
        if (c && !str_eq(c->name, r->text) && is_label(f, c))
            r->label = c->name;
    }
}

static bool holds_texts(const struct look_column *c)
{
    for (size_t i = 0; i < c->value_count; i++)
        if (strchr(c->values[i].text, '"'))
            return true;
    return false;
}

static enum look_kind kind_of(const struct look_column *c)
{
    const bool numbers = !c->types[LOOK_text] && !c->types[LOOK_list];
    if (c->types[LOOK_list])
        return holds_texts(c) ? LOOK_KIND_sets : LOOK_KIND_numbers;
    if (numbers && (c->types[LOOK_fraction] || c->least < 0 || c->many ||
                    c->value_count > CLASSES_MOST))
        return LOOK_KIND_numbers;
    return LOOK_KIND_classes;
}

/* --- rows of a language model --- */

static bool is_language(const struct look_file *f, struct look_guess *g)
{
    const struct look_column *messages = any_case(f, "messages"),
                             *prompt = named_text(f, "prompt"),
                             *completion = named_text(f, "completion");
    if (!messages)
        messages = any_case(f, "conversations");
    if (is_mostly(messages, LOOK_list)) {
        g->kind = LOOK_KIND_messages;
        g->roles.text = messages->name;
    } else if (prompt && completion) {
        g->kind = LOOK_KIND_completions;
        g->roles.text = prompt->name;
        g->roles.pair = completion->name;
    } else {
        return false;
    }
    snprintf(g->why, sizeof g->why, "its rows have '%.80s'", g->roles.text);
    return true;
}

static void tell(struct look_guess *g, const struct look_roles *given)
{
    struct buf b = BUF_INIT;
    buf_printf(&b, "the text is '%.60s'%s", g->roles.text, given->text ? " as told" : "");
    if (g->roles.pair)
        buf_printf(&b, ", the second text '%.60s'", g->roles.pair);
    if (g->roles.label)
        buf_printf(&b, ", the label '%.60s'%s", g->roles.label,
                   given->label ? " as told" : "");
    snprintf(g->why, sizeof g->why, "%s", buf_str(&b));
    buf_release(&b);
}

int look_guess(const struct look_file *f, const struct look_roles *given,
               struct look_guess *out, struct err *err)
{
    *out = (struct look_guess){.roles = *given};
    int rc = check_given(f, given, err);
    if (rc || (!given->text && !given->label && is_language(f, out)))
        return rc;
    find_label(f, &out->roles);
    find_text(f, &out->roles);
    if (!out->roles.text)
        return no_column(f, "a text", NULL, err);
    if (!out->roles.label)
        out->roles.label = few_values(f, &out->roles);
    const struct look_column *label = look_column(f, out->roles.label);
    out->kind = label ? kind_of(label) : LOOK_KIND_texts;
    tell(out, given);
    return 0;
}

/* --- a row by these roles --- */

static const json_t *value_of(const struct look_file *f, size_t i, const char *name)
{
    const json_t *v = name ? json_object_get(f->rows[i], name) : NULL;
    const char *s = json_string_value(v);
    const bool blank = s && lines_is_blank(s, json_string_length(v));
    return !v || json_is_null(v) || blank ? NULL : v;
}

bool look_is_whole(const struct look_file *f, const struct look_guess *g, size_t i)
{
    return value_of(f, i, g->roles.text) &&
           (!g->roles.pair || value_of(f, i, g->roles.pair)) &&
           (!g->roles.label || value_of(f, i, g->roles.label));
}

/* Words alone: case and blanks say nothing. */
static void add_words(const json_t *v, struct buf *out)
{
    struct buf list = BUF_INIT;
    const char *s = json_string_value(v);
    if (v && !s) {
        json_canonical(&list, v);
        s = buf_str(&list);
    }
    for (; s && *s; s++)
        if (!isspace((unsigned char)*s))
            buf_char(out, (char)tolower((unsigned char)*s));
    buf_char(out, '\n');
    buf_release(&list);
}

bool look_text_of(const struct look_file *f, const struct look_guess *g, size_t i,
                  struct buf *out)
{
    buf_clear(out);
    if (!value_of(f, i, g->roles.text))
        return false;
    add_words(value_of(f, i, g->roles.text), out);
    if (g->roles.pair)
        add_words(value_of(f, i, g->roles.pair), out);
    return true;
}

void look_label_of(const struct look_file *f, const struct look_guess *g, size_t i,
                   struct buf *out)
{
    const json_t *v = value_of(f, i, g->roles.label);
    buf_clear(out);
    if (v)
        json_canonical(out, v);
}
