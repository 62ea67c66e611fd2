/* report/page/glossary.h - words that need a meaning, said once: at the end of the page.
 *
 * glossary.def has a row per term. What a section wrote is gone over once
 * (glossary_link): in sentences, list items and captions the first use of each term
 * becomes a link to its row. Tables, names, pictures, code and what folds open stay as
 * they are. Only terms that were linked are listed (glossary_write), so that a page
 * explains what it says and nothing else. */
#ifndef REPORT_PAGE_GLOSSARY_H
#define REPORT_PAGE_GLOSSARY_H

#include "report/page/html.h"
#include <stdbool.h>
#include <stddef.h>

enum glossary_term {
#define TERM(anchor, text, meaning) TERM_##anchor,
#include "report/page/glossary.def"
#undef TERM
    TERM_COUNT
};

struct glossary {
    bool used[TERM_COUNT];
};

/* Adds a section, as it was written, to the page with its terms linked. */
void glossary_link(struct glossary *g, const struct html *section, struct html *page);
/* The terms that were linked, as a list with anchors. */
void glossary_write(const struct glossary *g, struct html *h);

#endif
