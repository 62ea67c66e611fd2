/* runner/train/profile.c - see profile.h. */
#include "runner/train/profile.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/text_table.h"
#include "runner/train/calibrate.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void ran(struct graph_watch *w, enum op op, const struct op_args *args,
                double seconds)
{
    struct profile *p = (struct profile *)w;
    if (!p->on)
        return;
    p->ops[op].calls++;
    p->ops[op].seconds += seconds;
    p->ops[op].flops += op_flops(op, args);
}

void profile_init(struct profile *p)
{
    *p = (struct profile){.watch.ran = ran};
}

void profile_begin(struct profile *p)
{
    p->on = true;
    p->began_s = clock_mono_s();
}

void profile_end(struct profile *p)
{
    p->on = false;
    p->seconds += clock_mono_s() - p->began_s;
}

static json_t *row(const char *name, int64_t calls, double seconds, double flops,
                   double peak, double all)
{
    json_t *o = json_object();
    json_object_set_new(o, "op", json_string(name));
    json_object_set_new(o, "calls", json_integer(calls));
    json_object_set_new(o, "ms", json_real(1e3 * seconds));
    if (flops > 0 && seconds > 0) {
        json_object_set_new(o, "gflop_per_s", json_real(1e-9 * flops / seconds));
        json_object_set_new(o, "share_of_peak", json_real(flops / seconds / peak));
    }
    if (all > 0)
        json_object_set_new(o, "share_of_step", json_real(seconds / all));
    return o;
}

static const struct profile *sorted; /* of by_time; qsort has no context */

static int by_time(const void *a, const void *b)
{
    const double x = sorted->ops[*(const int *)a].seconds,
                 y = sorted->ops[*(const int *)b].seconds;
    return x < y ? 1 : -(x > y);
}

json_t *profile_json(const struct profile *p, const struct backend *backend)
{
    const double peak = calibrate_peak(backend).flops_per_s;
    json_t *list = json_array();
    int order[OP_COUNT];
    int64_t calls = 0;
    double seconds = 0, flops = 0;
    for (int op = 0; op < OP_COUNT; op++)
        order[op] = op;
    sorted = p;
    qsort(order, OP_COUNT, sizeof *order, by_time);
    for (int i = 0; i < OP_COUNT; i++) {
        const int op = order[i];
        if (!p->ops[op].calls)
            continue;
        json_array_append_new(list,
                              row(op_info[op].name, p->ops[op].calls, p->ops[op].seconds,
                                  p->ops[op].flops, peak, p->seconds));
        calls += p->ops[op].calls;
        seconds += p->ops[op].seconds;
        flops += p->ops[op].flops;
    }
    json_array_append_new(list, row("(outside of ops)", 0, fmax(0, p->seconds - seconds),
                                    0, peak, p->seconds));
    json_array_append_new(list, row("(all)", calls, p->seconds, flops, peak, p->seconds));
    return list;
}

static char *cell(const json_t *o, const char *key, double factor, const char *unit,
                  int digits)
{
    return json_object_get(o, key)
               ? xasprintf("%.*f%s", digits, factor * json_get_num(o, key, 0), unit)
               : xstrdup("");
}

void profile_print(const json_t *result, FILE *f)
{
    static const char *const headings[] = {"op",      "calls",     "ms",
                                           "GFLOP/s", "% of peak", "% of time"};
    const json_t *rows = json_object_get(result, "profile"),
                 *machine = json_object_get(result, "machine");
    struct text_table *t = text_table_new(headings, "lrrrrr", ARRAY_LEN(headings));
    json_t *o;
    size_t i;
    json_array_foreach((json_t *)rows, i, o)
    {
        char *cells[] = {xstrdup(json_get_str(o, "op", "")),
                         cell(o, "calls", 1, "", 0),
                         cell(o, "ms", 1, "", 2),
                         cell(o, "gflop_per_s", 1, "", 1),
                         cell(o, "share_of_peak", 100, "", 1),
                         cell(o, "share_of_step", 100, "", 1)};
        text_table_row(t, (const char *const *)cells);
        for (size_t k = 0; k < ARRAY_LEN(cells); k++)
            free(cells[k]);
    }
    text_table_print(t, f);
    text_table_free(t);
    text_print(f, "peak: %.1f GFLOP/s (%s)\n",
               1e-9 * json_get_num(machine, "peak_flops_per_s", NAN),
               json_get_str(machine, "peak_of", "?"));
}
