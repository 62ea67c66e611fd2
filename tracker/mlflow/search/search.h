/* tracker/mlflow/search/search.h - MLflow's search over the store: filters, orders, pages.
 *
 * A filter is clauses with AND between them, over the latest value of a metric, params,
 * tags, attributes and datasets:
 *
 *     metrics.loss < 0.3 AND params."lora.rank" = '8' and tags.team ILIKE '%nlp%'
 *     AND attributes.run_id IN ('...', '...') AND tags.reviewed IS NULL
 *
 * What is accepted, and how it is read, is MLflow's own (3.17, its SearchUtils over sqlparse
 * 0.6), also where that is odd: AND may be missing or doubled, and a key behind a dot and a
 * blank has the blank in its name. Only what SQL would call an alias is refused here
 * ("params.a = '1' params.b IS NULL", of which MLflow makes one key). A run without the key
 * never matches, not even by !=; NaN matches no other comparison. '=' and LIKE tell capitals
 * from small letters, ILIKE does not (of ASCII).
 *
 * Orders put NULL last in both directions and NaN before it; then come the newest start and
 * the lowest run id. A page's token holds where it ended (values and id), so that what is
 * logged in between moves nothing. It is base64 and nobody's business but ours.
 *
 * Limits: a filter of 100 kB and 500 clauses, 100 orders, 50,000 results, 30 s. Whatever a
 * client did wrong is ERR_USAGE with MLflow's wording as far as that tells anything; it is
 * answered as INVALID_PARAMETER_VALUE, also where MLflow itself ends with INTERNAL_ERROR (a
 * field named twice in order_by), since clients try that again for minutes.
 *
 * Text of a client goes into statements as bound values only. */
#ifndef TRACKER_MLFLOW_SEARCH_H
#define TRACKER_MLFLOW_SEARCH_H

#include "lib/buf.h"
#include "lib/err.h"
#include "tracker/store/store.h"
#include <jansson.h>

/* What was found: run.id or experiment.id (0: Default, where nobody made it yet). */
struct search_page {
    int64_t *ids;
    size_t count;
    char *next; /* token of the next page; NULL: there is none */
};
void search_page_release(struct search_page *page);

/* Of `request` the members filter, order_by, max_results, page_token, run_view_type and
 * experiment_ids (those of experiments: view_type) count; numbers may be texts. */
int search_runs(struct store *s, const json_t *request, struct search_page *out,
                struct err *err);
int search_experiments(struct store *s, const json_t *request, struct search_page *out,
                       struct err *err);

/* The answer of runs/search as JSON text: {"runs": [...], "next_page_token": ...}. */
int search_runs_answer(struct store *s, const json_t *request, struct buf *answer,
                       struct err *err);

#endif
