/* report/advise/priors.c - see priors.h. */
#include "report/advise/priors.h"
#include "lib/embed.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <math.h>
#include <stdlib.h>

EMBED(builtin_priors, "report/data/priors.json");

enum { MAX_ROWS = 2000 };

static const char *const directions[] = {"higher", "lower", "equal", "advice"};
static const char *const words[] = {"agrees", "disagrees", "open", "out of scope"};

static int find_direction(const char *text)
{
    for (size_t i = 0; i < ARRAY_LEN(directions); i++)
        if (str_eq(text, directions[i]))
            return (int)i;
    return -1;
}

static struct prior_scope read_scope(const json_t *row)
{
    return (struct prior_scope){
        .task = json_get_str(row, "task", NULL),
        .rows_min = json_get_num(row, "rows_min", 0),
        .rows_max = json_get_num(row, "rows_max", INFINITY),
        .base = json_get_str(row, "base", NULL),
        .hardware = json_get_str(row, "hardware", NULL),
    };
}

/* The first key of a claim that is missing or wrong; NULL: it is whole. */
static const char *wrong_key(const struct prior *p, int direction, const json_t *scope)
{
    return !*p->id                                     ? "id"
           : !*p->claim                                ? "claim"
           : direction < 0                             ? "direction"
           : !json_is_object(scope)                    ? "scope"
           : !(p->scope.rows_min <= p->scope.rows_max) ? "scope.rows_min"
           : !*p->better                               ? "better"
           : direction != PRIOR_ADVICE && !*p->worse   ? "worse"
           : direction != PRIOR_ADVICE && !*p->metric  ? "metric"
           : !*p->source                               ? "source"
           : !str_in_list(p->strength, "A|B|C|D", '|') ? "strength"
           : !str_in_list(p->mark, "V|C|M", '|')       ? "mark"
                                                       : NULL;
}

static int read_claim(const json_t *row, size_t i, const char *name, struct prior *p,
                      struct err *err)
{
    const json_t *scope = json_object_get(row, "scope");
    int direction = find_direction(json_get_str(row, "direction", ""));
    *p = (struct prior){
        .id = json_get_str(row, "id", ""),
        .claim = json_get_str(row, "claim", ""),
        .scope = read_scope(scope),
        .better = json_get_str(row, "better", ""),
        .worse = json_get_str(row, "worse", ""),
        .better_with = json_object_get(row, "better_with"),
        .worse_with = json_object_get(row, "worse_with"),
        .metric = json_get_str(row, "metric", ""),
        .direction = direction < 0 ? PRIOR_ADVICE : (enum prior_direction)direction,
        .number = json_get_str(row, "number", NULL),
        .source = json_get_str(row, "source", ""),
        .strength = json_get_str(row, "strength", ""),
        .mark = json_get_str(row, "mark", ""),
        .counter = json_get_str(row, "counter", NULL),
    };
    const char *bad = wrong_key(p, direction, scope);
    return bad ? err_set(err, ERR_CONFIG,
                         "priors '%s': claim %zu: '%s' is missing or wrong", name, i + 1,
                         bad)
               : 0;
}

static int read_default(const json_t *row, size_t i, const char *name,
                        struct prior_default *d, struct err *err)
{
    *d = (struct prior_default){
        .id = json_get_str(row, "id", ""),
        .situation = json_get_str(row, "situation", ""),
        .first = json_get_str(row, "first", ""),
        .then = json_get_str(row, "then", ""),
        .avoid = json_get_str(row, "avoid", ""),
        .why = json_get_str(row, "why", ""),
        .served = json_get_str(row, "served", ""),
        .conditions = json_object_get(row, "conditions"),
    };
    if (*d->id && *d->situation && *d->first && json_is_object(d->conditions))
        return 0;
    return err_set(err, ERR_CONFIG,
                   "priors '%s': default %zu needs id, situation, first and conditions",
                   name, i + 1);
}

int priors_parse(const char *text, size_t len, const char *name, struct priors *out,
                 struct err *err)
{
    json_t *row;
    size_t i;
    int rc = 0;
    *out = (struct priors){.file = json_parse(text, len, name, err)};
    if (!out->file)
        return err_context(err, "priors: ");
    json_t *claims = json_object_get(out->file, "priors"),
           *defaults = json_object_get(out->file, "defaults");
    if (!json_is_array(claims) || json_array_size(claims) > MAX_ROWS ||
        json_array_size(defaults) > MAX_ROWS)
        rc = err_set(err, ERR_CONFIG,
                     "priors '%s': 'priors' must be a list of at most %d claims", name,
                     MAX_ROWS);
    out->claims = xcalloc(json_array_size(claims) + 1, sizeof *out->claims);
    out->defaults = xcalloc(json_array_size(defaults) + 1, sizeof *out->defaults);
    json_array_foreach(claims, i, row)
    {
        rc = rc ? rc : read_claim(row, i, name, &out->claims[i], err);
        out->claim_count += !rc;
    }
    json_array_foreach(defaults, i, row)
    {
        rc = rc ? rc : read_default(row, i, name, &out->defaults[i], err);
        out->default_count += !rc;
    }
    if (rc)
        priors_release(out);
    return rc;
}

int priors_load(struct priors *out, struct err *err)
{
    int rc = priors_parse(builtin_priors, builtin_priors_size, "priors.json", out, err);
    return rc ? err_context(err, "built-in file, this is a bug: ") : 0;
}

void priors_release(struct priors *p)
{
    free(p->claims);
    free(p->defaults);
    json_decref(p->file);
    *p = (struct priors){0};
}

bool prior_in_scope(const struct prior *p, const char *task, double rows)
{
    const struct prior_scope *s = &p->scope;
    if (task && s->task && !str_in_list(task, s->task, '|'))
        return false;
    bool any_rows = s->rows_min <= 0 && isinf(s->rows_max);
    return any_rows || (rows >= s->rows_min && rows <= s->rows_max);
}

static bool on_side(const char *methods, const json_t *with, const char *method,
                    const json_t *params)
{
    const char *key;
    json_t *value;
    if (!str_in_list(method, methods, '|'))
        return false;
    json_object_foreach((json_t *)with, key, value)
    {
        if (!json_equal(json_object_get(params, key), value))
            return false;
    }
    return true;
}

bool prior_is_better(const struct prior *p, const char *method, const json_t *params)
{
    return on_side(p->better, p->better_with, method, params);
}

bool prior_is_worse(const struct prior *p, const char *method, const json_t *params)
{
    return on_side(p->worse, p->worse_with, method, params);
}

enum prior_word prior_judge(const struct prior *p, double low, double high, double delta)
{
    if (!isfinite(low) || !isfinite(high) || p->direction == PRIOR_ADVICE)
        return PRIOR_SILENT;
    if (p->direction == PRIOR_EQUAL)
        return low > -delta && high < delta   ? PRIOR_AGREES
               : low > delta || high < -delta ? PRIOR_DISAGREES
                                              : PRIOR_SILENT;
    if (p->direction == PRIOR_LOWER) {
        double turned = -low;
        low = -high;
        high = turned;
    }
    return low > 0 ? PRIOR_AGREES : high < 0 ? PRIOR_DISAGREES : PRIOR_SILENT;
}

const char *prior_word_text(enum prior_word w)
{
    return words[w];
}
