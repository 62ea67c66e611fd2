/* report/advise/write.c - the advice as JSON and as text; see advise.h. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "report/advise/advise.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SCHEMA_VERSION = 1, WIDTH = 96, MAX_PRIORS = 6 };

/* --- JSON --- */

static json_t *number(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *range_json(struct estimate_range r)
{
    return json_pack("{s:o, s:o, s:o}", "low", number(r.low), "base", number(r.base),
                     "high", number(r.high));
}

static const char *targets_name(const struct advise *all, enum targets t)
{
    if (t != TARGETS_QV)
        return "all-linear";
    return all->request->shape.query_value;
}

static json_t *setup_json(const struct advise *all, const struct setup *s)
{
    json_t *j = json_pack("{s:f, s:f, s:f, s:b, s:s}", "batch_size", s->batch,
                          "gradient_accumulation_steps", s->accumulation, "max_length",
                          s->seq_len, "gradient_checkpointing", s->checkpointing, "optim",
                          s->adam8 ? "adamw_8bit" : "adamw");
    if (setup_adds(s, ADDS_low_rank)) {
        json_object_set_new(j, "rank", json_real(s->rank));
        json_object_set_new(j, "target_modules",
                            json_string(targets_name(all, s->targets)));
    }
    return j;
}

static json_t *memory_json(const struct advice *a)
{
    json_t *categories = json_object();
    const struct estimate *e = &a->estimates[STACK_PEFT];
    for (int i = 0; i < EST_COUNT; i++)
        if (e->bytes[i] > 0)
            json_object_set_new(categories, estimate_names[i], json_real(e->bytes[i]));
    return json_pack("{s:s, s:s, s:f, s:f, s:f, s:o, s:o}", "fit", fit_names[a->fit],
                     "basis", a->exact ? "planned" : "predicted", "judged_bytes", a->peak,
                     "lean_bytes", a->estimates[STACK_LEAN].peak, "peft_bytes", e->peak,
                     "own_bytes", number(a->own_peak), "categories", categories);
}

static json_t *measured_json(const struct measured *m)
{
    if (!m->seeds)
        return json_null();
    return json_pack("{s:s, s:o, s:o, s:o, s:I, s:I, s:I, s:o}", "metric", m->metric,
                     "mean", number(m->mean), "low95", number(m->low), "high95",
                     number(m->high), "seeds", (json_int_t)m->seeds, "trials",
                     (json_int_t)m->trials, "configurations",
                     (json_int_t)m->configurations, "latency_ms", number(m->latency_ms));
}

static json_t *priors_json(const struct advise *all, const struct advice *a)
{
    json_t *row, *out = json_array();
    size_t i, k;
    json_array_foreach(a->priors, i, row)
    {
        const struct priors *p = all->request->priors;
        for (k = 0; k < p->claim_count; k++) {
            const struct prior *c = &p->claims[k];
            if (!str_eq(c->id, json_get_str(row, "id", "")))
                continue;
            json_array_append_new(
                out, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s*}", "id", c->id,
                               "side", json_get_str(row, "side", ""), "claim", c->claim,
                               "source", c->source, "strength", c->strength, "mark",
                               c->mark, "counter", c->counter));
        }
    }
    return out;
}

static json_t *item_json(const struct advise *all, const struct advice *a)
{
    const struct estimate *e = &a->estimates[STACK_PEFT];
    return json_pack("{s:s, s:s, s:s, s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
                     "s:O, s:O, s:O, s:o, s:o}",
                     "method", a->candidate->method, "served",
                     served_names[a->candidate->served], "title", a->candidate->title,
                     "points", a->points, "setup", setup_json(all, &a->setup), "memory",
                     isfinite(a->peak) ? memory_json(a) : json_null(),
                     "trainable_parameters", number(e->trainable), "adapter_bytes",
                     number(e->adapter_bytes), "flops_per_token",
                     number(e->flops_per_token), "predicted_s", range_json(a->seconds),
                     "predicted_usd", range_json(a->usd), "predicted_request_ms",
                     range_json(a->request_ms), "predicted_first_token_ms",
                     range_json(a->first_ms), "reasons", a->reasons, "against",
                     a->against, "ruled_out", a->ruled_out, "measured",
                     measured_json(&a->measured), "priors", priors_json(all, a));
}

static json_t *constraints_json(const struct advise_request *r)
{
    return json_pack(
        "{s:s, s:s, s:s, s:f, s:o, s:f, s:f, s:f, s:s*, s:i, s:f, s:o, s:o, s:o, s:o, "
        "s:o, s:b, s:b, s:b}",
        "task", r->task, "model", r->model, "shape", r->shape.name, "parameters",
        r->shape.parameters, "rows", number(r->rows), "epochs", r->epochs, "max_length",
        r->seq_len, "batch_size", r->batch, "gpu",
        r->machine.gpu ? r->machine.gpu->name : NULL, "gpus", r->machine.count,
        "memory_bytes", r->memory_bytes, "hours", number(r->hours), "usd", number(r->usd),
        "latency_ms", number(r->latency_ms), "ttft_ms", number(r->ttft_ms), "tokens",
        number(advise_is_lm(r) ? r->rows * r->epochs * r->seq_len : NAN),
        "base_untouched", r->base_untouched, "tasks_later", r->tasks_later, "keep_skills",
        r->keep_skills);
}

json_t *advise_json(const struct advise *a)
{
    json_t *items = json_array(), *out = json_array();
    for (size_t i = 0; i < a->count; i++)
        json_array_append_new(i < a->open ? items : out, item_json(a, &a->items[i]));
    char *sweep = advise_sweep(a);
    json_t *all = json_pack(
        "{s:i, s:o, s:{s:s, s:b, s:I, s:O*}, s:o, s:o, s:O, s:s*}", "schema_version",
        SCHEMA_VERSION, "constraints", constraints_json(a->request), "evidence", "data",
        a->data.name, "your_data", a->data.asked, "trials_on_other_data",
        (json_int_t)a->data.others, "decided", a->decided, "advice", items, "ruled_out",
        out, "watch", a->watch, "sweep_file", sweep);
    free(sweep);
    return all;
}

/* --- text --- */

/* Wrapped at WIDTH columns behind an indent; the first line begins with `mark`. */
static void wrap(FILE *f, const char *mark, const char *text)
{
    const size_t indent = strlen(mark);
    size_t column = indent;
    fputs(mark, f);
    for (const char *at = text; *at;) {
        size_t n = strcspn(at, " ");
        if (column > indent && column + 1 + n > WIDTH) {
            text_print(f, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', f);
            column++;
        }
        text_print(f, "%.*s", (int)n, at);
        column += n;
        at += n + (at[n] == ' ');
    }
    fputc('\n', f);
}

static void print_list(FILE *f, const char *mark, const json_t *list)
{
    size_t i;
    json_t *text;
    json_array_foreach((json_t *)list, i, text)
    {
        wrap(f, mark, json_string_value(text));
    }
}

static char *time_text(struct estimate_range s, char *out, size_t n)
{
    char low[32], high[32];
    if (!isfinite(s.base))
        snprintf(out, n, "-");
    else
        snprintf(out, n, "%s .. %s", str_duration(low, sizeof low, s.low),
                 str_duration(high, sizeof high, s.high));
    return out;
}

static char *usd_text(struct estimate_range u, char *out, size_t n)
{
    if (!isfinite(u.base))
        snprintf(out, n, "-");
    else
        snprintf(out, n, "$%.2f .. %.2f", u.low, u.high);
    return out;
}

static char *count_text(double v, char *out, size_t n)
{
    if (v >= 1e9)
        snprintf(out, n, "%.2f G", v / 1e9);
    else if (v >= 1e6)
        snprintf(out, n, "%.2f M", v / 1e6);
    else
        snprintf(out, n, "%.0f", v);
    return out;
}

static void print_table(const struct advise *a, FILE *f)
{
    static const char *const headings[] = {"#",       "method", "memory", "",
                                           "trained", "time",   "cost"};
    struct text_table *t = text_table_new(headings, "rlrlrrr", ARRAY_LEN(headings));
    for (size_t i = 0; i < a->open; i++) {
        const struct advice *x = &a->items[i];
        char number[24], bytes[32], trained[32], seconds[80], usd[64];
        snprintf(number, sizeof number, "%zu", i + 1);
        text_table_row(t, (const char *[]){number, x->candidate->title,
                                           str_bytes(bytes, sizeof bytes, x->peak),
                                           fit_names[x->fit],
                                           count_text(x->estimates[STACK_PEFT].trainable,
                                                      trained, sizeof trained),
                                           time_text(x->seconds, seconds, sizeof seconds),
                                           usd_text(x->usd, usd, sizeof usd)});
    }
    text_table_print(t, f);
    text_table_free(t);
}

static void print_memory(const struct advice *a, FILE *f)
{
    char bytes[32];
    struct buf line = BUF_INIT;
    const struct estimate *e = &a->estimates[STACK_PEFT];
    for (int i = 0; i < EST_COUNT; i++)
        if (e->bytes[i] > 0)
            buf_printf(&line, "%s%s %s", line.len ? ", " : "", estimate_names[i],
                       str_bytes(bytes, sizeof bytes, e->bytes[i]));
    if (!a->exact)
        buf_printf(&line, " (predicted: transformers and peft; %s with a lean stack)",
                   str_bytes(bytes, sizeof bytes, a->estimates[STACK_LEAN].peak));
    else
        buf_str_add(&line, " (planned: these are the bytes it will take)");
    if (isfinite(a->own_peak))
        buf_printf(&line, "; this program, planned: %s",
                   str_bytes(bytes, sizeof bytes, a->own_peak));
    wrap(f, "   memory  ", buf_str(&line));
    buf_release(&line);
}

/* A language model's two times; others have one, which a limit alone asks for. */
static void print_serving(const struct advise *all, const struct advice *a, FILE *f)
{
    if (!isfinite(a->first_ms.base))
        return;
    char *text = xasprintf("one text at a time, predicted: first token %.3g .. %.3g ms "
                           "behind a prompt of %.0f tokens, then %.3g .. %.3g ms a token",
                           a->first_ms.low, a->first_ms.high, all->request->seq_len,
                           a->request_ms.low, a->request_ms.high);
    wrap(f, "   serving ", text);
    free(text);
}

static void print_setup(const struct advise *all, const struct advice *a, FILE *f)
{
    const struct setup *s = &a->setup;
    struct buf line = BUF_INIT;
    if (setup_adds(s, ADDS_low_rank))
        buf_printf(&line, "rank %.0f on %s, ", s->rank, targets_name(all, s->targets));
    buf_printf(&line, "batch %.0f", s->batch);
    if (s->accumulation > 1)
        buf_printf(&line, " x %.0f accumulated", s->accumulation);
    buf_printf(&line, ", %.0f tokens a row%s%s", s->seq_len,
               s->checkpointing ? ", gradient checkpointing" : "",
               s->adam8 ? ", 8-bit AdamW" : "");
    wrap(f, "   setup   ", buf_str(&line));
    buf_release(&line);
}

static int by_strength(const void *a, const void *b)
{
    const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    return strcmp(json_get_str(x, "strength", ""), json_get_str(y, "strength", ""));
}

static void print_prior(const json_t *row, FILE *f)
{
    struct buf line = BUF_INIT;
    char mark[24];
    const char *counter = json_get_str(row, "counter", NULL);
    buf_printf(&line, "%s [%s, %s%s]", json_get_str(row, "claim", ""),
               json_get_str(row, "source", ""), json_get_str(row, "strength", ""),
               str_eq(json_get_str(row, "mark", ""), "M") ? ", from memory" : "");
    if (counter)
        buf_printf(&line, " - but: %s", counter);
    snprintf(mark, sizeof mark, "   %-8s", json_get_str(row, "side", ""));
    wrap(f, mark, buf_str(&line));
    buf_release(&line);
}

/* The strongest comparisons; all of them, and what is advice alone, are in the JSON. */
static void print_priors(const struct advise *all, const struct advice *a, FILE *f)
{
    json_t *row, *list = priors_json(all, a);
    size_t i, n = 0, shown = 0;
    json_t **rows = xcalloc(json_array_size(list) + 1, sizeof *rows);
    json_array_foreach(list, i, row)
    {
        if (!str_eq(json_get_str(row, "side", ""), "advice"))
            rows[n++] = row;
    }
    if (n)
        qsort(rows, n, sizeof *rows, by_strength);
    for (; shown < n && shown < MAX_PRIORS; shown++)
        print_prior(rows[shown], f);
    if (json_array_size(list) > shown)
        fprintf(f, "   %zu more in scope with --json\n", json_array_size(list) - shown);
    free(rows);
    json_decref(list);
}

/* The batch that the first sweep writes is said where it is another. */
static void print_sweep_setup(const struct advise *a, const struct advice *x, FILE *f)
{
    const struct setup s = advise_sweep_setup(a), *own = &x->setup;
    if (s.batch == own->batch && s.accumulation == own->accumulation &&
        s.checkpointing == own->checkpointing && s.adam8 == own->adam8)
        return;
    char *text = xasprintf(
        "the first sweep takes batch %.0f x %.0f accumulated%s%s, with "
        "which all its methods and ranks fit best",
        s.batch, s.accumulation, s.checkpointing ? ", gradient checkpointing" : "",
        s.adam8 ? ", 8-bit Adam" : "");
    wrap(f, "   sweep   ", text);
    free(text);
}

/* Before any of it: a decision that was measured. */
static void print_decided(const struct advise *a, FILE *f)
{
    const char *sentence = json_get_str(a->decided, "sentence", NULL);
    if (!sentence)
        return;
    char *text = xasprintf("%s, as its report says: %s",
                           json_get_str(a->decided, "about", ""), sentence);
    fputc('\n', f);
    wrap(f, "Measured: ", text);
    const json_t *next = json_object_get(a->decided, "next");
    text_print(f, "Next:     %s (%s)\n", json_get_str(next, "command", ""),
               json_get_str(next, "why", ""));
    free(text);
}

static void print_first(const struct advise *a, FILE *f)
{
    const struct advice *x = &a->items[0];
    text_print(f, "\n1. %s\n", x->candidate->title);
    print_setup(a, x, f);
    print_sweep_setup(a, x, f);
    print_memory(x, f);
    print_serving(a, x, f);
    print_list(f, "   +       ", x->reasons);
    print_list(f, "   -       ", x->against);
    if (!x->measured.seeds)
        wrap(f, "   store   ",
             a->data.asked ? "nothing measured on this task and base with these data"
                           : "nothing measured on this task and base");
    if (a->data.others) {
        char *text =
            xasprintf("%zu trial%s on other data left out, the newest on %s",
                      a->data.others, a->data.others == 1 ? "" : "s", a->data.other_name);
        wrap(f, "   store   ", text);
        free(text);
    }
    print_list(f, "   watch   ", a->watch);
    fputs("   priors in scope:\n", f);
    print_priors(a, x, f);
}

static void print_head(const struct advise *a, FILE *f)
{
    const struct advise_request *r = a->request;
    char room[32], count[32];
    text_print(f, "%s (%s parameters), %s", r->shape.name,
               count_text(r->shape.parameters, count, sizeof count), r->task);
    if (isfinite(r->rows))
        fprintf(f, ", %.0f rows x %.3g epochs", r->rows, r->epochs);
    if (isfinite(r->rows) && advise_is_lm(r))
        text_print(f, " (at most %s tokens)",
                   count_text(r->rows * r->epochs * r->seq_len, count, sizeof count));
    str_bytes(room, sizeof room, r->memory_bytes);
    if (r->machine.gpu)
        text_print(f, ", %d x %s of %s", r->machine.count, r->machine.gpu->name, room);
    else
        text_print(f, ", this machine, %s", room);
    fputs(r->base_untouched ? ", base untouched" : "", f);
    fputs(r->tasks_later ? ", tasks added later" : "", f);
    fputs("\n\n", f);
}

void advise_print(const struct advise *a, FILE *f)
{
    print_head(a, f);
    if (a->open) {
        print_table(a, f);
        print_decided(a, f);
        print_first(a, f);
    } else {
        fputs("No method is left under these constraints.\n", f);
    }
    for (size_t i = 1; i < a->open; i++) {
        const struct advice *x = &a->items[i];
        text_print(f, "\n%zu. %s\n", i + 1, x->candidate->title);
        print_list(f, "   +       ", x->reasons);
        print_list(f, "   -       ", x->against);
    }
    if (a->open < a->count)
        fputs("\nRuled out\n", f);
    for (size_t i = a->open; i < a->count; i++) {
        const struct advice *x = &a->items[i];
        char *mark = xasprintf("   %-26s ", x->candidate->title);
        print_list(f, mark, x->ruled_out);
        free(mark);
    }
    if (a->price.newest)
        text_print(f,
                   "\nTime and cost are predicted, for rows of full length; prices of %s "
                   "between "
                   "$%.2f and $%.2f per GPU and hour, the newest of %s%s.\n",
                   a->request->machine.gpu->name, a->price.low, a->price.high,
                   a->price.newest->read_on,
                   price_age_days(a->price.newest, clock_wall_ms()) > PRICE_STALE_DAYS
                       ? ": stale, give newer ones with --prices"
                       : "");
}
