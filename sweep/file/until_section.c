/* sweep/file/until_section.c - `until`: what the sweep runs for, and how many seeds at most. */
#include "lib/config/conf.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "sweep/file/file_parts.h"
#include <math.h>
#include <stdlib.h>

#define SEEDS_DEFAULT 5

/* `decided` alone is the same as {decided: true}. */
static int check_section(const struct sweep_file *f, const json_t *value, json_t **out,
                         struct err *err)
{
    if (json_is_string(value) && !str_eq(json_string_value(value), "decided"))
        return sweep_file_error(f, "until", err,
                                "until is 'decided', {regret: X} or {chance: P, delta: "
                                "X}, not '%.100s'",
                                json_string_value(value));
    json_t *section = json_is_string(value) ? json_pack("{s:b}", "decided", 1)
                                            : json_incref((json_t *)value);
    int rc = file_section(f, "until", section, &sweep_until_table, out, err);
    json_decref(section);
    return rc;
}

static int read_goal(struct sweep_file *f, const json_t *u, struct err *err)
{
    static const struct {
        const char *key;
        enum until_goal goal;
    } goals[] = {
        {"regret", UNTIL_REGRET}, {"chance", UNTIL_CHANCE}, {"decided", UNTIL_DECIDED}};
    for (size_t i = 0; i < ARRAY_LEN(goals); i++) {
        const json_t *v = json_object_get(u, goals[i].key);
        if (!v || json_is_false(v))
            continue;
        if (f->until.goal)
            return sweep_file_error(f, "until", err,
                                    "regret, chance and decided exclude each other");
        f->until.goal = goals[i].goal;
        f->until.limit = json_is_number(v) ? json_number_value(v) : 0;
    }
    if (!f->until.goal)
        return sweep_file_error(f, "until", err,
                                "until what? write 'decided', {regret: X} or {chance: P, "
                                "delta: X}");
    f->until.delta = json_get_num(u, "delta", NAN);
    return 0;
}

/* Seeds beyond the list go on from its largest. */
static int add_seeds(struct sweep_file *f, size_t most, struct err *err)
{
    uint64_t next = 0;
    for (size_t i = 0; i < f->seed_count; i++)
        next = f->seeds[i] >= next ? f->seeds[i] + 1 : next;
    if (next > INT64_MAX - most)
        return sweep_file_error(f, "seeds", err, "no room for further seeds");
    f->seeds = xrealloc(f->seeds, most * sizeof *f->seeds);
    while (f->seed_count < most)
        f->seeds[f->seed_count++] = next++;
    f->seed_count = most;
    return 0;
}

int file_until(struct sweep_file *f, const json_t *value, struct err *err)
{
    json_t *u;
    f->until.delta = NAN;
    if (!value)
        return 0;
    int rc = check_section(f, value, &u, err);
    if (rc < 0)
        return rc;
    const bool said = json_object_get(conf_root(f->conf), "seeds") != NULL;
    const size_t listed = said ? f->seed_count : SEEDS_DEFAULT;
    const size_t most = (size_t)json_get_int(u, "seeds_max", (int64_t)listed);
    rc = read_goal(f, u, err);
    if (rc == 0 && !f->metric)
        rc = sweep_file_error(f, "until", err, "until needs a metric to judge by");
    if (rc == 0 && f->names_seed)
        rc = sweep_file_error(f, "until", err,
                              "until gives seeds itself; leave the parameter 'seed' out");
    if (rc == 0)
        rc = add_seeds(f, most, err);
    json_decref(u);
    return rc;
}
