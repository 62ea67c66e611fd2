/* tests/unit/runner/hub/elsewhere.h - a golden case whose folders are changed by a key, and whether
 * it still opens; for the tests of what folders from elsewhere say. */
#ifndef TESTS_UNIT_RUNNER_ELSEWHERE_H
#define TESTS_UNIT_RUNNER_ELSEWHERE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/config/conf.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/session.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GOLDEN "tests/golden/"

static char dir[64];

static void copy(const char *from, const char *to)
{
    struct buf b = BUF_INIT;
    assert_int_equal(fs_read(from, (size_t)16 << 20, &b, NULL), 0);
    assert_int_equal(fs_write_atomic(to, b.data, b.len, NULL), 0);
    buf_release(&b);
}

/* DIR/file with the keys of `edit` (a flow mapping) put into it, or into its member. */
static void edit_json(const char *folder, const char *file, const char *member,
                      const char *edit)
{
    char *path = fs_join(folder, file);
    struct err err = ERR_INIT;
    json_t *all = json_read_file(path, &err), *e = conf_parse_value(edit, &err);
    if (!all || !e)
        fail_msg("%s: %s", edit, err.msg);
    json_object_update(member ? json_object_get(all, member) : all, e);
    assert_int_equal(json_write_file(path, all, 2, NULL), 0);
    json_decref(all);
    json_decref(e);
    free(path);
}

/* The trial of a golden case with absolute places, and `override` over it. */
static json_t *trial_of(const char *golden, const char *override)
{
    struct err err = ERR_INIT;
    struct conf *c;
    struct buf text = BUF_INIT;
    json_t *out;
    char *path = xasprintf(GOLDEN "cases/%s/trial.yaml", golden);
    assert_int_equal(fs_read(path, 1 << 20, &text, &err), 0);
    assert_int_equal(conf_parse(buf_str(&text), text.len, path, 0, &c, &err), 0);
    json_t *tree = json_deep_copy(conf_root(c)), *o = conf_parse_value(override, &err);
    assert_non_null(o);
    json_object_del(tree, "init_adapter");
    json_object_update(tree, o);
    if (trial_resolve(tree, &out, &err) < 0)
        fail_msg("%s, %s: %s", golden, override, err.msg);
    json_decref(tree);
    json_decref(o);
    conf_free(c);
    buf_release(&text);
    free(path);
    return out;
}

/* `part` NULL: it opens. */
static void opens(const char *golden, const char *override, const char *adapter,
                  const char *part, const char *what)
{
    struct err err = ERR_INIT;
    struct session s;
    json_t *t = trial_of(golden, override);
    char *base = xasprintf(GOLDEN "cases/%s", golden);
    int rc = session_open(&s, t, base, adapter, false, &err);
    if (!rc)
        rc = session_allocate(&s, &err);
    session_close(&s);
    json_decref(t);
    free(base);
    if (rc && !part)
        fail_msg("%s: %s: %s", golden, what, err.msg);
    if (part && !rc)
        fail_msg("%s: %s: opened", golden, what);
    if (part && !strstr(err.msg, part))
        fail_msg("%s: %s: '%s' lacks '%s'", golden, what, err.msg, part);
}

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/elsewhere-XXXXXX");
    char *here = mkdtemp(dir);
    return here ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return fs_remove_tree(dir, NULL);
}

#endif
