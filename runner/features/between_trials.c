/* runner/features/between_trials.c - see between_trials.h. */
#include "runner/features/between_trials.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "runner/cache/checksum.h"
#include "runner/session.h"
#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool features_lie_on_host(const struct session *s)
{
    return str_in_list(s->backend->name, "cpu|ref", '|');
}

/* --- the program and the machine --- */

static bool tell_file(struct session *s, const char *path, struct buf *out)
{
    char hex[SHA256_HEX];
    const bool told = cache_file_hash(s->feature_cache, path, NULL, hex, NULL) == 0;
    buf_printf(out, "%s\n", told ? hex : "");
    return told;
}

/* exp, tanh and their like are another library's, which may be replaced under the program;
 * which of its versions runs goes by the processor. */
static bool tell_machine(struct session *s, struct buf *out)
{
    double (*const function)(double) = exp;
    void *address;
    Dl_info from = {.dli_fname = NULL};
    json_t *machine = proc_environment();
    memcpy(&address, &function, sizeof address);
    buf_printf(out, "%s %s %s\n", s->backend->name, s->backend->variant,
               json_get_str(machine, "cpu", ""));
    json_decref(machine);
    const bool other = dladdr(address, &from) && from.dli_fname && *from.dli_fname == '/';
    return tell_file(s, "/proc/self/exe", out) &&
           (!other || tell_file(s, from.dli_fname, out));
}

/* --- parameters --- */

static void tell_spec(const struct weight_spec *w, struct buf *out)
{
    buf_printf(out, " %d %d %d %d %d %d %d %d %d", (int)w->rows, (int)w->cols,
               (int)w->quant, (int)w->block, w->double_quant, w->dx_panels,
               (int)w->compute, (int)w->rounded, (int)w->stored);
}

struct param_sums {
    const struct params *all;
    uint64_t *of;
};

static uint64_t sum_of(const struct param_sums *sums, const struct param *p)
{
    size_t i = 0;
    while (sums->all->items[i] != p)
        i++;
    if (!sums->of[i]) /* frozen, all of its forms lie one behind the other */
        sums->of[i] =
            cache_sum(param_is_plain(p) ? p->value.data : p->prepared.data, p->bytes);
    return sums->of[i];
}

static void tell_param(void *ctx, const struct param *p, struct buf *out)
{
    buf_printf(out, "%d %d %d:", p->trainable, param_is_plain(p), param_is_prepared(p));
    tell_spec(&p->spec, out);
    if (!p->trainable)
        buf_printf(out, " %zu %016llx", p->bytes, (unsigned long long)sum_of(ctx, p));
}

/* Without values: where they will come from. */
static void tell_source(void *ctx, const struct param *p, struct buf *out)
{
    const struct session *s = ctx;
    buf_printf(out, "%s %d:", p->name, p->trainable);
    tell_spec(&p->spec, out);
    buf_printf(out, " %d %d %a %d", (int)p->round_trip, (int)p->less.rank,
               (double)p->less.scale, p->derived);
    if (p->given)
        buf_printf(out, " %016llx",
                   (unsigned long long)cache_sum(p->given, (size_t)param_size(p) *
                                                               sizeof *p->given));
    if (!p->base && !p->absent)
        buf_printf(out, " %d %a %llu", (int)p->init, (double)p->init_scale,
                   (unsigned long long)s->course.seed);
}

/* --- rows --- */

static void add_ints(struct buf *out, const int32_t *v, int32_t count)
{
    buf_add(out, &count, sizeof count);
    if (v)
        buf_add(out, v, (size_t)count * sizeof *v);
}

/* As bytes: what the batch's slots of the row are made of (session_load_batch). */
static void add_row(const struct session *s, const struct example *e, struct picks *picks,
                    struct buf *out)
{
    picks->count = 0;
    s->goal.task->kind->pick(&s->goal, e, 0, e->n + s->net.change.prompt_rows, picks);
    add_ints(out, e->ids, e->n);
    add_ints(out, e->type_ids, e->type_ids ? e->n : 0);
    add_ints(out, picks->rows, picks->count);
}

static void tell_rows(const struct session *s, int split, struct buf *out)
{
    const struct dataset *d = s->data[split];
    const struct net_shape *shape = &s->net.shape;
    const int32_t tokens = d->longest + s->net.change.prompt_rows,
                  most = goal_most_picks(&s->goal, tokens, 1);
    struct picks picks = {.rows = xcalloc((size_t)most + 1, sizeof *picks.rows),
                          .labels = xcalloc((size_t)most + 1, sizeof *picks.labels),
                          .targets =
                              xcalloc((size_t)most * (size_t)goal_targets(&s->goal) + 1,
                                      sizeof *picks.targets)};
    struct buf row = BUF_INIT, all = BUF_INIT;
    unsigned char sum[SHA256_BYTES];
    char hex[SHA256_HEX];
    if (!d->rows)
        buf_printf(&all, "%s", d->path);
    for (size_t r = 0; d->rows && r < d->count; r++) {
        buf_clear(&row);
        add_row(s, &d->rows[r], &picks, &row);
        sha256_bytes(buf_str(&row), row.len, sum);
        buf_add(&all, sum, sizeof sum);
    }
    sha256_hex(buf_str(&all), all.len, hex);
    buf_printf(out, "%zu rows %s, %d %d %d %d\n", d->count, hex,
               s->net.change.prompt_rows, s->net.change.virtual_tokens,
               shape->first_position, shape->pad_id);
    buf_release(&row);
    buf_release(&all);
    free(picks.rows);
    free(picks.labels);
    free(picks.targets);
}

bool features_take_common(struct session *s, int split, const struct graph *g,
                          const struct graph_cut *cut, size_t bytes, uint64_t *sums,
                          struct cache_entry *out)
{
    struct param_sums known = {&s->net.params, sums};
    struct buf key = BUF_INIT;
    bool there = tell_machine(s, &key);
    if (there) {
        graph_cut_tell(g, cut, tell_param, &known, &key);
        tell_rows(s, split, &key);
        there =
            cache_take_common(s->feature_cache, "features", buf_str(&key), bytes, out);
    }
    buf_release(&key);
    return there;
}

void features_tell_plan(const struct session *s, int split, const struct graph *g,
                        const struct graph_cut *cut, struct buf *out)
{
    graph_cut_tell(g, cut, tell_source, (void *)s, out);
    tell_rows(s, split, out);
    buf_printf(out, "%s\n", s->hf->dir);
}
