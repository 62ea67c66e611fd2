/* tracker/mlflow/calls/mlflow_names.c - which names and lengths are allowed, and names for runs that
 * have none. A name is letters and digits of any script, '_', '-', '.', ' ', ':' and '/', and
 * is no path that means another ("a//b", "../a", "/a"). Lengths count characters. */
#include "lib/os/proc.h"
#include "lib/secret/secret.h"
#include "tracker/mlflow/mlflow_inner.h"
#include <stdio.h>
#include <sys/random.h>
#include <utf8proc.h>

bool mlflow_is_word(int32_t c)
{
    if (c < 0x80)
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
               (c >= 'a' && c <= 'z') || c == '_';
    const utf8proc_category_t k = utf8proc_category(c);
    return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO) ||
           (k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO);
}

static bool has_allowed_letters(const char *name)
{
    const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)name;
    utf8proc_int32_t c;
    for (utf8proc_ssize_t n; *p; p += n) {
        n = utf8proc_iterate(p, -1, &c);
        if (n <= 0 || (!mlflow_is_word(c) && (c > 0x7f || !strchr("/.- :", (int)c))))
            return false;
    }
    return true;
}

/* Is the text what posixpath.normpath makes of it, and within? Then its components are
 * neither empty nor "." nor "..". */
static bool is_plain_path(const char *name)
{
    for (const char *p = name;; p++) {
        const size_t n = strcspn(p, "/");
        if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && !strncmp(p, "..", 2)))
            return false;
        p += n;
        if (!*p)
            return strncmp(name, "..", 2) != 0;
    }
}

static int refuse(const char *where, const char *name, const char *why,
                  struct mlflow_error *e)
{
    struct buf quoted = BUF_INIT;
    json_put_string(&quoted, name, strlen(name));
    mlflow_fail(e, MLFLOW_INVALID_PARAMETER_VALUE,
                "Invalid value %.600s for parameter '%s' supplied: %s", buf_str(&quoted),
                where, why);
    buf_release(&quoted);
    return -1;
}

static size_t characters(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xC0) != 0x80;
    return n;
}

int mlflow_check_length(const char *what, const char *text, size_t limit,
                        struct mlflow_error *e)
{
    if (characters(text) <= limit)
        return 0;
    return mlflow_fail(e, MLFLOW_INVALID_PARAMETER_VALUE,
                       "'%s' exceeds the maximum length of %zu characters", what, limit);
}

int mlflow_check_name(const char *where, const char *what, const char *name,
                      struct mlflow_error *e)
{
    if (!*name)
        return mlflow_fail(e, MLFLOW_INVALID_PARAMETER_VALUE,
                           "Missing value for required parameter '%s'.", where);
    if (!has_allowed_letters(name))
        return refuse(
            where, name,
            "Names may only contain alphanumerics, underscores (_), dashes (-), "
            "periods (.), spaces ( ), colon(:) and slashes (/).",
            e);
    if (!is_plain_path(name))
        return refuse(where, name,
                      "Names may be treated as files in certain cases, and must not "
                      "resolve to other names when treated as such.",
                      e);
    return mlflow_check_length(what, name, MLFLOW_MAX_KEY, e);
}

/* At most so many characters of it. */
static char *cut(const char *text, size_t limit)
{
    const char *p = text;
    for (size_t n = 0; *p; p++) {
        n += ((unsigned char)*p & 0xC0) != 0x80;
        if (n > limit)
            break;
    }
    return xstrndup(text, (size_t)(p - text));
}

char *mlflow_kept_text(const char *key, const char *value, size_t limit)
{
    if (secret_value(key, value))
        return xstrdup(SECRET_SHOWN);
    char *clean = secret_text(value), *kept = cut(clean ? clean : value, limit);
    free(clean);
    return kept;
}

/* ---- run names ---- */

static const char *const manners[] = {
    "amber", "brisk", "cosy",  "deft",   "earnest", "fond",  "glad", "hardy",
    "idle",  "jolly", "keen",  "lucid",  "mellow",  "neat",  "open", "patient",
    "quiet", "rapid", "sober", "tender", "urban",   "vivid", "warm", "young",
    "zesty", "blue",  "green", "golden", "silver",  "early", "late", "northern"};
static const char *const things[] = {
    "acorn", "beacon", "canal",  "dune",    "ember",  "fjord",  "grove",   "harbor",
    "inlet", "jetty",  "knoll",  "lantern", "meadow", "nook",   "orchard", "pebble",
    "quay",  "ridge",  "spruce", "tide",    "upland", "valley", "willow",  "yarrow",
    "birch", "cliff",  "delta",  "fern",    "glade",  "heath",  "island",  "maple"};

void mlflow_random_name(char out[32])
{
    enum { TRIES = 10, LONGEST = 20 };
    for (int i = 0; i < TRIES; i++) {
        uint32_t dice[3] = {0};
        if (getrandom(dice, sizeof dice, 0) != sizeof dice)
            dice[0] = dice[1] = dice[2] = (uint32_t)clock_wall_ms() + (uint32_t)i;
        if (snprintf(out, 32, "%s-%s-%u", manners[dice[0] % ARRAY_LEN(manners)],
                     things[dice[1] % ARRAY_LEN(things)], dice[2] % 1001) <= LONGEST)
            return;
    }
    out[LONGEST] = '\0';
}
