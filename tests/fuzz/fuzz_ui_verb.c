/* Bodies of the page's buttons: whatever they hold, each word of the command line is one of
 * the table's own, "--flag=VALUE" of a flag of the table, or stands behind "--". */
#include "cli/ui/verb.h"
#include "lib/json.h"
#include "lib/str.h"
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The line has the flag up to its '='. */
static bool is_flag_of(const struct verb *v, const char *word)
{
    const size_t n = strcspn(word, "=");
    for (const char *at = strstr(v->line, "--"); at; at = strstr(at + 2, "--"))
        if (!strncmp(at, word, n) && strchr("=? ", at[n]))
            return true;
    return false;
}

static void check(const struct verb *v, const struct verb_words *w)
{
    bool behind = false;
    for (size_t i = 1; i < w->count && !behind; i++) {
        behind = str_eq(w->words[i], "--");
        if (!behind && w->words[i][0] == '-' && !is_flag_of(v, w->words[i]))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = ERR_INIT;
    struct verb_words words;
    json_t *args = json_parse((const char *)data, size, "body", &e);
    const struct verb *v = verb_find(json_get_str(args, "verb", ""));
    err_clear(&e);
    if (v && verb_line(v, args, "/s.db", &words, &e) == 0) {
        check(v, &words);
        free(verb_shown(&words));
        verb_words_release(&words);
    } else if (v && e.code != ERR_USAGE) {
        abort();
    }
    json_decref(args);
    return 0;
}
