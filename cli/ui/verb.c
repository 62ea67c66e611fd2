/* cli/ui/verb.c - see verb.h and verbs.def. */
#include "cli/ui/verb.h"
#include "lib/buf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <stdlib.h>
#include <string.h>

enum { MOST_WORDS = 512, MOST_BYTES = 1 << 16 };

static const struct verb verbs[] = {
#define VERB(name, kind, line) {#name, VERB_##kind, line},
#include "cli/ui/verbs.def"
#undef VERB
};

const struct verb *verb_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (str_eq(verbs[i].name, name))
            return &verbs[i];
    return NULL;
}

/* A place of a line: "--jobs=" in front, the name, what its signs say. */
struct place {
    char front[64], name[32];
    bool number, list, optional, flag;
};

/* False: the word stands for itself. */
static bool read_place(const char *word, struct place *p)
{
    const char *open = strchr(word, '{'), *end = word + strlen(word) - 1;
    size_t n = open ? (size_t)(open - word) : 0, length;
    *p = (struct place){0};
    if (!open || *end != '}' || n >= sizeof p->front)
        return false;
    memcpy(p->front, word, n);
    p->flag = n && p->front[n - 1] == '?';
    if (p->flag)
        p->front[n - 1] = '\0';
    length = strspn(open + 1, "abcdefghijklmnopqrstuvwxyz_");
    if (length >= sizeof p->name)
        return false;
    memcpy(p->name, open + 1, length);
    for (const char *sign = open + 1 + length; sign < end; sign++) {
        p->number |= *sign == '#';
        p->list |= *sign == '*';
        p->optional |= *sign == '?';
    }
    return true;
}

static void add_word(struct verb_words *w, const char *front, const char *text)
{
    w->words[w->count++] = xasprintf("%s%s", front, text);
    w->words[w->count] = NULL;
}

/* A scalar as text; the caller's, NULL: it is none. */
static char *scalar(const json_t *v)
{
    if (json_is_string(v))
        return xstrdup(json_string_value(v));
    if (!json_is_number(v))
        return NULL;
    struct buf text = BUF_INIT;
    json_write(&text, v, 0);
    return buf_detach(&text, NULL);
}

static int add_value(struct verb_words *w, const struct place *p, const json_t *v,
                     struct err *err)
{
    char *text = scalar(v);
    const bool whole =
        text && *text && strlen(text) < 19 && !text[strspn(text, "0123456789")];
    int rc = 0;
    if (!text)
        rc = err_set(err, ERR_USAGE, "%s: a text or a number is wanted", p->name);
    else if (strlen(text) > MOST_BYTES)
        rc = err_set(err, ERR_USAGE, "%s: a value has more than %d bytes", p->name,
                     MOST_BYTES);
    else if (w->count + 1 >= MOST_WORDS)
        rc = err_set(err, ERR_USAGE, "%s: a command has more than %d words", p->name,
                     MOST_WORDS);
    else if (p->number && !whole)
        rc = err_set(err, ERR_USAGE, "%s: a whole number is wanted", p->name);
    else
        add_word(w, p->front, text);
    free(text);
    return rc;
}

/* "a,b" is a text; a list comes as a list, or as one text. */
static int add_place(struct verb_words *w, const struct place *p, const json_t *v,
                     struct err *err)
{
    const bool none = !v || json_is_null(v) ||
                      (json_is_string(v) && !*json_string_value(v) && p->optional) ||
                      (json_is_array(v) && !json_array_size(v));
    int rc = 0;
    if (p->flag) {
        const bool said = json_is_true(v) || str_eq(json_string_value(v), "true") ||
                          str_eq(json_string_value(v), "1");
        if (said)
            add_word(w, p->front, "");
        return 0;
    }
    if (none)
        return p->optional ? 0 : err_set(err, ERR_USAGE, "%s is missing", p->name);
    if (!json_is_array(v))
        return add_value(w, p, v, err);
    if (!p->list)
        return err_set(err, ERR_USAGE, "%s: one value is wanted", p->name);
    for (size_t i = 0; i < json_array_size(v) && rc == 0; i++)
        rc = add_value(w, p, json_array_get(v, i), err);
    return rc;
}

int verb_line(const struct verb *v, const json_t *args, const char *store,
              struct verb_words *out, struct err *err)
{
    char *line = xstrdup(v->line), *save = NULL;
    json_t *path = json_string(store);
    int rc = 0;
    out->words = xcalloc(MOST_WORDS + 1, sizeof *out->words);
    out->count = 0;
    add_word(out, "", "");
    for (char *word = strtok_r(line, " ", &save); word && rc == 0;
         word = strtok_r(NULL, " ", &save)) {
        struct place p;
        if (!read_place(word, &p))
            add_word(out, "", word);
        else
            rc = add_place(out, &p,
                           str_eq(p.name, "store") ? path : json_object_get(args, p.name),
                           err);
    }
    json_decref(path);
    free(line);
    if (rc < 0)
        verb_words_release(out);
    return rc;
}

void verb_words_release(struct verb_words *w)
{
    for (size_t i = 0; i < w->count; i++)
        free(w->words[i]);
    free(w->words);
    *w = (struct verb_words){0};
}

char *verb_shown(const struct verb_words *w)
{
    struct buf out = BUF_INIT;
    buf_str_add(&out, "peftlab");
    for (size_t i = 1; i < w->count; i++) {
        buf_char(&out, ' ');
        buf_shell_word(&out, w->words[i]);
    }
    return buf_detach(&out, NULL);
}
