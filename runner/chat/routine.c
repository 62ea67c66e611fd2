/* runner/chat/routine.c - arguments of filters, tests, methods and functions; see
 * routine.h. */
#include "runner/chat/run.h"
#include <string.h>

const struct routine *routine_in(const struct routine *rows, size_t n,
                                 const struct string *name)
{
    for (size_t i = 0; i < n; i++)
        if (string_is(name, rows[i].name))
            return &rows[i];
    return NULL;
}

/* The place of a name among "a b c", or the number of names. */
static size_t parameter(const char *params, const struct string *name, size_t *count)
{
    size_t found = SIZE_MAX;
    *count = 0;
    while (*params) {
        size_t n = strcspn(params, " ");
        if (name && n == name->bytes && memcmp(params, name->text, n) == 0)
            found = *count;
        ++*count;
        params += n + (params[n] == ' ');
    }
    return found;
}

int routine_run(struct run *r, const struct routine *row, const char *what,
                struct call *c, struct value *out)
{
    size_t count;
    if (strcmp(row->params, "*") == 0)
        return row->run(r, c, out);
    parameter(row->params, NULL, &count);
    if (c->n > count)
        return run_error(r, "%s '%s' takes %zu argument%s here, not %zu", what, row->name,
                         count, count == 1 ? "" : "s", c->n);
    for (size_t i = 0; i < c->n_named; i++) {
        size_t k = parameter(row->params, c->name[i], &count);
        if (k == SIZE_MAX)
            return run_error(r, "%s '%s' takes no argument '%s' here", what, row->name,
                             c->name[i]->text);
        if (k < c->n || c->at[k].kind != V_MISSING)
            return run_error(r, "%s '%s': argument '%s' is given twice", what, row->name,
                             c->name[i]->text);
        c->at[k] = c->named[i];
    }
    for (size_t i = 0; i < row->required; i++)
        if (c->at[i].kind == V_MISSING)
            return run_error(r, "%s '%s' wants %zu argument%s", what, row->name,
                             row->required, row->required == 1 ? "" : "s");
    return row->run(r, c, out);
}
