/* report/fleet.c - see fleet.h. */
#include "report/fleet.h"
#include "lib/mem.h"
#include "report/words.h"
#include <math.h>
#include <stdlib.h>

/* ---- plans ---- */

/* A load that fills its replicas exactly needs no further one: quotients of decimals are
 * a rounding above a whole number at times. */
static double whole(double quotient)
{
    return ceil(quotient * (1 - 1e-12) - 1e-12);
}

static int descending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

void fleet_plan(const double *lambda, size_t count, double capacity, double phi,
                double n_min, struct fleet_plan *out, double *by_cut)
{
    double *heaviest = xcalloc(count + 1, sizeof *heaviest), sum = 0, merged = 0;
    for (size_t i = 0; i < count; i++)
        sum += heaviest[i] = lambda[i];
    qsort(heaviest, count, sizeof *heaviest, descending);
    double rest = sum;
    *out = (struct fleet_plan){.best = INFINITY};
    for (size_t cut = 0; cut <= count; cut++) {
        double shared = cut < count ? fmax(n_min, whole(rest / (phi * capacity))) : 0;
        if (cut == 0)
            out->shared = shared;
        if (by_cut)
            by_cut[cut] = merged + shared;
        if (merged + shared < out->best) {
            out->best = merged + shared;
            out->best_cut = cut;
        }
        if (cut < count) {
            merged += fmax(n_min, whole(heaviest[cut] / capacity));
            rest -= heaviest[cut];
        }
    }
    out->merged = merged;
    out->merged_fill = sum / (merged * capacity);
    out->shared_wins_unrounded = out->merged_fill < phi;
    free(heaviest);
}

double fleet_usd_per_1000(double replicas, double usd_per_hour, double per_s)
{
    return 1000 * replicas * usd_per_hour / (3600 * per_s);
}

/* ---- the tasks of the SLA file ---- */

bool fleet_of(const struct report *r, struct fleet *out)
{
    const struct report_cell *c = report_leader(r);
    *out = (struct fleet){.cell = c};
    if (!r->sla || r->sla->task_count < 2 || !c || !adapter_share(c, &out->phi))
        return false;
    out->capacity = sla_capacity(r, c, true);
    if (!(out->capacity > 0))
        return false;
    double peak_over_mean = r->sla->peak_per_s / r->sla->mean_per_s;
    out->count = r->sla->task_count;
    out->peaks = xcalloc(out->count, sizeof *out->peaks);
    for (size_t i = 0; i < out->count; i++)
        out->peaks[i] = r->sla->tasks[i].requests_per_s * peak_over_mean;
    out->n_min = sla_number(r->sla, "replicas_min");
    out->usd_per_hour = replica_usd_per_hour(r, c);
    out->mean_per_s = r->sla->mean_per_s;
    out->may_merge = !sla_flag(r->sla, "base_untouched");
    out->phi_low = isnan(out->phi.one.ci.low)
                       ? out->phi.many_low
                       : fmin(out->phi.many_low, out->phi.one.ci.low);
    fleet_plan(out->peaks, out->count, out->capacity, out->phi.one.mean, out->n_min,
               &out->plan, NULL);
    fleet_plan(out->peaks, out->count, out->capacity, out->phi_low, out->n_min,
               &out->plan_low, NULL);
    fleet_plan(out->peaks, out->count, out->capacity, FLEET_PUBLISHED_PHI, out->n_min,
               &out->plan_published, NULL);
    return true;
}

void fleet_release(struct fleet *f)
{
    free(f->peaks);
    *f = (struct fleet){0};
}

/* ---- numbers ---- */

static const char *usd_of(const struct fleet *f, double replicas)
{
    return word_usd(fleet_usd_per_1000(replicas, f->usd_per_hour, f->mean_per_s));
}

static json_t *plan_json(const struct fleet *f, const struct fleet_plan *p, double phi)
{
    json_t *o = json_pack("{s:f, s:f, s:f, s:f, s:I, s:b}", "phi", phi, "merged",
                          p->merged, "shared", p->shared, "hybrid", p->best,
                          "hybrid_merged_tasks", (json_int_t)p->best_cut,
                          "shared_wins_unrounded", p->shared_wins_unrounded);
    put_number(o, "merged_usd_per_1000",
               fleet_usd_per_1000(p->merged, f->usd_per_hour, f->mean_per_s));
    put_number(o, "shared_usd_per_1000",
               fleet_usd_per_1000(p->shared, f->usd_per_hour, f->mean_per_s));
    return o;
}

void fleet_numbers(const struct report *r, json_t *numbers)
{
    struct fleet f;
    if (!fleet_of(r, &f))
        return;
    json_t *o = json_object();
    put_number(o, "capacity_per_s", f.capacity);
    put_number(o, "merged_fill", f.plan.merged_fill);
    json_object_set_new(o, "measured", plan_json(&f, &f.plan, f.phi.one.mean));
    json_object_set_new(o, "low", plan_json(&f, &f.plan_low, f.phi_low));
    json_object_set_new(o, "published",
                        plan_json(&f, &f.plan_published, FLEET_PUBLISHED_PHI));
    json_object_set_new(numbers, "fleet", o);
    bool low = f.plan_low.shared < f.plan.merged, base = f.plan.shared < f.plan.merged;
    add_takeaway(numbers,
                 "%s: %zu tasks through one shared base take %.0f replicas (%s per 1,000 "
                 "requests), merged ones %.0f (%s); the shared base pays below %.0f %% "
                 "fill of the merged ones (φ = %.2f, down to %.2f predicted for many "
                 "adapters), which are %.0f %% full.",
                 low != base ? "Cannot tell whether sharing pays"
                 : base      ? "Share the base"
                             : "Do not share the base",
                 f.count, f.plan.shared, usd_of(&f, f.plan.shared), f.plan.merged,
                 usd_of(&f, f.plan.merged), 100 * f.phi.one.mean, f.phi.one.mean,
                 f.phi_low, 100 * f.plan.merged_fill);
    fleet_release(&f);
}

/* ---- page ---- */

static void plan_row(struct html *h, const struct fleet *f, const char *name,
                     double replicas, const char *phi, bool predicted, const char *note)
{
    html_row(h);
    html_head_cell(h, "%s", name);
    html_number(h, "%s", phi);
    if (predicted) {
        html_raw(h, "<td class=\"num predicted\">");
        html_textf(h, "≈ %.0f", replicas);
        html_raw(h, "</td><td class=\"num predicted\">");
        html_textf(h, "≈ %s", usd_of(f, replicas));
        html_raw(h, "</td>");
    } else {
        html_number(h, "%.0f", replicas);
        html_number(h, "%s", usd_of(f, replicas));
    }
    html_cell(h, "%s", note);
}

void write_fleet(const struct report *r, struct html *h)
{
    struct fleet f;
    if (!fleet_of(r, &f))
        return;
    const char *measured = word_f("%.2f", f.phi.one.mean);
    html_table_open(h, NULL,
                    word_f("%zu tasks on one base: %s", f.count,
                           r->data.groups.items[f.cell->group].label),
                    "Plan|>φ|>Replicas|>USD per 1,000 requests|Note");
    plan_row(h, &f, "merged, replicas per task", f.plan.merged, "1", false,
             f.may_merge ? "" : "ruled out: the base must stay as it is");
    plan_row(h, &f, "one shared base, adapters unmerged", f.plan.shared, measured, false,
             "φ measured with one adapter");
    plan_row(h, &f, "the same, many adapters", f.plan_low.shared,
             word_f("%.2f", f.phi_low), true,
             "each request finds its adapter cold; low end of φ");
    plan_row(h, &f, "the same, as published", f.plan_published.shared,
             word_f("%.2f", FLEET_PUBLISHED_PHI), true,
             "vLLM, Llama-2-7B, rank 8, December 2024");
    plan_row(h, &f, "hybrid", f.plan.best, measured, false,
             f.plan.best_cut == 0 ? "nothing merged"
             : f.plan.best_cut == f.count
                 ? "everything merged"
                 : word_f("the %zu heaviest merged, the rest shared", f.plan.best_cut));
    html_table_close(h);
    html_el(
        h, "p", "note",
        "A merged replica takes %.3g requests per s within the latency limits. Peaks "
        "of the tasks decide the replicas, the mean load the price of 1,000 requests.",
        f.capacity);
    fleet_release(&f);
}
