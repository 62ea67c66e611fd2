/* report/sections/decision/why_not.c - every other configuration beside the best: what it
 * is behind by, how sure that is, and what it would save. */
#include "report/cost/cost.h"
#include "report/page/words.h"
#include "report/sections/decision/decision.h"
#include <math.h>

/* "41.0 MiB (-28.0 MiB)" */
static const char *memory_text(const struct report *r, const struct report_cell *c,
                               const struct report_cell *best)
{
    const double mine = cell_spread(c, r->settings.memory_key).mean,
                 its = cell_spread(best, r->settings.memory_key).mean;
    if (isnan(mine) || isnan(its))
        return "–";
    return mine == its ? word_bytes(mine)
                       : word_f("%s (%s%s)", word_bytes(mine), mine < its ? "−" : "+",
                                word_bytes(fabs(mine - its)));
}

void why_not_write(const struct report *r, struct html *h)
{
    enum { SHOWN = 24 };
    const size_t column = r->matrix.main_column;
    const struct verdict *v = r->matrix.verdicts[column];
    const double delta = r->settings.rules.delta;
    if (v->ranked < 2)
        return;
    const struct report_cell *best = matrix_cell(&r->matrix, column, v->ranking[0]);
    html_raw(h, "<div id=\"why-not\">");
    html_fold_open(h, "Why not another: %zu beside %s", v->ranked - 1,
                   r->data.groups.items[v->ranking[0]].label);
    html_table_open(h, NULL, NULL,
                    word_f("%s|Word|>Behind by|>95 %%|>Adjusted p|>Peak memory|>Run",
                           r->data.by_method ? "Method" : "Group"));
    for (size_t i = 1; i < v->ranked && i <= SHOWN; i++) {
        const struct report_cell *c = matrix_cell(&r->matrix, column, v->ranking[i]);
        const struct verdict_pair *p = verdict_find(v, v->ranking[0], v->ranking[i]);
        const double usd = cell_run_usd(r, c);
        html_row(h);
        html_head_cell(h, "%s", r->data.groups.items[c->group].label);
        html_cell(h, "%s", cell_word_text(c->word));
        html_number(h, "%s", word_score(p->diff, delta));
        html_number(h, "%s",
                    isnan(p->ci95.low) ? "–" : word_change_range(p->ci95, delta));
        html_number(h, "%s", isnan(p->p_adjusted) ? "–" : word_p(p->p_adjusted));
        html_number(h, "%s", memory_text(r, c, best));
        html_number(h, "%s", isnan(usd) ? "–" : word_usd(usd));
    }
    html_table_close(h);
    if (v->ranked > SHOWN + 1)
        html_el(h, "p", "note", "%zu more are in the data of 'peftlab report --json'.",
                v->ranked - 1 - SHOWN);
    html_fold_close(h);
    html_raw(h, "</div>\n");
}
