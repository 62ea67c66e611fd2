/* lib/os/git.c - see git.h. */
#include "lib/os/git.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include <stdlib.h>
#include <string.h>

enum { MAX_WORDS = 8 };

/* Output of one git command in `dir`; false when it failed or did not end in time. */
static bool git(const char *dir, const char *const words[], struct buf *out)
{
    static const char *const begin[] = {"timeout", "10",
                                        "git",     "--no-optional-locks",
                                        "-c",      "core.fsmonitor=false",
                                        "-c",      "core.hooksPath=/dev/null",
                                        "-C"};
    char *argv[ARRAY_LEN(begin) + MAX_WORDS + 2] = {NULL};
    size_t n = 0;
    for (; n < ARRAY_LEN(begin); n++)
        argv[n] = (char *)begin[n];
    argv[n++] = (char *)dir;
    for (size_t i = 0; i < MAX_WORDS && words[i]; i++)
        argv[n++] = (char *)words[i];
    struct buf errors = BUF_INIT;
    int status = 1, rc = proc_run(argv, NULL, 0, out, &errors, &status, NULL);
    buf_release(&errors);
    return rc == 0 && status == 0;
}

static char *one_line(const char *dir, const char *const words[])
{
    struct buf out = BUF_INIT;
    char *line = NULL;
    if (git(dir, words, &out))
        line = str_clean(buf_str(&out), strcspn(buf_str(&out), "\n"));
    buf_release(&out);
    return line;
}

/* Lines of `git status`: how many are of files that git does not know. */
static void count_changes(const char *status, int *changed, int *untracked)
{
    *changed = *untracked = 0;
    for (const char *line = status; *line;) {
        if (!strncmp(line, "??", 2))
            ++*untracked;
        else
            ++*changed;
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
}

json_t *git_state(const char *dir, struct buf *diff)
{
    static const char *const head[] = {"rev-parse", "HEAD", NULL},
                             *const branch[] = {"rev-parse", "--abbrev-ref", "HEAD",
                                                NULL},
                             *const status[] = {"status", "--porcelain", NULL},
                             *const changes[] = {
                                 "diff",     "HEAD",          "--no-color",
                                 "--binary", "--no-ext-diff", "--no-textconv",
                                 NULL};
    char *commit = one_line(dir, head), *name = NULL;
    struct buf lines = BUF_INIT;
    json_t *state = NULL;
    int changed = 0, untracked = 0;
    if (commit && git(dir, status, &lines)) {
        count_changes(buf_str(&lines), &changed, &untracked);
        name = one_line(dir, branch);
        state = json_pack("{s:s, s:s*, s:b, s:i}", "commit", commit, "branch", name,
                          "dirty", changed > 0, "untracked", untracked);
        if (changed > 0 && diff && (!git(dir, changes, diff) || buf_overflowed(diff))) {
            buf_clear(diff);
            json_object_set_new(state, "diff_dropped", json_true());
        }
    }
    buf_release(&lines);
    free(commit);
    free(name);
    return state;
}
