/* tracker/store/labels.c - see labels.h. */
#include "tracker/store/labels.h"
#include "lib/mem.h"
#include "lib/secret/secret.h"
#include "tracker/store/store_priv.h"
#include <stdlib.h>

enum { EXISTS, SET, DROP, NOTE_TRIAL, NOTE_SWEEP };
static const char *const sql[] = {
    [EXISTS] = "SELECT id FROM trial WHERE id = ?1",
    [SET] = "INSERT OR REPLACE INTO tag (trial, key, value) VALUES (?1, ?2, ?3)",
    [DROP] = "DELETE FROM tag WHERE trial = ?1 AND key = ?2",
    [NOTE_TRIAL] = "UPDATE trial SET note = ?2 WHERE id = ?1",
    [NOTE_SWEEP] = "UPDATE sweep SET note = ?2 WHERE id = ?1",
};

static int no_such(struct store *s, const char *what, int64_t id, struct err *err)
{
    return err_set(err, ERR_NOINPUT, "store '%s' has no %s %lld; 'peftlab ls' lists them",
                   s->path, what, (long long)id);
}

int store_tag(struct store *s, int64_t trial, const char *key, const char *value,
              struct err *err)
{
    int64_t found = 0;
    int rc = store_check_name("the tag", key, err);
    if (rc < 0 || (rc = store_begin(s, err)) < 0)
        return rc;
    char *text = value && secret_value(key, value) ? xstrdup(SECRET_SHOWN)
                                                   : store_repair_text(value);
    rc = store_int(s, sql[EXISTS], ARGS(A_INT(trial)), &found, err);
    if (rc == 0)
        rc = no_such(s, "trial", trial, err);
    if (rc > 0)
        rc = text ? store_exec(s, sql[SET], ARGS(A_INT(trial), A_TEXT(key), A_TEXT(text)),
                               err)
                  : store_exec(s, sql[DROP], ARGS(A_INT(trial), A_TEXT(key)), err);
    free(text);
    rc = store_end(s, rc, err);
    return rc < 0 ? rc : 0;
}

static int set_note(struct store *s, const char *statement, const char *what, int64_t id,
                    const char *note, struct err *err)
{
    int rc = store_begin(s, err);
    if (rc < 0)
        return rc;
    char *text = store_repair_text(note && *note ? note : NULL);
    rc = store_exec(s, statement, ARGS(A_INT(id), A_TEXT(text)), err);
    free(text);
    if (rc == 0)
        rc = no_such(s, what, id, err);
    rc = store_end(s, rc, err);
    return rc < 0 ? rc : 0;
}

int store_note_trial(struct store *s, int64_t trial, const char *text, struct err *err)
{
    return set_note(s, sql[NOTE_TRIAL], "trial", trial, text, err);
}

int store_note_sweep(struct store *s, int64_t sweep, const char *text, struct err *err)
{
    return set_note(s, sql[NOTE_SWEEP], "sweep", sweep, text, err);
}
