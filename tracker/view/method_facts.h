/* tracker/view/method_facts.h - what is to be known of a fine-tuning method by those who may not
 * ask its row.
 *
 * The rows are the trainer's (runner/nn/peft/methods.def). It logs their facts with each run
 * (sink->ops->method), and whoever reads a store finds them in run_view.method_facts; a run of a
 * user's own program, or one that came out of a foreign file, has none, and nobody guesses
 * them by a name. Where nothing has run yet cli/ hands the trainer's rows in as a list of
 * these (advise). */
#ifndef TRACKER_VIEW_METHOD_FACTS_H
#define TRACKER_VIEW_METHOD_FACTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Which of the base's own tensors are others after training. */
#define BASE_CHANGES(X)                                                                  \
    X(none, "what is learned stands beside the base")                                    \
    X(biases, "it changes the base's biases")                                            \
    X(norms, "it changes the base's normalisation layers")                               \
    X(all, "full fine-tuning changes every weight")
enum base_change {
#define X(name, said) BASE_##name,
    BASE_CHANGES(X)
#undef X
        BASE_CHANGE_COUNT
};
extern const char *const base_change_names[BASE_CHANGE_COUNT];
extern const char *const base_change_said[BASE_CHANGE_COUNT];

struct method_facts {
    char name[32];   /* of the row: a method or one of its presets, "qlora" */
    char shown[64];  /* what people read: the name, "lora on fp4" */
    char method[32]; /* the method behind a preset, "lora"; else the name */
    enum base_change changes_base;
    bool mergeable;       /* its result can be worked into plain weights */
    bool quantisable;     /* the base's linear weights may be quantised under it */
    bool quantised;       /* and are */
    bool virtual_tokens;  /* it puts tokens of its own in front of the text */
    double training_cost; /* training FLOPs over forward FLOPs */
};

json_t *method_facts_json(const struct method_facts *f);
/* False: `j` (NULL: none were logged) does not say it all, as the facts of a later version
 * might not. */
bool method_facts_read(const json_t *j, struct method_facts *out);
/* By the row's name; NULL: it is not among them. */
const struct method_facts *method_facts_find(const struct method_facts *list,
                                             size_t count, const char *name);

#endif
