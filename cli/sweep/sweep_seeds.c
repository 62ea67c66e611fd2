/* cli/sweep/sweep_seeds.c - `peftlab sweep seeds`: a configuration that a sweep has, with
 * seeds that it has not had yet. */
#include "cli/sweep/sweep_verbs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "sweep/run/clone.h"
#include <stdio.h>
#include <stdlib.h>

enum { MOST_SEEDS = 1000 };

/* clang-format off */
static const struct opt_def rows[] = {STORE_OPTION};
static const struct opt_table options = {"sweep seeds", rows, ARRAY_LEN(rows)};
/* clang-format on */

/* The first seed that no trial of its sweep with the same configuration has, nor any below
 * one that has been. */
static int next_seed(struct store *store, int64_t trial, int64_t *seed, struct err *err)
{
    json_t *bind = json_pack("[I]", (json_int_t)trial),
           *result = store_query(store,
                                 "SELECT max(o.seed) + 1 FROM trial_view AS t JOIN "
                                 "trial AS o ON o.sweep = t.sweep AND o.key = t.key "
                                 "WHERE t.id = ?1",
                                 bind, 1, err);
    const json_t *row = json_array_get(json_object_get(result, "rows"), 0);
    *seed = json_integer_value(json_array_get(row, 0));
    json_decref(bind);
    json_decref(result);
    return result ? 0 : err_code(err);
}

static int add_seed(struct store *store, int64_t trial, struct err *err)
{
    int64_t seed, id = 0;
    int rc = next_seed(store, trial, &seed, err);
    if (rc < 0)
        return rc;
    char *word = xasprintf("seed=%lld", (long long)seed);
    const char *words[] = {word};
    rc = sweep_clone(store, &sweep_trainer, trial, words, 1, false, &id, err);
    if (rc == 0)
        text_print(stdout, "trial %lld is trial %lld with seed %lld and waits\n",
                   (long long)id, (long long)trial, (long long)seed);
    free(word);
    return rc;
}

static int seeds_command(const json_t *values, const char *const *words, size_t count,
                         struct err *err)
{
    struct store *store;
    int64_t trial, more = 1;
    int rc = sweep_trial_id("seeds", words, count, &trial, err);
    if (rc == 0 && count > 1 &&
        (!str_whole(words[1], &more) || more < 1 || more > MOST_SEEDS))
        rc = err_set(err, ERR_USAGE,
                     "sweep seeds: '%.60s' is no number of seeds from 1 to %d", words[1],
                     MOST_SEEDS);
    if (rc == 0)
        rc = sweep_open_store(values, 0, &store, err);
    if (rc < 0)
        return rc;
    for (int64_t i = 0; i < more && rc == 0; i++)
        rc = add_seed(store, trial, err);
    if (rc == 0)
        text_print(stdout,
                   "a sweep that runs takes %s up, 'peftlab sweep resume' runs %s "
                   "otherwise\n",
                   more == 1 ? "it" : "them", more == 1 ? "it" : "them");
    store_close(store);
    return rc;
}

const struct command_verb sweep_verb_seeds = {
    .command = {.name = "seeds",
                .usage = "sweep seeds TRIAL [N]",
                .help = "Adds a trial's configuration again with N further seeds, also "
                        "while its sweep runs.",
                .options = &options},
    .max_words = 2,
    .run = seeds_command,
};
