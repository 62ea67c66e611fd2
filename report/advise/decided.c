/* report/advise/decided.c - what the store's newest sweep on these data decides: the first
 * sentence of its report, word for word, and its next step, so that advice and report say one thing. */
#include "lib/json.h"
#include "report/advise/advise.h"
#include "report/report.h"

json_t *advise_decided(struct store *s, int64_t sweep)
{
    struct report *r = report_judge_sweep(s, sweep);
    if (!r)
        return NULL;
    json_t *n = section_decision.numbers(r), *decided = NULL;
    if (json_object_get(n, "take"))
        decided =
            json_pack("{s:s, s:O, s:O, s:O, s:O}", "about", r->data.title, "decision",
                      json_object_get(n, "decision"), "sentence",
                      json_array_get(json_object_get(n, "takeaways"), 0), "take",
                      json_object_get(n, "take"), "next", json_object_get(n, "next"));
    json_decref(n);
    report_free(r);
    return decided;
}
