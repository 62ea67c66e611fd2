/* sweep/space/space_count.c - how large a grid is at least, before any of it is built.
 *
 * Only axes that some `when` looks at are walked; all others multiply. An axis whose
 * `when` looks at later axes counts as one, so the count is a lower bound. */
#include "lib/mem.h"
#include "sweep/space/space_parts.h"
#include <stdlib.h>

struct counter {
    const struct sweep_file *f;
    size_t *axes, axis_count;
    bool *walked;  /* [param] some decided `when` looks at it */
    bool *decided; /* [param] its `when` looks at earlier axes only */
    struct sweep_choice *chosen;
    json_t **env;
    double count, limit;
};

/* uses[i * n + k]: the value or presence of i looks at k, directly or through others. */
static bool *find_uses(const struct sweep_file *f, bool *by_when)
{
    const size_t n = f->param_count;
    bool *uses = xcalloc(n * n + 1, sizeof *uses);
    for (size_t o = 0; o < n; o++) { /* dependencies come first */
        const size_t i = f->order[o];
        const struct sweep_param *p = &f->params[i];
        for (int part = 0; part < 2; part++) {
            bool *direct = xcalloc(n + 1, sizeof *direct);
            if (part == 0 && p->when)
                expr_uses(p->when, direct);
            for (size_t c = 0; part == 1 && c < p->count; c++)
                if (p->choices[c].expr)
                    expr_uses(p->choices[c].expr, direct);
            for (size_t k = 0; k < n; k++)
                for (size_t m = 0; direct[k] && m < n; m++)
                    if (m == k || uses[k * n + m]) {
                        uses[i * n + m] = true;
                        by_when[i * n + m] |= part == 0;
                    }
            free(direct);
        }
    }
    return uses;
}

static void find_walked(struct counter *c)
{
    const size_t n = c->f->param_count;
    bool *by_when = xcalloc(n * n + 1, sizeof *by_when);
    free(find_uses(c->f, by_when));
    for (size_t a = 0; a < c->axis_count; a++) {
        const size_t i = c->axes[a];
        c->decided[i] = true;
        for (size_t later = a; later < c->axis_count; later++)
            c->decided[i] &= !by_when[i * n + c->axes[later]];
        for (size_t k = 0; k < n && c->decided[i]; k++)
            c->walked[k] |= by_when[i * n + k];
    }
    free(by_when);
}

static bool is_there(struct counter *c, size_t axis)
{
    const struct sweep_file *f = c->f;
    json_t *v = NULL;
    bool there = false;
    if (!f->params[axis].when)
        return true;
    if (!c->decided[axis])
        return false;
    if (space_settle(f, c->chosen, c->env, NULL) == 0) {
        there = expr_eval(f->params[axis].when, c->env, &v, NULL) == 0 && expr_truth(v);
        json_decref(v);
    }
    for (size_t i = 0; i < f->param_count; i++) {
        json_decref(c->env[i]);
        c->env[i] = NULL;
    }
    return there;
}

static void walk(struct counter *c, size_t position, double factor)
{
    if (position == c->axis_count) {
        c->count += factor;
        return;
    }
    const size_t axis = c->axes[position];
    const struct sweep_param *p = &c->f->params[axis];
    const size_t n = is_there(c, axis) ? p->count : 1;
    const size_t branches = c->walked[axis] ? n : 1;
    for (size_t i = 0; i < branches && c->count <= c->limit; i++) {
        c->chosen[axis] = p->choices[i];
        walk(c, position + 1, c->walked[axis] ? factor : factor * (double)n);
    }
    c->chosen[axis] = (struct sweep_choice){NULL, NULL};
}

double space_least_size(const struct sweep_file *f, double limit)
{
    const size_t n = f->param_count;
    struct counter c = {.f = f, .limit = limit};
    double product = 1, sure = 1;
    c.axes = xcalloc(n + 1, sizeof *c.axes);
    c.walked = xcalloc(n + 1, sizeof *c.walked);
    c.decided = xcalloc(n + 1, sizeof *c.decided);
    c.chosen = xcalloc(n + 1, sizeof *c.chosen);
    c.env = xcalloc(n + 1, sizeof(json_t *));
    for (size_t i = 0; i < n; i++) {
        const struct sweep_param *p = &f->params[i];
        if (p->kind == PARAM_CONSTANT)
            c.chosen[i] = p->choices[0];
        if (p->kind != PARAM_VALUES)
            continue;
        c.axes[c.axis_count++] = i;
        product *= (double)p->count;
        sure *= p->when ? 1 : (double)p->count;
    }
    if (product <= limit || sure > limit) {
        c.count = product <= limit ? product : sure;
    } else {
        find_walked(&c);
        walk(&c, 0, 1);
    }
    free(c.axes);
    free(c.walked);
    free(c.decided);
    free(c.chosen);
    free(c.env);
    return c.count;
}
