/* runner/train/spike.c - see spike.h. */
#include "runner/train/spike.h"
#include "lib/mem.h"
#include "lib/stats/basic.h"
#include "lib/str.h"
#include <math.h>
#include <stdio.h>

#define MAD_TO_SD    1.4826 /* of a normal distribution */
#define LEAST_SPREAD 1e-2   /* of the median */

static const struct spike_action actions[] = {
    {"none", .applies = true},
    {"stop", .ends = true},
    {"skip", .ends = false},
    {"halve", .halves = true, .applies = true},
    {"rollback", .halves = true, .goes_back = true},
};

const struct spike_action *spike_action_find(const char *name)
{
    for (size_t i = 0; name && i < ARRAY_LEN(actions); i++)
        if (str_eq(actions[i].name, name))
            return &actions[i];
    return NULL;
}

bool spike_acts(const struct spike_action *a)
{
    return a->ends || a->halves || !a->applies;
}

int spike_fits(const struct spike_action *a, bool counts_on_each, const char *method,
               struct err *err)
{
    return !counts_on_each || a->ends || !spike_acts(a)
               ? 0
               : err_set(
                     err, ERR_CONFIG,
                     "loss_spike: %s may leave updates out, and method '%s' counts on "
                     "each of them; 'none' and 'stop' are possible",
                     a->name, method);
}

void spikes_init(struct spikes *s, const struct spike_action *action)
{
    *s = (struct spikes){.action = action, .state = {.factor = 1, .good_update = -1}};
}

static void middle(const struct spike_state *s, size_t n, struct update_log *log)
{
    double away[SPIKE_WINDOW];
    log->median = stat_median(s->window, n);
    for (size_t i = 0; i < n; i++)
        away[i] = fabs(s->window[i] - log->median);
    log->spread =
        fmax(MAD_TO_SD * stat_median(away, n), LEAST_SPREAD * fabs(log->median));
}

bool spikes_see(struct spikes *s, struct update_log *log)
{
    struct spike_state *at = &s->state;
    const bool finite = isfinite(log->loss) && isfinite(log->grad_norm);
    const size_t n =
        (size_t)(at->looked_at < SPIKE_WINDOW ? at->looked_at : SPIKE_WINDOW);
    bool spike = !finite;
    log->median = log->spread = NAN;
    if (n >= SPIKE_LEAST) {
        middle(at, n, log);
        spike |= log->loss > log->median + SPIKE_DEVIATIONS * log->spread;
    }
    log->spike = spike ? s->action->name : NULL;
    at->in_a_row = spike ? at->in_a_row + 1 : 0;
    at->count += spike;
    return spike;
}

void spikes_applied(struct spikes *s, const struct update_log *log)
{
    s->state.applied++;
    s->state.window[s->state.looked_at++ % SPIKE_WINDOW] = log->loss;
}

void spike_text(const struct update_log *log, char *out, size_t size)
{
    if (!isfinite(log->loss) || !isfinite(log->grad_norm))
        snprintf(out, size, "loss %g, gradient norm %g", log->loss, log->grad_norm);
    else
        snprintf(out, size,
                 "loss %.6g lies %.1f robust deviations above %.6g, the median before it",
                 log->loss, (log->loss - log->median) / log->spread, log->median);
}
