/* report/report.h - one static page (and the same as JSON) that says which configuration
 * to choose, how sure that is, and what it costs.
 *
 * The way: data (store -> trials, labelled) -> matrix (verdicts and measures per column
 * and group) -> sections (sections.def; each computes its numbers as JSON with its
 * takeaway sentences once, then writes HTML from them) with plots (plots.def) -> page.
 * Deterministic: the same store rows and options give the same bytes; no clock, host or
 * path of the reader enters. No network; everything from the store is escaped. The page is
 * whole without its script (report/page/script), which sorts, filters and marks.
 *
 * House rules: a takeaway carries a number, a
 * comparison and its uncertainty, and says "cannot tell" when the interval crosses the
 * line; predictions look different from measurements everywhere (class "predicted"). */
#ifndef REPORT_REPORT_H
#define REPORT_REPORT_H

#include "lib/buf.h"
#include "lib/err.h"
#include "report/evidence/cells.h"
#include "report/evidence/prior_claims.h"
#include "report/machine/catalog.h"
#include "report/page/html.h"
#include "report/service/sla.h"
#include "report/trials/kept_rows.h"
#include "report/trials/store_data.h"
#include "tracker/claims/budget.h"
#include <jansson.h>

/* One assumption for budgets and for what the report says they cost; docs/report.md. */
#define REPORT_CORE_USD_PER_HOUR BUDGET_USD_PER_CORE_HOUR

struct report_options {
    struct report_scope scope;
    const char *metric, *select_metric;  /* NULL: chosen by what there is */
    const char *goal;                    /* "maximize", "minimize"; NULL: by the name */
    double delta, collapse;              /* NaN: chosen, none */
    const char *prices_path, *gpus_path; /* NULL: the built-in files */
    const char *sla_path;                /* NULL: nothing is asked for */
    double requests_per_day;             /* NaN: cost while busy alone */
    double core_usd_per_hour;            /* price of one core of this machine */
    const char *command;                 /* how it was called, for the appendix */
    struct store *against; /* of an earlier decision, to be compared; NULL: none */
};

struct report {
    struct report_options options;
    struct store *store;   /* borrowed, for series */
    struct report *before; /* of options.against; NULL: none */
    struct report_data data;
    struct kept_rows kept; /* what each test row got, for the metric */
    struct report_settings settings;
    struct matrix matrix;
    struct report_cell *configurations; /* of the main column, best first */
    size_t configuration_count;
    const char *latency_key; /* what stands for latency: p99 where all trials have it */
    struct claims claims;
    struct catalog catalog;
    struct sla *sla;              /* NULL: none was given */
    struct sla_verdict *services; /* by group; NULL: no SLA file, or its tasks have trials
                                     of their own */
    struct task_plans *task_plans; /* of those tasks; NULL: none */
    json_t *sections;              /* {section id: its numbers} */
    struct figure *figures;
    size_t figure_count;
};

/* What a report stands on: trials read, settings chosen, cells judged; no sections, claims
 * or figures yet. */
int report_judge(struct store *s, const struct report_options *o, struct report **out,
                 struct err *err);
/* The same with what the tasks of an SLA file ask, one by one; a file without tasks that have
 * trials of their own is an error. sweeps: as --sweep has them. */
int report_judge_tasks(struct store *s, const char *sla_path, const json_t *sweeps,
                       double core_usd_per_hour, struct report **out, struct err *err);
/* report_judge of one sweep by its number, as `peftlab report --sweep N` judges it; options are
 * borrowed for the call alone. NULL: it cannot be judged. */
struct report *report_judge_sweep(struct store *s, int64_t sweep);
int report_build(struct store *s, const struct report_options *o, struct report **out,
                 struct err *err);
void report_free(struct report *r);
void report_html(const struct report *r, struct html *out);
json_t *report_json(const struct report *r);
/* The same without what it says twice, and of large tables the best alone. */
json_t *report_embedded_json(const struct report *r);
/* The lines that the command prints: verdict, cost, what would settle it, the next step
 * (sections/next/next_step.h). Caller frees. */
char *report_lines(const struct report *r);

/* ---- for sections and plots ---- */

struct section {
    const char *id, *title;
    json_t *(*numbers)(struct report *r); /* an object with "takeaways": [text] */
    void (*write)(const struct report *r, const json_t *numbers, struct html *h);
};
/* In the order of the page; NULL: no more. */
const struct section *report_section(size_t i);
#define SECTION(name) extern const struct section section_##name;
#include "report/sections/sections.def"
#undef SECTION

/* Appends a formatted sentence to numbers.takeaways. */
void add_takeaway(json_t *numbers, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Puts a number where it is one. */
void put_number(json_t *object, const char *key, double v);
/* {"mean", "sd", "low95", "high95", "n"} */
json_t *spread_json(const struct spread *s);
/* "lora, r 16 α 32 query+value" */
const char *cell_name(const struct report *r, const struct report_cell *c);
const char *metric_of(const struct report *r);
/* "highest" or "lowest", by the goal: of the best and of the worst. */
const char *best_word(const struct report *r);
const char *worst_word(const struct report *r);
/* What backs a comparison, for brackets: "95 % +0.01 to +0.03, adjusted p = .004"; with
 * the difference at equal effort where that decided. */
const char *pair_evidence(const struct report *r, const struct verdict_pair *p);

#endif
