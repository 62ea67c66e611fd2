/* report/page/glossary.c - see glossary.h. */
#include "report/page/glossary.h"
#include "lib/str.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *anchor, *text, *meaning;
} terms[TERM_COUNT] = {
#define TERM(anchor, text, meaning) {#anchor, text, meaning},
#include "report/page/glossary.def"
#undef TERM
};

/* Elements whose own text is sentences, and those whose text is left alone inside. */
static const char sentence_tags[] = "p|li|caption|dt", quiet_tags[] = "a|code|pre|svg";

struct walk {
    struct glossary *glossary;
    bool linked[TERM_COUNT]; /* in this section */
    size_t sentence, quiet;  /* how deep */
    struct buf *out;
};

/* ---- tags ---- */

/* Copies the tag at `at` and keeps the depths; returns its end. */
static const char *pass_tag(struct walk *w, const char *at)
{
    const char *end = strchr(at, '>');
    end = end ? end + 1 : at + strlen(at);
    bool closes = at[1] == '/';
    const char *name = at + 1 + closes;
    size_t n = strcspn(name, " \t\n/>");
    char word[16];
    snprintf(word, sizeof word, "%.*s", (int)n, name);
    size_t *depth = str_in_list(word, sentence_tags, '|') ? &w->sentence
                    : str_in_list(word, quiet_tags, '|')  ? &w->quiet
                                                          : NULL;
    if (depth && !closes)
        ++*depth;
    else if (depth && *depth)
        --*depth;
    buf_add(w->out, at, (size_t)(end - at));
    return end;
}

/* ---- words ---- */

static bool is_part(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("_-/=+", c));
}

/* Bytes of the term where it stands at `at` as words of its own; 0: it does not. */
static size_t matches(size_t term, const char *at)
{
    size_t n = strlen(terms[term].text);
    if (strncasecmp(at, terms[term].text, n) != 0)
        return 0;
    n += at[n] == 's' && !is_part(at[n + 1]);
    return is_part(at[n]) ? 0 : n;
}

/* The longest term that begins here. */
static size_t find_term(const char *at, size_t *length)
{
    size_t best = TERM_COUNT;
    *length = 0;
    for (size_t i = 0; i < TERM_COUNT; i++) {
        size_t n = matches(i, at);
        if (n > *length) {
            *length = n;
            best = i;
        }
    }
    return best;
}

/* Copies text up to the next tag, with links. */
static const char *pass_text(struct walk *w, const char *at)
{
    const char *end = strchrnul(at, '<');
    char before = ' ';
    if (!w->sentence || w->quiet) {
        buf_add(w->out, at, (size_t)(end - at));
        return end;
    }
    while (at < end) {
        size_t n = 0,
               term = is_part(before) || before == '.' ? TERM_COUNT : find_term(at, &n);
        if (term == TERM_COUNT || w->linked[term]) {
            n = n ? n : 1;
            buf_add(w->out, at, n);
        } else {
            w->linked[term] = w->glossary->used[term] = true;
            buf_printf(w->out, "<a class=\"term\" href=\"#word-%s\">%.*s</a>",
                       terms[term].anchor, (int)n, at);
        }
        before = at[n - 1];
        at += n;
    }
    return end;
}

void glossary_link(struct glossary *g, const struct html *section, struct html *page)
{
    struct walk w = {.glossary = g, .out = &page->out};
    for (const char *at = buf_str(&section->out); *at;)
        at = *at == '<' ? pass_tag(&w, at) : pass_text(&w, at);
}

void glossary_write(const struct glossary *g, struct html *h)
{
    html_open(h, "dl", "glossary");
    for (size_t i = 0; i < TERM_COUNT; i++) {
        if (!g->used[i])
            continue;
        buf_printf(&h->out, "<dt id=\"word-%s\">", terms[i].anchor);
        html_text(h, terms[i].text);
        html_raw(h, "</dt>");
        html_el(h, "dd", NULL, "%s", terms[i].meaning);
    }
    html_close(h, "dl");
}
