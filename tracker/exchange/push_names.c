/* tracker/exchange/push_names.c - names and texts as every MLflow takes them: ASCII letters,
 * digits, "_-. /" (newer servers also ":" and letters of any script), no part that is empty,
 * "." or "..", no ".." in front, at most 250 bytes. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/exchange/push_parts.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static bool allowed(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("_-. /", c));
}

/* Parts of a path that are "", "." or ".." would be another path; and MLflow takes whatever
 * begins with ".." for one that leads away. */
char *push_path(const char *name)
{
    struct buf out = BUF_INIT;
    for (const char *part = name, *end; part; part = *end ? end + 1 : NULL) {
        end = part + strcspn(part, "/");
        const size_t n = (size_t)(end - part),
                     away = part == name && str_has_prefix(name, "..") ? 2 : 0;
        if (part > name)
            buf_char(&out, '/');
        if (n == 0)
            buf_char(&out, '_');
        for (size_t i = 0; i < n; i++)
            buf_char(&out,
                     i < away || (n <= 2 && strspn(part, ".") >= n) || !allowed(part[i])
                         ? '_'
                         : part[i]);
    }
    return buf_detach(&out, NULL);
}

bool push_name_stays(const char *name)
{
    char *out = push_path(name);
    const bool stays = str_eq(out, name) && strlen(name) <= PUSH_MAX_KEY;
    free(out);
    return stays;
}

/* What would be called as another one is, or is too long, gets a piece of its hash. */
char *push_name(const char *name, struct strmap *taken)
{
    char *out = push_path(name), sha256[SHA256_HEX];
    int64_t found;
    if (strlen(out) > PUSH_MAX_KEY ||
        (taken && strmap_get(taken, out, strlen(out), &found))) {
        sha256_hex(name, strlen(name), sha256);
        char *longer = xasprintf("%.*s_%.8s", PUSH_MAX_KEY - 9, out, sha256);
        free(out);
        out = longer;
    }
    if (taken)
        strmap_put(taken, out, strlen(out), 1);
    return out;
}

char *push_cut(const char *text, size_t max)
{
    size_t n = strlen(text);
    if (n <= max)
        return xstrdup(text);
    for (n = max - 3; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80;)
        n--;
    return xasprintf("%.*s...", (int)n, text);
}

char *push_text(const json_t *v)
{
    struct buf text = BUF_INIT;
    if (json_is_string(v))
        return xstrdup(json_string_value(v));
    json_write(&text, v, 0);
    char *out = buf_detach(&text, NULL);
    return out ? out : xstrdup("");
}
