/* report/evidence/prior_claims.h - what was known beforehand (priors.h) held against what
 * was measured.
 *
 * A claim that compares two methods is measured in a column where both sides have good
 * trials, between the two configurations that are most alike: they differ in the claim's
 * subject alone, else in the learning rate too (of several pairs the best by the selection
 * metric counts); the difference by the test of verdict.h (rule 2), unadjusted, since each
 * claim was made before the data. Its word follows prior_judge; outside the claim's scope
 * (task, training rows), and where the most alike pair differs in more (rank, targets,
 * ...), the word is "out of scope", whatever was measured. */
#ifndef REPORT_EVIDENCE_PRIOR_CLAIMS_H
#define REPORT_EVIDENCE_PRIOR_CLAIMS_H

#include "report/evidence/cells.h"
#include "report/advise/priors.h"

struct claim {
    const struct prior *prior;
    size_t column;
    size_t better_group, better_variant, worse_group, worse_variant;
    struct verdict_pair pair; /* diff > 0: the side that was to be better has more */
    enum prior_word word;
    bool other_rate;     /* they have other learning rates */
    bool unlike;         /* its sides differ in more than the claim's subject */
    bool quality;        /* judged on the report's metric, in its goal's direction */
    size_t seeds_needed; /* of an open one; 0: cannot be said */
};

struct claims {
    struct priors priors;
    struct claim *items;
    size_t count, cap;
    size_t unmeasured; /* comparing claims without both sides in the store */
};

int claims_judge(const struct report_data *d, const struct report_settings *s,
                 const struct matrix *m, struct claims *out, struct err *err);
void claims_release(struct claims *c);
/* How often the claims on the report's metric that name the group got each word. */
void claims_count(const struct claims *c, size_t column, size_t group, size_t counts[4]);

#endif
