/* cli/serve/bench/bench_values.c - see bench_values.h. */
#include "cli/serve/bench/bench_values.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

int bench_wrong(const char *key, const char *what, struct err *err)
{
    return err_set(err, ERR_CONFIG, "%s: %s", key, what);
}

/* A number, or a text of a number and one of the units; NaN: neither. */
static double quantity(const json_t *v, const char *const *units, const double *factors,
                       double plain)
{
    char *end;
    if (json_is_number(v))
        return json_number_value(v) * plain;
    const char *text = json_string_value(v);
    if (!text)
        return NAN;
    const double x = strtod(text, &end);
    for (size_t i = 0; units[i] && end > text; i++)
        if (str_eq(end + strspn(end, " "), units[i]))
            return x * factors[i];
    return NAN;
}

double bench_seconds_of(const json_t *v)
{
    return quantity(v, (const char *const[]){"ms", "s", "min", NULL},
                    (const double[]){1e-3, 1, 60}, 1);
}

double bench_bytes_of(const json_t *v)
{
    return quantity(v, (const char *const[]){"KiB", "MiB", "GiB", "MB", "GB", NULL},
                    (const double[]){1024, 1048576, 1073741824, 1e6, 1e9}, 1);
}

int bench_seconds_at(const json_t *o, const char *key, double least, double most,
                     double *out, struct err *err)
{
    const json_t *v = json_object_get(o, key);
    if (!v)
        return 0;
    *out = bench_seconds_of(v);
    return *out >= least && *out <= most
               ? 0
               : bench_wrong(key, "a duration is meant, as 120s, 50ms or 2min", err);
}

int bench_integer_at(const json_t *o, const char *key, int64_t least, int64_t most,
                     int64_t *out, struct err *err)
{
    const json_t *v = json_object_get(o, key);
    if (!v)
        return 0;
    *out = json_integer_value(v);
    return json_is_integer(v) && *out >= least && *out <= most
               ? 0
               : err_set(err, ERR_CONFIG, "%s: a whole number from %lld to %lld is meant",
                         key, (long long)least, (long long)most);
}

int bench_check_keys(const json_t *o, const char *where, const char *const *known,
                     struct err *err)
{
    const char *key;
    json_t *v;
    if (!json_is_object(o))
        return bench_wrong(where, "keys and values are meant", err);
    json_object_foreach((json_t *)o, key, v)
    {
        size_t i = 0;
        while (known[i] && !str_eq(known[i], key))
            i++;
        if (!known[i])
            return err_set(err, ERR_CONFIG, "%s: unknown key '%s'", where, key);
    }
    return 0;
}

int bench_numbers(const json_t *v, const char *key, const char *word, double most,
                  double *out, size_t *count, bool *has_word, struct err *err)
{
    const size_t n = json_is_array(v) ? json_array_size(v) : 1;
    for (size_t i = 0; i < n; i++) {
        const json_t *x = json_is_array(v) ? json_array_get(v, i) : v;
        if (word && str_eq(json_string_value(x), word)) {
            *has_word = true;
            continue;
        }
        if (!json_is_number(x) || *count == BENCH_LIST_MOST || json_number_value(x) < 0 ||
            json_number_value(x) > most)
            return err_set(err, ERR_CONFIG,
                           "%s: up to %d numbers of at most %g are meant", key,
                           BENCH_LIST_MOST, most);
        out[(*count)++] = json_number_value(x);
    }
    return 0;
}
