/* tests/unit/support/method_facts.h - facts of methods as the trainer logs them, for tests
 * below it. */
#ifndef TESTS_UNIT_SUPPORT_METHOD_FACTS_H
#define TESTS_UNIT_SUPPORT_METHOD_FACTS_H

#include "lib/mem.h"
#include "tracker/store/store.h"
#include "tracker/view/method_facts.h"

#define PLAIN(name, changes, merges, virtual_, cost)                                     \
    {                                                                                    \
        name, name, name, changes, merges, true, false, virtual_, cost                   \
    }
static const struct method_facts method_list[] = {
    PLAIN("head", BASE_none, true, false, 1),
    {"full", "full", "full", BASE_all, true, false, false, false, 3},
    PLAIN("bitfit", BASE_biases, true, false, 2),
    PLAIN("lora", BASE_none, true, false, 2),
    PLAIN("ia3", BASE_none, true, false, 2),
    PLAIN("adapter", BASE_none, false, false, 2),
    PLAIN("prefix", BASE_none, false, true, 2),
    PLAIN("prompt", BASE_none, false, true, 2),
    {"qlora", "qlora", "lora", BASE_none, true, true, true, false, 2},
    {"dora", "dora", "lora", BASE_none, true, true, false, false, 2},
};
#undef PLAIN

/* As the trainer does; a method that is not in the list stays unknown. */
static inline int log_method(struct store *s, int64_t run, const char *name,
                             struct err *err)
{
    const struct method_facts *f =
        method_facts_find(method_list, ARRAY_LEN(method_list), name);
    json_t *j = f ? method_facts_json(f) : NULL;
    int rc = j ? store_set_method(s, run, j, err) : 0;
    json_decref(j);
    return rc;
}

#endif
