/* cli/decide/card.c - see card.h. */
#include "cli/decide/card.h"
#include "lib/config/conf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "runner/nn/peft/method.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define USABLE     0.95 /* of a GPU's memory */
#define ROUNDING   (2.0 * 1024 * 1024)
#define SMALL_BASE 1e9 /* parameters */

/* --- what was not said --- */

static const char *words_for(const struct base *b)
{
    if (!b->shape.decoder)
        return "{method: lora, rank: 8, batch_size: 16, max_length: 128}";
    return b->shape.parameters < SMALL_BASE
               ? "{method: lora, rank: 16, target_modules: all-linear, batch_size: 8, "
                 "max_length: 512}"
               : "{method: qlora, rank: 16, target_modules: all-linear, "
                 "gradient_checkpointing: true, batch_size: 1, max_length: 2048}";
}

void card_defaults(const struct base *base, json_t *given, json_t **chosen)
{
    const char *key;
    json_t *v, *words = conf_parse_value(words_for(base), NULL);
    *chosen = json_object();
    if (!json_object_get(given, "method"))
        json_object_set(*chosen, "method", json_object_get(words, "method"));
    json_object_update_missing(given, *chosen);
    const struct method *method = method_behind(json_get_str(given, "method", ""));
    json_object_foreach(words, key, v)
    {
        const struct opt_def *def = opt_find(&trial_options, key);
        if (!json_object_get(given, key) && (!method || trial_reads(def, method)))
            json_object_set(*chosen, key, v);
    }
    if (json_get_num(*chosen, "max_length", 0) > base->shape.positions)
        json_object_set_new(*chosen, "max_length",
                            json_integer((json_int_t)base->shape.positions));
    json_object_update_missing(given, *chosen);
    json_decref(words);
}

/* --- one configuration --- */

static const struct backend *backend_of(const struct card *c)
{
    return c->machine ? backend_planned_cuda(c->machine->gpu->cuda_major) : NULL;
}

static struct plan_how how_of(const struct card *c)
{
    return (struct plan_how){.base_dir = c->base_dir,
                             .assume = ASSUME_ROWS,
                             .on = c->planned ? backend_of(c) : NULL};
}

static double total_of(const struct card *c, const struct plan_item *it)
{
    return c->planned ? it->estimate.peak + c->overhead : it->gpu[STACK_PEFT].peak;
}

static int fill(const struct card *c, struct card_row *r, struct err *err)
{
    const struct plan_how how = how_of(c);
    r->item.base = c->base;
    int rc = plan_item_fill(&r->item, r->item.given, &how, err);
    r->taken = !rc;
    if (rc)
        return rc;
    r->total = total_of(c, &r->item);
    r->fits = r->total <= c->room;
    return 0;
}

/* --- how far it can grow --- */

static bool fits_with(const struct card *c, const json_t *given, const char *key,
                      double value)
{
    struct card_row r = {.item.given = json_copy((json_t *)given)};
    json_object_set_new(r.item.given, key, json_integer((json_int_t)value));
    const bool fits = fill(c, &r, NULL) == 0 && r.fits;
    json_decref(r.item.given);
    return fits;
}

/* The largest value of a key from `low` to `high` with which it fits; 0: not one. Doubles
 * before it halves, since the largest plans take the longest to make. */
static double largest(const struct card *c, const json_t *given, const char *key,
                      double low, double high)
{
    double good = 0, bad = high + 1;
    for (double v = low; v <= high; v = v < high ? fmin(2 * v, high) : high + 1) {
        if (!fits_with(c, given, key, v)) {
            bad = v;
            break;
        }
        good = v;
    }
    while (good > 0 && bad - good > 1) {
        const double middle = floor((good + bad) / 2);
        *(fits_with(c, given, key, middle) ? &good : &bad) = middle;
    }
    return good;
}

static void grow(const struct card *c, struct card_row *r)
{
    const json_t *given = r->item.given;
    r->longest =
        largest(c, given, "max_length", fmin(64, c->longest_limit), c->longest_limit);
    r->batch = largest(c, given, "batch_size", 1, CARD_BATCH_LIMIT);
}

/* --- other choices --- */

static bool changes(json_t *given, const json_t *keys)
{
    const char *key;
    json_t *v;
    bool changed = false;
    json_object_foreach((json_t *)keys, key, v)
    {
        if (!opt_find(&trial_options, key))
            return false;
        json_t *now = json_object_get(given, key);
        changed |= json_is_null(v) ? now != NULL : !now || !json_equal(now, v);
        if (json_is_null(v))
            json_object_del(given, key);
        else
            json_object_set(given, key, v);
    }
    return changed;
}

static bool method_reads_all(const json_t *given, const json_t *keys)
{
    const struct method *m = method_of(given, NULL);
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)keys, key, v)
    {
        const struct opt_def *def = opt_find(&trial_options, key);
        if (!def || !trial_reads(def, m))
            return false;
    }
    return true;
}

/* Bytes as without the choice, here and by peft: what this card's backend does not do. */
static bool is_as_asked(const struct card *c, const struct card_row *r)
{
    return c->asked.taken && r->taken && r->total == c->asked.total &&
           r->item.gpu[STACK_PEFT].peak == c->asked.item.gpu[STACK_PEFT].peak;
}

/* `keys` is taken over. */
static void add(struct card *c, const char *label, json_t *keys)
{
    const json_t *asked = c->asked.item.given;
    json_t *given = json_copy((json_t *)asked);
    struct err err = ERR_INIT;
    if (method_reads_all(asked, keys) && changes(given, keys) &&
        !plan_drop_foreign(given, NULL)) {
        c->rows = xrealloc(c->rows, (c->count + 1) * sizeof *c->rows);
        struct card_row *r = &c->rows[c->count++];
        *r = (struct card_row){.item.given = json_incref(given)};
        snprintf(r->label, sizeof r->label, "%s", label);
        if (fill(c, r, &err))
            snprintf(r->why, sizeof r->why, "%s", err.msg);
        else if (!is_as_asked(c, r))
            grow(c, r);
        else
            json_decref(c->rows[--c->count].item.given);
    }
    json_decref(keys);
    json_decref(given);
}

static void add_rank(struct card *c, const char *label, double factor)
{
    const double rank = floor(json_get_num(c->asked.item.given, "rank", 0) * factor);
    char text[64];
    if (rank < 1)
        return;
    snprintf(text, sizeof text, "%s: %.0f", label, rank);
    add(c, text, json_pack("{s:i}", "rank", (int)rank));
}

static void add_choices(struct card *c)
{
#define CHOICE(label, keys) add(c, label, conf_parse_value(keys, NULL));
#define RANK(label, factor) add_rank(c, label, factor);
#include "cli/decide/choices.def"
#undef CHOICE
#undef RANK
}

/* --- interface --- */

/* As resolved, so that every choice is a change of one key; rows are taken to be of its
 * length. */
static json_t *plain(const json_t *resolved, const struct plan_item *it)
{
    static const char *const of_rows[] = {"eval_data", "test_data", "general_data",
                                          "validation_split", "max_train_samples"};
    json_t *t = json_copy((json_t *)resolved);
    for (size_t i = 0; i < ARRAY_LEN(of_rows); i++)
        json_object_del(t, of_rows[i]);
    json_object_set_new(t, "max_length", json_integer((json_int_t)it->setup.seq_len));
    return t;
}

static int ask(struct card *c, const json_t *given, struct err *err)
{
    struct plan_item here = {.base = c->base};
    const struct plan_how how = {.base_dir = c->base_dir, .assume = ASSUME_ROWS};
    struct err declined = ERR_INIT;
    json_t *resolved = NULL;
    int rc = plan_item_fill(&here, given, &how, err);
    if (!rc)
        rc = plan_resolve(given, c->base, false, &resolved, err);
    if (rc)
        return rc;
    c->asked =
        (struct card_row){.label = "as asked", .item.given = plain(resolved, &here)};
    json_decref(resolved);
    if (fill(c, &c->asked, &declined))
        snprintf(c->asked.why, sizeof c->asked.why, "%s", declined.msg);
    return 0;
}

int card_make(struct card *c, const json_t *given, struct err *err)
{
    const struct machine *m = c->machine;
    c->planned = c->base->trains && (!m || m->gpu->cuda_major > 0);
    c->overhead = m ? ESTIMATE_CONTEXT_BYTES + ROUNDING * MEM_COUNT : 0;
    c->room = m ? USABLE * m->gpu->memory_bytes : (double)proc_memory_limit_bytes();
    int rc = ask(c, given, err);
    if (rc)
        return rc;
    const json_t *asked = c->asked.item.given;
    c->longest_limit =
        c->base->shape.positions - json_get_num(asked, "num_virtual_tokens", 0);
    if (c->asked.taken)
        grow(c, &c->asked);
    add_choices(c);
    return 0;
}

void card_release(struct card *c)
{
    json_decref(c->asked.item.given);
    for (size_t i = 0; i < c->count; i++)
        json_decref(c->rows[i].item.given);
    free(c->rows);
    json_decref(c->chosen);
    c->rows = NULL;
    c->count = 0;
}
