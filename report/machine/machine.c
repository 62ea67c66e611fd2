/* report/machine/machine.c - see machine.h. */
#include "report/machine/machine.h"
#include "lib/buf.h"
#include "lib/str.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "RTX 4090" and "A100 40GB" as "rtx4090" and "a10040". */
static void normal_form(const char *name, char *out, size_t n)
{
    size_t len = 0;
    for (; *name && len + 1 < n; name++)
        if (isalnum((unsigned char)*name))
            out[len++] = (char)tolower((unsigned char)*name);
    if (len > 3 && isdigit((unsigned char)out[len - 3]) && out[len - 2] == 'g' &&
        out[len - 1] == 'b')
        len -= 2;
    out[len] = '\0';
}

/* 2: the same; 1: the beginning, or all but the maker's "rtx"; 0: another GPU. */
static int match(const char *wanted, const char *gpu)
{
    char name[64];
    normal_form(gpu, name, sizeof name);
    const char *bare = str_has_prefix(name, "rtx") ? name + 3 : name;
    return str_eq(wanted, name) || str_eq(wanted, bare) ? 2
           : str_has_prefix(name, wanted)               ? 1
                                                        : 0;
}

static int unknown(const struct catalog *c, const char *text, const char *wanted,
                   struct err *err)
{
    struct buf list = BUF_INIT;
    bool several = false;
    for (size_t i = 0; i < c->gpu_count; i++)
        several |= *wanted && match(wanted, c->gpus[i].name);
    for (size_t i = 0; i < c->gpu_count; i++)
        if (!several || match(wanted, c->gpus[i].name))
            buf_printf(&list, "%s%s", list.len ? ", " : "", c->gpus[i].name);
    int rc = err_set(err, ERR_CONFIG, "GPU '%.60s': %s %.700s", text,
                     several ? "which one? There are" : "it is none of", buf_str(&list));
    buf_release(&list);
    return rc;
}

int machine_parse(const struct catalog *c, const char *text, struct machine *out,
                  struct err *err)
{
    char wanted[64];
    const struct gpu *begun = NULL;
    int fits = 0;
    char *end;
    long count = strtol(text, &end, 10);
    const bool counted = end != text && (*end == 'x' || *end == 'X') && end[1];
    *out = (struct machine){.count = counted ? (int)count : 1};
    if (counted && (count < 1 || count > MACHINE_GPUS_MAX))
        return err_set(err, ERR_CONFIG, "GPUs '%.60s': 1 to %d of a kind", text,
                       MACHINE_GPUS_MAX);
    normal_form(counted ? end + 1 : text, wanted, sizeof wanted);
    for (size_t i = 0; i < c->gpu_count && *wanted; i++) {
        int how = match(wanted, c->gpus[i].name);
        if (how == 2)
            out->gpu = &c->gpus[i];
        else if (how == 1) {
            begun = &c->gpus[i];
            fits++;
        }
    }
    if (!out->gpu && fits == 1)
        out->gpu = begun;
    return out->gpu ? 0 : unknown(c, text, wanted, err);
}

bool machine_has_bf16(const struct machine *m)
{
    return str_eq(m->gpu->format, "BF16");
}
