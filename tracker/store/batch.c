/* tracker/store/batch.c - see batch.h. */
#include "tracker/store/batch.h"
#include "tracker/store/store_priv.h"

/* store_begin within a transaction is a savepoint. */
static void do_one(struct store *s, struct store_job *job)
{
    job->rc = store_begin(s, &job->err);
    if (job->rc >= 0)
        job->rc = store_end(s, job->work(s, job->ctx, &job->err), &job->err);
}

void store_batch(struct store *s, struct store_job *jobs, size_t count)
{
    struct err err = ERR_INIT;
    for (size_t i = 0; i < count; i++)
        err_clear(&jobs[i].err);
    int rc = store_begin(s, &err);
    for (size_t i = 0; i < count && rc >= 0; i++) {
        do_one(s, &jobs[i]);
        if (sqlite3_get_autocommit(s->db)) /* some failures end it all: a full disk */
            rc = err_set(&err, ERR_IO, "%s", jobs[i].err.msg);
    }
    if (rc >= 0)
        rc = store_commit(s, &err);
    else
        store_rollback(s);
    for (size_t i = 0; i < count && rc < 0; i++)
        if (jobs[i].rc >= 0) {
            jobs[i].rc = rc;
            jobs[i].err = err;
        }
}
