/* cli/start/init_find.c - which of the user's files hold which rows. */
#include "cli/start/init.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What people call the files of each part; the first is how ours are called. */
static const char *const part_words[LOOK_PARTS][6] = {
    [LOOK_TRAIN] = {"train", "training", NULL},
    [LOOK_EVAL] = {"dev", "eval", "val", "valid", "validation", NULL},
    [LOOK_TEST] = {"test", "heldout", NULL},
};
static const char *const endings[] = {".jsonl", ".csv", ".tsv", NULL};

static const char *ending_of(const char *name)
{
    const size_t n = strlen(name);
    for (size_t i = 0; endings[i]; i++)
        if (n > strlen(endings[i]) &&
            !strcasecmp(name + n - strlen(endings[i]), endings[i]))
            return endings[i];
    return NULL;
}

/* Is the word there, and no longer word around it ("train_400" has "train")? */
static bool has_word(const char *name, size_t n, const char *word)
{
    const size_t len = strlen(word);
    for (size_t i = 0; i + len <= n; i++)
        if (!strncasecmp(name + i, word, len) &&
            (!i || !isalpha((unsigned char)name[i - 1])) &&
            (i + len == n || !isalpha((unsigned char)name[i + len])))
            return true;
    return false;
}

/* LOOK_PARTS: none that its name tells. */
static enum look_part part_of_name(const char *name)
{
    const size_t n = strlen(name) - strlen(ending_of(name));
    for (int p = LOOK_PARTS - 1; p >= 0; p--)
        for (size_t w = 0; part_words[p][w]; w++)
            if (has_word(name, n, part_words[p][w]))
                return (enum look_part)p;
    return LOOK_PARTS;
}

/* --- a folder --- */

/* Of several files of a part the one with the shortest name, then by the alphabet:
 * "train.jsonl" before "train_400.jsonl". */
static bool is_before(const char *a, const char *b)
{
    const size_t n = strlen(a), m = strlen(b);
    return n != m ? n < m : strcmp(a, b) < 0;
}

struct listing {
    char *of[LOOK_PARTS + 1]; /* names; the last: of no part */
    size_t unnamed;
};

static void list_folder(const char *dir, const char *ending, struct listing *l)
{
    DIR *d = opendir(dir);
    for (const struct dirent *e; d && (e = readdir(d));) {
        const char *its = e->d_name[0] == '.' ? NULL : ending_of(e->d_name);
        if (!its || (ending && !str_eq(its, ending)))
            continue;
        const enum look_part p = part_of_name(e->d_name);
        l->unnamed += p == LOOK_PARTS;
        if (l->of[p] && !is_before(e->d_name, l->of[p]))
            continue;
        free(l->of[p]);
        l->of[p] = xstrdup(e->d_name);
    }
    if (d)
        closedir(d);
}

static void listing_release(struct listing *l)
{
    for (int p = 0; p <= LOOK_PARTS; p++)
        free(l->of[p]);
}

static int from_folder(struct init *i, const char *dir, struct err *err)
{
    struct listing l = {{NULL}, 0};
    int rc = 0;
    list_folder(dir, NULL, &l);
    const char *train = l.of[LOOK_TRAIN] ? l.of[LOOK_TRAIN]
                        : l.unnamed == 1 ? l.of[LOOK_PARTS]
                                         : NULL;
    if (!train)
        rc = err_set(err, ERR_NOINPUT,
                     l.unnamed ? "folder '%s': several files of rows and none is called "
                                 "train; name one: peftlab init FILE"
                               : "folder '%s': no .jsonl, .csv or .tsv file; name one: "
                                 "peftlab init FILE",
                     dir);
    else
        i->parts[LOOK_TRAIN].path = fs_join(dir, train);
    for (int p = LOOK_EVAL; p < LOOK_PARTS && !rc; p++)
        if (l.of[p])
            i->parts[p].path = fs_join(dir, l.of[p]);
    listing_release(&l);
    return rc;
}

/* --- one file --- */

/* Its neighbours count where its own name says what it is. */
static int from_file(struct init *i, const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    struct listing l = {{NULL}, 0};
    if (!ending_of(name))
        return err_set(err, ERR_CONFIG,
                       "data file '%s': rows are read from .jsonl, .csv and .tsv", path);
    i->parts[LOOK_TRAIN].path = xstrdup(path);
    if (part_of_name(name) != LOOK_TRAIN)
        return 0;
    char *dir = fs_dirname(path);
    list_folder(dir, ending_of(name), &l);
    for (int p = LOOK_EVAL; p < LOOK_PARTS; p++)
        if (l.of[p])
            i->parts[p].path = fs_join(dir, l.of[p]);
    free(dir);
    listing_release(&l);
    return 0;
}

/* The file's name, or its folder's where that says "train". */
static char *base_name(const char *path)
{
    char *whole = fs_absolute(path), *dir = fs_dirname(whole);
    const char *slash = strrchr(whole, '/'), *name = slash ? slash + 1 : whole;
    if (ending_of(name) && part_of_name(name) == LOOK_TRAIN &&
        (slash = strrchr(dir, '/')))
        name = slash + 1;
    const char *ending = ending_of(name);
    char *word = xstrndup(name, strlen(name) - (ending ? strlen(ending) : 0));
    free(dir);
    free(whole);
    return word;
}

/* A word that needs no quotes in YAML, on a command line or as a folder. */
static char *plain_word(char *word)
{
    for (char *c = word; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("_-", *c))
            *c = '-';
    if (isalpha((unsigned char)word[0]))
        return word;
    char *longer = xasprintf("data-%s", word);
    free(word);
    return longer;
}

static void take_given(struct init *i, const char *key, enum look_part p)
{
    const char *path = json_get_str(i->values, key, NULL);
    if (!path)
        return;
    free(i->parts[p].path);
    i->parts[p].path = xstrdup(path);
}

int init_find(struct init *i, const char *given, struct err *err)
{
    const char *from = given ? given : ".", *name = json_get_str(i->values, "name", NULL);
    int rc = !fs_exists(from) ? err_set(err, ERR_NOINPUT, "init: '%s' is not there", from)
             : fs_is_dir(from) ? from_folder(i, from, err)
                               : from_file(i, from, err);
    if (rc)
        return rc;
    take_given(i, "eval_data", LOOK_EVAL);
    take_given(i, "test_data", LOOK_TEST);
    i->dealt = !i->parts[LOOK_EVAL].path && !i->parts[LOOK_TEST].path;
    i->name = plain_word(name ? xstrdup(name) : base_name(i->parts[LOOK_TRAIN].path));
    i->out = xstrdup(json_get_str(i->values, "out", i->name));
    return 0;
}
