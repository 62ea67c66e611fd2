/* report/sections/tasks/bench_tables.c - what benches of the tasks' bases measured: the highest
 * rate by number of adapters, skew and slots, and the simulation beside the measurement. */
#include "lib/json.h"
#include "lib/mem.h"
#include "report/page/words.h"
#include "report/sections/tasks/tasks_parts.h"
#include "tracker/view/served.h"
#include <math.h>

/* The open point of a setting that is nearest to 70 % of its highest rate; NULL: none. */
static const struct bench_point *point_of(const struct served *b, int64_t setting)
{
    const struct bench_point *best = NULL;
    for (size_t i = 0; i < b->point_count; i++) {
        const struct bench_point *p = &b->points[i];
        if (p->setting != setting || isnan(p->share) || p->generator_late)
            continue;
        if (!best || fabs(p->share - .7) < fabs(best->share - .7))
            best = p;
    }
    return best;
}

static json_t *setting_json(const struct served *b, const struct bench_setting *x)
{
    const struct bench_point *p = point_of(b, x->number);
    json_t *o = json_pack("{s:I, s:s, s:s, s:I, s:s, s:I}", "bench", (json_int_t)b->id,
                          "base", b->model, "answers", bench_kind_names[x->kind],
                          "adapters", (json_int_t)x->adapters, "popularity",
                          x->popularity, "slots", (json_int_t)x->slots);
    put_number(o, "limit_ms", b->limit_ms);
    put_number(o, "rate", x->rate);
    put_number(o, "rate_low", x->rate_low);
    put_number(o, "rate_high", x->rate_high);
    put_number(o, "phi", x->phi);
    put_number(o, "phi_low", x->phi_low);
    put_number(o, "phi_high", x->phi_high);
    put_number(o, "fixed_ms", 1000 * x->fixed_s);
    put_number(o, "token_ms", 1000 * x->token_s);
    put_number(o, "row_ms", 1000 * x->row_s);
    put_number(o, "adapter_ms", 1000 * x->adapter_s);
    put_number(o, "cold_ms", 1000 * x->cold_s);
    put_number(o, "residual_ms", 1000 * x->residual_s);
    json_object_set_new(o, "batches", json_integer((json_int_t)x->batches));
    put_number(o, "point_share", p ? p->share : NAN);
    put_number(o, "p99_ms", p ? p->p99_ms : NAN);
    put_number(o, "simulated_p99_ms", p ? p->simulated_p99_ms : NAN);
    return o;
}

json_t *surface_json(const struct report *r, const struct tasks *t)
{
    json_t *list = json_array();
    for (size_t base = 0; base < t->base_count; base++) {
        struct served_list l;
        if (served_read(r->store, t->bases[base].name, &l, NULL) != 0)
            continue;
        for (size_t i = 0; i < l.count; i++)
            for (size_t k = 0; k < l.benches[i].setting_count; k++)
                json_array_append_new(
                    list, setting_json(&l.benches[i], &l.benches[i].settings[k]));
        served_release(&l);
    }
    return list;
}

static const char *between(const json_t *o, const char *low, const char *high,
                           const char *fmt)
{
    const double a = json_get_num(o, low, NAN), b = json_get_num(o, high, NAN);
    return isnan(a) || isnan(b) ? "–"
                                : word_f("%s to %s", word_f(fmt, a), word_f(fmt, b));
}

static const char *number(const json_t *o, const char *key, const char *fmt)
{
    const double v = json_get_num(o, key, NAN);
    return isnan(v) ? "–" : word_f(fmt, v);
}

static void write_batch_costs(const json_t *surface, struct html *h)
{
    static const char *const keys[] = {"fixed_ms",   "token_ms", "row_ms",
                                       "adapter_ms", "cold_ms",  "residual_ms"};
    const json_t *o;
    size_t i;
    html_fold_open(h, "What a batch costs there");
    html_table_open(
        h, NULL, "A batch, fitted: ms",
        "Bench|What answers|>Adapters|>A batch|>A token|>A row|>An adapter in "
        "it|>An adapter that is loaded|>Left over, sd|>Batches");
    json_array_foreach((json_t *)surface, i, o)
    {
        html_row(h);
        html_head_cell(h, "%lld", (long long)json_get_int(o, "bench", 0));
        html_cell(h, "%s", json_get_str(o, "answers", ""));
        html_number(h, "%lld", (long long)json_get_int(o, "adapters", 0));
        for (size_t k = 0; k < ARRAY_LEN(keys); k++)
            html_number(h, "%s", number(o, keys[k], "%.3g"));
        html_number(h, "%lld", (long long)json_get_int(o, "batches", 0));
    }
    html_table_close(h);
    html_fold_close(h);
}

void write_surface(const json_t *surface, struct html *h)
{
    const json_t *o;
    size_t i;
    if (!json_array_size(surface))
        return;
    html_table_open(
        h, NULL, "What one replica was measured to carry",
        "Bench|What answers|>Adapters|Asked by|>Slots|>Limit, p99|>Highest rate, "
        "per s|>95 %|>φ|>95 %|>p99 at 70 %|>simulated");
    json_array_foreach(surface, i, o)
    {
        const int64_t slots = json_get_int(o, "slots", 0);
        html_row(h);
        html_head_cell(h, "%lld", (long long)json_get_int(o, "bench", 0));
        html_cell(h, "%s", json_get_str(o, "answers", ""));
        html_number(h, "%lld", (long long)json_get_int(o, "adapters", 0));
        html_cell(h, "%s", json_get_str(o, "popularity", ""));
        html_number(h, "%s", slots ? word_f("%lld", (long long)slots) : "all");
        html_number(h, "%s", number(o, "limit_ms", "%.3g ms"));
        html_number(h, "%s", number(o, "rate", "%.0f"));
        html_number(h, "%s", between(o, "rate_low", "rate_high", "%.0f"));
        html_number(h, "%s", number(o, "phi", "%.2f"));
        html_number(h, "%s", between(o, "phi_low", "phi_high", "%.2f"));
        html_number(h, "%s", number(o, "p99_ms", "%.3g ms"));
        html_number(h, "%s", number(o, "simulated_p99_ms", "%.3g ms"));
    }
    html_table_close(h);
    write_batch_costs(surface, h);
}
