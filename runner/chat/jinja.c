/* runner/chat/jinja.c - see jinja.h. */
#include "runner/chat/jinja.h"
#include "lib/mem.h"
#include "runner/chat/syntax.h"
#include <stdlib.h>
#include <string.h>

void jinja_output_init(struct jinja_output *o)
{
    *o = (struct jinja_output){0};
    buf_init(&o->text, JINJA_OUTPUT_BYTES_MAX);
}

void jinja_output_release(struct jinja_output *o)
{
    buf_release(&o->text);
    free(o->spans);
    o->spans = NULL;
    o->n_spans = o->spans_cap = 0;
}

/* Name 0 is the empty one, so that 0 never is a variable. */
static void first_name(struct jinja *j)
{
    j->names = strmap_new();
    j->name_of = xgrow(NULL, &j->names_cap, 1, sizeof *j->name_of);
    j->name_of[j->n_names++] = string_new(&j->arena, "", 0);
}

static int check_text(const char *text, size_t len, struct err *err)
{
    if (len > JINJA_TEMPLATE_BYTES_MAX)
        return err_set(err, ERR_PARSE, "template: longer than %zu MiB",
                       JINJA_TEMPLATE_BYTES_MAX >> 20);
    for (size_t at = 0, before; at < len;) {
        before = at;
        if (utf8_next(text, len, &at) == 0xfffd && at == before + 1)
            return err_set(err, ERR_PARSE, "template: not UTF-8 at byte %zu", before);
    }
    return 0;
}

int jinja_parse(const char *text, size_t len, struct jinja **out, struct err *err)
{
    struct tokens_read tokens = {0};
    *out = NULL;
    int rc = check_text(text, len, err);
    if (rc < 0)
        return rc;
    struct jinja *j = xcalloc(1, sizeof *j);
    j->arena.max = JINJA_MEMORY_BYTES_MAX;
    j->text = xstrndup(text, len);
    first_name(j);
    rc = jinja_lex(text, len, &j->arena, &tokens, err);
    if (rc >= 0)
        rc = parse_template(j, tokens.at, err);
    free(tokens.at);
    if (rc < 0)
        jinja_free(j);
    else
        *out = j;
    return rc;
}

void jinja_free(struct jinja *j)
{
    if (!j)
        return;
    arena_release(&j->arena);
    strmap_free(j->names);
    free(j->nodes);
    free(j->name_of);
    free(j->text);
    free(j);
}

bool jinja_has_generation(const struct jinja *j)
{
    return j->generation;
}

bool jinja_mentions(const struct jinja *j, const char *name)
{
    return strstr(j->text, name) != NULL;
}
