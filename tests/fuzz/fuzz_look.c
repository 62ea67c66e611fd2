/* Fuzzes what `init` looks at (the first byte chooses the form): counts hold, a guess names
 * columns that are there, and dealing puts every whole row into one part and no other. */
#include "runner/data/look/look.h"
#include <stdint.h>
#include <stdlib.h>

static void check_counts(const struct look_file *f)
{
    for (size_t i = 0; i < f->column_count; i++) {
        const struct look_column *c = &f->columns[i];
        size_t by_type = 0, by_value = 0;
        for (int t = 0; t < LOOK_TYPES; t++)
            by_type += c->types[t];
        for (size_t k = 0; k < c->value_count; k++)
            by_value += c->values[k].rows;
        if (by_type != c->filled || c->filled > f->count || by_value > c->filled ||
            (!c->many && by_value != c->filled))
            abort();
    }
}

static void check_guess(const struct look_file *f)
{
    const struct look_roles none = {NULL, NULL, NULL};
    struct look_guess g;
    struct look_same same;
    if (look_guess(f, &none, &g, NULL))
        return;
    if (!look_column(f, g.roles.text) ||
        (g.roles.pair && !look_column(f, g.roles.pair)) ||
        (g.roles.label && !look_column(f, g.roles.label)))
        abort();
    enum look_part *parts = calloc(f->count, sizeof *parts);
    look_deal(f, &g, 10, 1, parts);
    for (size_t i = 0; i < f->count; i++)
        if ((parts[i] < LOOK_PARTS) != look_is_whole(f, &g, i))
            abort();
    free(parts);
    look_same(f, &g, f, &same);
    if (same.twice > f->count || same.disagree > same.twice || same.in_other > f->count)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"a.jsonl", "a.csv", "a.tsv"};
    struct look_file f;
    if (!size || size > 65536)
        return 0;
    if (!look_parse((const char *)data + 1, size - 1, names[data[0] % 3], &f, NULL)) {
        check_counts(&f);
        check_guess(&f);
    }
    look_release(&f);
    return 0;
}
