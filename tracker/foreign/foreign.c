/* tracker/foreign/foreign.c - the table of formats; see foreign.h. */
#include "tracker/foreign/foreign.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"

static const struct foreign_format formats[] = {
#define FOREIGN(id, name, what) {name, foreign_is_##id, foreign_read_##id},
#include "tracker/foreign/formats.def"
#undef FOREIGN
};
const struct foreign_format *foreign_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (str_eq(name, formats[i].name))
            return &formats[i];
    return NULL;
}

const struct foreign_format *foreign_look(const char *path)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (formats[i].is(path))
            return &formats[i];
    return NULL;
}

void foreign_left_out(struct foreign *f, const char *what, size_t count)
{
    if (count == 0)
        return;
    if (!f->left_out)
        f->left_out = json_object();
    json_object_set_new(
        f->left_out, what,
        json_integer(json_get_int(f->left_out, what, 0) + (json_int_t)count));
}
