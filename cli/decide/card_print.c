/* cli/decide/card_print.c - a card (card.h) as text and as JSON. */
#include "cli/decide/card.h"
#include "lib/buf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include <math.h>
#include <stdio.h>

#define CELL 32

static const struct estimate *shown(const struct card *c, const struct plan_item *it)
{
    return c->planned ? &it->estimate : &it->gpu[STACK_PEFT];
}

static void put_name(const struct card *c, struct buf *out)
{
    if (c->machine)
        buf_printf(out, "%d x %s", c->machine->count, c->machine->gpu->name);
    else
        buf_str_add(out, "this machine");
}

/* --- JSON --- */

static json_t *whole(double v)
{
    return isfinite(v) ? json_integer((json_int_t)llround(v)) : json_null();
}

static json_t *bytes_json(const struct estimate *e)
{
    json_t *out = json_object();
    for (int i = 0; i < EST_COUNT; i++)
        if (e->bytes[i] > 0)
            json_object_set_new(out, estimate_names[i], whole(e->bytes[i]));
    return out;
}

/* What stands in `given` otherwise than in `asked`; null: no longer. */
static json_t *difference(const json_t *asked, const json_t *given)
{
    const char *key;
    json_t *v, *out = json_object();
    json_object_foreach((json_t *)given, key, v)
    {
        if (!json_equal(v, json_object_get(asked, key)))
            json_object_set(out, key, v);
    }
    json_object_foreach((json_t *)asked, key, v)
    {
        if (!json_object_get(given, key))
            json_object_set_new(out, key, json_null());
    }
    return out;
}

static json_t *row_json(const struct card *c, const struct card_row *r)
{
    const bool is_asked = r == &c->asked;
    json_t *out =
        json_pack("{s:s, s:o}", "choice", r->label, is_asked ? "params" : "changes",
                  is_asked ? json_incref(r->item.given)
                           : difference(c->asked.item.given, r->item.given));
    if (!r->taken) {
        json_object_set_new(out, "declined", json_string(r->why));
        return out;
    }
    json_object_set_new(out, "bytes", bytes_json(shown(c, &r->item)));
    json_object_set_new(out, "total_bytes", whole(r->total));
    if (!is_asked && c->asked.taken)
        json_object_set_new(out, "difference_bytes", whole(r->total - c->asked.total));
    json_object_set_new(out, "trainable_parameters", whole(r->item.estimate.trainable));
    json_object_set_new(out, "fits", json_boolean(r->fits));
    json_object_set_new(out, "longest_row", whole(r->longest));
    json_object_set_new(out, "largest_batch", whole(r->batch));
    json_object_set_new(out, "peft",
                        json_pack("{s:s, s:o, s:o, s:o}", "basis", "predicted", "bytes",
                                  bytes_json(&r->item.gpu[STACK_PEFT]), "total_bytes",
                                  whole(r->item.gpu[STACK_PEFT].peak), "lean_bytes",
                                  whole(r->item.gpu[STACK_LEAN].peak)));
    return out;
}

json_t *card_json(const struct card *c)
{
    json_t *rows = json_array(), *asked = row_json(c, &c->asked);
    for (size_t i = 0; i < c->count; i++)
        json_array_append_new(rows, row_json(c, &c->rows[i]));
    const struct gpu *gpu = c->machine ? c->machine->gpu : NULL;
    return json_pack("{s:s, s:o, s:o, s:o, s:s, s:o, s:O?, s:o, s:o}", "model",
                     c->base->name, "gpu", gpu ? json_string(gpu->name) : json_null(),
                     "memory_bytes", gpu ? whole(gpu->memory_bytes) : whole(c->room),
                     "usable_bytes", whole(c->room), "basis",
                     c->planned ? "planned" : "predicted", "estimated_overhead_bytes",
                     whole(c->planned ? c->overhead : NAN), "chosen_here", c->chosen,
                     "asked", asked, "choices", rows);
}

/* --- text --- */

static void put_keys(struct buf *out, const json_t *keys)
{
    static const char *const told[] = {
        "method",         "quantization",  "rank",
        "target_modules", "adapter_dtype", "gradient_checkpointing",
        "optim",          "batch_size",    "max_length",
    };
    for (size_t i = 0; i < ARRAY_LEN(told); i++) {
        json_t *v = json_object_get(keys, told[i]);
        if (!v)
            continue;
        buf_printf(out, "%s%s=", out->len ? " " : "", told[i]);
        if (json_is_string(v))
            buf_str_add(out, json_string_value(v));
        else
            json_write(out, v, 0);
    }
}

static void print_head(const struct card *c)
{
    struct buf name = BUF_INIT, keys = BUF_INIT, own = BUF_INIT;
    char size[CELL], room[CELL];
    put_name(c, &name);
    put_keys(&keys, c->asked.item.given);
    put_keys(&own, c->chosen);
    text_print(stdout, "%s on %s, ", c->base->shape.name, buf_str(&name));
    str_bytes(room, sizeof room, c->room);
    if (c->machine)
        text_print(stdout, "%s, %s of it counted on: ",
                   str_bytes(size, sizeof size, c->machine->gpu->memory_bytes), room);
    else
        text_print(stdout, "%s: ", room);
    text_print(stdout, "%s\n  asked: %s\n",
               !c->asked.taken ? "it is declined"
               : c->asked.fits ? "it fits"
                               : "it does not fit",
               buf_str(&keys));
    if (own.len)
        text_print(stdout, "  of these by this command's choice: %s\n", buf_str(&own));
    buf_release(&name);
    buf_release(&keys);
    buf_release(&own);
}

static char *cell(char out[CELL], double bytes)
{
    if (bytes > 0)
        return str_bytes(out, CELL, bytes);
    return snprintf(out, CELL, "-"), out;
}

static void print_terms(const struct card *c)
{
    static const char *const headings[] = {"", "this program", "transformers, peft"};
    const struct estimate *own = &c->asked.item.estimate,
                          *peft = &c->asked.item.gpu[STACK_PEFT];
    struct text_table *t = text_table_new(headings, "lrr", ARRAY_LEN(headings));
    char a[CELL], b[CELL];
    for (int i = 0; i < EST_COUNT; i++) {
        const double mine = i == EST_overhead ? c->overhead : own->bytes[i];
        if (mine > 0 || peft->bytes[i] > 0)
            text_table_row(t, (const char *[]){i == EST_overhead ? "overhead (estimate)"
                                                                 : estimate_names[i],
                                               cell(a, c->planned ? mine : 0),
                                               cell(b, peft->bytes[i])});
    }
    text_table_row(t, (const char *[]){"peak", cell(a, c->planned ? c->asked.total : 0),
                                       cell(b, peft->peak)});
    text_table_row(
        t, (const char *[]){"", c->planned ? "planned" : "has it not", "all estimated"});
    text_table_print(t, stdout);
    text_table_free(t);
}

static void print_growth(const struct card *c)
{
    const double batch = c->asked.item.setup.batch, length = c->asked.item.setup.seq_len;
    if (c->asked.longest > 0)
        text_print(stdout, "longest row at batch_size %.0f: %.0f tokens%s\n", batch,
                   c->asked.longest,
                   c->asked.longest >= c->longest_limit ? " (all that the model has)"
                                                        : "");
    else
        text_print(stdout, "no row of 64 tokens fits at batch_size %.0f\n", batch);
    if (c->asked.batch > 0)
        text_print(stdout,
                   "largest batch_size of rows of %.0f tokens: %.0f (%.0f tokens)%s\n",
                   length, c->asked.batch, c->asked.batch * length,
                   c->asked.batch >= CARD_BATCH_LIMIT ? ", and no more were tried" : "");
    else
        text_print(stdout, "no batch of rows of %.0f tokens fits\n", length);
}

/* Adapter, gradients and moments are one column: --json has them apart. */
static void print_row(const struct card *c, struct text_table *t,
                      const struct card_row *r)
{
    char total[CELL], size[CELL], more[CELL + 1], weights[CELL], state[CELL], acts[CELL],
        work[CELL], row[CELL], batch[CELL], peft[CELL];
    if (!r->taken) {
        text_table_row(t, (const char *[]){r->label, "declined", NULL, NULL, NULL, NULL,
                                           NULL, NULL, NULL, NULL, NULL});
        return;
    }
    const double *bytes = shown(c, &r->item)->bytes, d = r->total - c->asked.total;
    snprintf(more, sizeof more, "%s%s", d < 0 ? "-" : "+",
             str_bytes(size, sizeof size, fabs(d)));
    snprintf(row, sizeof row, "%.0f", r->longest);
    snprintf(batch, sizeof batch, "%.0f", r->batch);
    text_table_row(
        t, (const char *[]){r->label, cell(total, r->total),
                            !c->asked.taken || r == &c->asked ? "" : more,
                            cell(weights, bytes[EST_weights]),
                            cell(state, bytes[EST_trainable] + bytes[EST_gradients] +
                                            bytes[EST_optimizer]),
                            cell(acts, bytes[EST_activations] + bytes[EST_logits]),
                            cell(work, bytes[EST_workspace]), r->fits ? "fits" : "no",
                            r->longest > 0 ? row : "-", r->batch > 0 ? batch : "-",
                            cell(peft, r->item.gpu[STACK_PEFT].peak)});
}

static void print_choices(const struct card *c)
{
    static const char *const headings[] = {
        "choice",    "peak", "differs",     "weights", "trained state", "activations",
        "workspace", "",     "longest row", "batch",   "peft"};
    struct text_table *t = text_table_new(headings, "lrrrrrrlrrr", ARRAY_LEN(headings));
    print_row(c, t, &c->asked);
    for (size_t i = 0; i < c->count; i++)
        print_row(c, t, &c->rows[i]);
    text_print(stdout, "\none thing changed each time, %s:\n",
               c->planned ? "this program as planned, in the last column transformers "
                            "and peft as predicted"
                          : "transformers and peft as predicted");
    text_table_print(t, stdout);
    text_table_free(t);
    for (size_t i = 0; i < c->count; i++)
        if (!c->rows[i].taken)
            text_print(stdout, "%s: %s\n", c->rows[i].label, c->rows[i].why);
}

void card_print(const struct card *c)
{
    print_head(c);
    if (c->asked.taken) {
        text_print(stdout, "\n");
        print_terms(c);
        print_growth(c);
    } else {
        text_print(stdout, "  %s\n", c->asked.why);
    }
    print_choices(c);
    if (c->machine && !c->planned && c->base->trains)
        text_print(stdout, "this program has no backend for a %s\n",
                   c->machine->gpu->name);
}
