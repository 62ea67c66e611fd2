/* cli/ui/verb.h - the buttons of the page as command lines (verbs.def). */
#ifndef CLI_UI_VERB_H
#define CLI_UI_VERB_H

#include "lib/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum verb_kind { VERB_QUICK, VERB_LONG };

struct verb {
    const char *name;
    enum verb_kind kind;
    const char *line;
};
const struct verb *verb_find(const char *name); /* NULL: there is none such */

/* The words behind the program's name. */
struct verb_words {
    char *
        *words; /* ended by NULL, with room for the program in front: words[0] is empty */
    size_t count;
};
/* ERR_USAGE where a value is missing or of another kind; empty *out then. */
int verb_line(const struct verb *v, const json_t *args, const char *store,
              struct verb_words *out, struct err *err);
void verb_words_release(struct verb_words *w);
/* "peftlab sweep stop --store=s.db -- 3" as a shell takes it. Caller frees. */
char *verb_shown(const struct verb_words *w);

#endif
