/* report/service/fleet.c - see capacity.h. */
#include "report/service/fleet.h"
#include "lib/mem.h"
#include "report/page/words.h"
#include <math.h>
#include <stdlib.h>

/* ---- the tasks of the SLA file ---- */

void fleet_plan(const struct fleet *f, const double *peaks, double phi,
                struct adapter_plan *out)
{
    struct adapter_fleet in = {.load = peaks,
                               .tasks = f->count,
                               .capacity = f->capacity,
                               .phi = phi,
                               .usd_per_gpu_hour = f->usd_per_hour,
                               .least = f->least};
    adapter_plan_init(out, &in);
}

bool fleet_of(const struct report *r, struct fleet *out)
{
    const struct report_cell *c = report_leader(r);
    *out = (struct fleet){.cell = c};
    if (!r->sla || r->sla->task_count < 2 || sla_by_task(r->sla) || !c ||
        !adapter_share(c, &out->phi))
        return false;
    out->capacity = sla_capacity(r, c, true);
    if (!(out->capacity > 0))
        return false;
    double peak_over_mean = r->sla->peak_per_s / r->sla->mean_per_s;
    out->count = r->sla->task_count;
    out->peaks = xcalloc(out->count, sizeof *out->peaks);
    for (size_t i = 0; i < out->count; i++)
        out->peaks[i] = r->sla->tasks[i].requests_per_s * peak_over_mean;
    out->least = (size_t)sla_number(r->sla, "replicas_min");
    out->usd_per_hour = replica_usd_per_hour(r, c);
    out->mean_per_s = r->sla->mean_per_s;
    out->may_merge = !sla_flag(r->sla, "base_untouched");
    out->phi_low = isnan(out->phi.one.ci.low)
                       ? out->phi.many_low
                       : fmin(out->phi.many_low, out->phi.one.ci.low);
    fleet_plan(out, out->peaks, out->phi.one.mean, &out->plan);
    fleet_plan(out, out->peaks, out->phi_low, &out->plan_low);
    fleet_plan(out, out->peaks, FLEET_PUBLISHED_PHI, &out->plan_published);
    return true;
}

void fleet_release(struct fleet *f)
{
    adapter_plan_release(&f->plan);
    adapter_plan_release(&f->plan_low);
    adapter_plan_release(&f->plan_published);
    free(f->peaks);
    *f = (struct fleet){0};
}

/* ---- numbers ---- */

static const char *usd_of(const struct fleet *f, size_t replicas)
{
    return word_usd(fleet_usd_per_1k((double)replicas, f->usd_per_hour, f->mean_per_s));
}

static json_t *plan_json(const struct fleet *f, const struct adapter_plan *p, double phi)
{
    json_t *o = json_pack(
        "{s:f, s:I, s:I, s:I, s:I, s:b}", "phi", phi, "merged",
        (json_int_t)p->merged_gpus, "shared", (json_int_t)p->shared_gpus, "hybrid",
        (json_int_t)p->hybrid_gpus[p->best_cut], "hybrid_merged_tasks",
        (json_int_t)p->best_cut, "shared_wins_unrounded", p->shared_wins_unrounded);
    put_number(o, "merged_usd_per_1000",
               fleet_usd_per_1k((double)p->merged_gpus, f->usd_per_hour, f->mean_per_s));
    put_number(o, "shared_usd_per_1000",
               fleet_usd_per_1k((double)p->shared_gpus, f->usd_per_hour, f->mean_per_s));
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
    bool low = f.plan_low.shared_gpus < f.plan.merged_gpus,
         base = f.plan.shared_gpus < f.plan.merged_gpus;
    add_takeaway(numbers,
                 "%s: %zu tasks through one shared base take %zu replicas (%s per 1,000 "
                 "requests), merged ones %zu (%s); the shared base pays below %.0f %% "
                 "fill of the merged ones (φ = %.2f, down to %.2f predicted for many "
                 "adapters), which are %.0f %% full.",
                 low != base ? "Cannot tell whether sharing pays"
                 : base      ? "Share the base"
                             : "Do not share the base",
                 f.count, f.plan.shared_gpus, usd_of(&f, f.plan.shared_gpus),
                 f.plan.merged_gpus, usd_of(&f, f.plan.merged_gpus), 100 * f.phi.one.mean,
                 f.phi.one.mean, f.phi_low, 100 * f.plan.merged_fill);
    fleet_release(&f);
}

/* ---- page ---- */

static void plan_row(struct html *h, const struct fleet *f, const char *name,
                     size_t replicas, const char *phi, bool predicted, const char *note)
{
    html_row(h);
    html_head_cell(h, "%s", name);
    html_number(h, "%s", phi);
    if (predicted) {
        html_raw(h, "<td class=\"num predicted\">");
        html_textf(h, "≈ %zu", replicas);
        html_raw(h, "</td><td class=\"num predicted\">");
        html_textf(h, "≈ %s", usd_of(f, replicas));
        html_raw(h, "</td>");
    } else {
        html_number(h, "%zu", replicas);
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
    plan_row(h, &f, "merged, replicas per task", f.plan.merged_gpus, "1", false,
             f.may_merge ? "" : "ruled out: the base must stay as it is");
    plan_row(h, &f, "one shared base, adapters unmerged", f.plan.shared_gpus, measured,
             false, "φ measured with one adapter");
    plan_row(h, &f, "the same, many adapters", f.plan_low.shared_gpus,
             word_f("%.2f", f.phi_low), true,
             "each request finds its adapter cold; low end of φ");
    plan_row(h, &f, "the same, as published", f.plan_published.shared_gpus,
             word_f("%.2f", FLEET_PUBLISHED_PHI), true,
             "vLLM, Llama-2-7B, rank 8, December 2024");
    plan_row(h, &f, "hybrid", f.plan.hybrid_gpus[f.plan.best_cut], measured, false,
             f.plan.best_cut == 0 ? "nothing merged"
             : f.plan.best_cut == f.count
                 ? "everything merged"
                 : word_f("the %zu heaviest merged, the rest shared", f.plan.best_cut));
    html_table_close(h);
    html_el(h, "p", "note",
            "A merged replica takes %.3g requests per s within the latency limits. Peaks "
            "of the tasks decide the replicas, the mean load the price of 1,000 "
            "requests. All "
            "plans pay the same for a replica, so that their order holds at any price.",
            f.capacity);
    fleet_release(&f);
}
