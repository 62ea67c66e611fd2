/* report/advise/decided.c - what the store's newest sweep on these data decides: the first
 * sentence of its report, word for word, and its next step, so that advice and report say one thing. */
#include "lib/json.h"
#include "report/advise/advise.h"
#include "report/report.h"
#include <math.h>
#include <stdio.h>

json_t *advise_decided(struct store *s, int64_t sweep)
{
    char name[24];
    struct report *r;
    snprintf(name, sizeof name, "%lld", (long long)sweep);
    json_t *sweeps = json_pack("[s]", name), *decided = NULL;
    const struct report_options o = {.scope.sweeps = sweeps,
                                     .delta = NAN,
                                     .collapse = NAN,
                                     .requests_per_day = NAN,
                                     .core_usd_per_hour = REPORT_CORE_USD_PER_HOUR};
    if (report_judge(s, &o, &r, NULL) == 0) {
        json_t *n = section_decision.numbers(r);
        if (json_object_get(n, "take"))
            decided =
                json_pack("{s:s, s:O, s:O, s:O, s:O}", "about", r->data.title, "decision",
                          json_object_get(n, "decision"), "sentence",
                          json_array_get(json_object_get(n, "takeaways"), 0), "take",
                          json_object_get(n, "take"), "next", json_object_get(n, "next"));
        json_decref(n);
        report_free(r);
    }
    json_decref(sweeps);
    return decided;
}
