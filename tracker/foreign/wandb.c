/* tracker/foreign/wandb.c - W&B's offline runs; see wandb_parts.h. */
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "lib/wire/crc.h"
#include "lib/wire/records.h"
#include "tracker/foreign/found_files.h"
#include "tracker/foreign/wandb_parts.h"
#include <stdlib.h>
#include <string.h>

enum {
    HEAD_BYTES = 7,
    NEWEST_VERSION = 1,
    DEPTH = 3 /* PROJECT/wandb/offline-run-.../run-ID.wandb */
};

static bool is_wandb_file(const char *name)
{
    return str_has_suffix(name, ".wandb");
}

bool foreign_is_wandb(const char *path)
{
    return found_any(path, DEPTH, is_wandb_file);
}

static uint32_t chunk_sum(unsigned char type, const unsigned char *data, size_t n)
{
    return crc32_ieee(crc32_ieee(0, &type, 1), data, n);
}

/* ---- one file ---- */

static int check_head(const struct fs_map *m, struct err *err)
{
    static const unsigned char mark[] = {':', 'W', '&', 'B', 0xe1, 0xbe};
    if (m->size < HEAD_BYTES || memcmp(m->data, mark, sizeof mark) != 0)
        return err_set(err, ERR_PARSE, "no file of W&B: it does not begin with ':W&B'");
    if (m->data[6] > NEWEST_VERSION)
        return err_set(err, ERR_CONFIG,
                       "version %d of W&B's format; this program reads 0 and %d",
                       m->data[6], NEWEST_VERSION);
    return 0;
}

/* The one member of a record that says something about the run. */
static int take_record(struct wandb_run *w, const struct record *record,
                       wandb_record *take, struct err *err)
{
    struct pb message = pb_of(record->data, record->length);
    struct pb_field f;
    int rc = 0;
    while (rc == 0 && pb_next(&message, &f))
        if (f.type == PB_BYTES)
            rc = take(w, f.number, pb_within(&f), err);
    w->bad_records += message.bad;
    return rc;
}

static int go_through(struct wandb_run *w, const struct fs_map *m, wandb_record *take,
                      struct log_blocks *blocks, struct err *err)
{
    struct record record;
    int rc = 0;
    w->bad_records = 0;
    log_blocks_init(blocks, m->data, m->size, HEAD_BYTES, chunk_sum);
    while (rc == 0 && log_blocks_next(blocks, &record))
        rc = take_record(w, &record, take, err);
    log_blocks_release(blocks);
    return rc;
}

/* How many folders of this run come before this one: W&B makes a folder for every start. */
static int attempt_of(const char *folder, const char *id)
{
    struct found_files all = {0};
    char *parent = fs_dirname(folder), *end = xasprintf("-%s/", id);
    int attempt = 1;
    if (found_files_of(&all, parent, 1, is_wandb_file, NULL) == 0)
        for (size_t i = 0; i < all.count; i++) {
            char *other = fs_dirname(all.paths[i]), *name = xasprintf("%s/", other);
            attempt += str_has_suffix(name, end) && strcmp(other, folder) < 0;
            free(other);
            free(name);
        }
    free(parent);
    free(end);
    found_files_release(&all);
    return attempt;
}

static void add_artifact(struct foreign_run *r, const char *folder, const char *file,
                         const char *name)
{
    char *path = fs_join(folder, file), *clean = str_clean(path, strlen(path));
    if (fs_size(path) > 0 && str_eq(path, clean))
        json_array_append_new(r->artifacts,
                              json_pack("{s:s, s:s, s:I, s:I}", "name", name, "path",
                                        path, "bytes", (json_int_t)fs_size(path), "at_ms",
                                        (json_int_t)r->ended_ms));
    free(path);
    free(clean);
}

/* What the file's name and place say where its records do not. */
static void complete_run(struct wandb_run *w, const char *path)
{
    struct foreign_run *r = &w->run;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char *folder = fs_dirname(path);
    name += str_has_prefix(name, "run-") ? strlen("run-") : 0;
    if (!r->id)
        foreign_text(&r->id, name, strlen(name) - strlen(".wandb"));
    if (!r->experiment)
        foreign_text(&r->experiment, "uncategorized", strlen("uncategorized"));
    if (r->ended_ms < w->at_ms)
        r->ended_ms = w->at_ms;
    r->attempt = attempt_of(folder, r->id);
    foreign_text(&r->folder, path, strlen(path));
    add_artifact(r, folder, "files/output.log", "log");
    free(folder);
}

static int read_map(struct foreign *f, const char *path, const struct fs_map *m,
                    struct err *err)
{
    wandb_record *const passes[] = {wandb_facts, wandb_axis_values, wandb_history};
    struct log_blocks blocks = {0};
    struct wandb_run w = {.step = -1};
    int rc = check_head(m, err);
    foreign_run_init(&w.run, f, "wandb");
    for (size_t i = 0; i < ARRAY_LEN(passes) && rc == 0; i++)
        rc = go_through(&w, m, passes[i], &blocks, err);
    if (rc == 0 && !w.ended)
        foreign_unsaid(&w.run);
    const bool growing = rc == 0 && !w.ended && found_is_growing(path);
    if (rc == 0 && !(growing && foreign_goes_on(&w.run))) {
        foreign_left_out(f, "damaged pieces of files", blocks.damaged + w.bad_records);
        foreign_left_out(f, "torn ends of files", blocks.torn);
        complete_run(&w, path);
        rc = foreign_give(&w.run, err);
    }
    wandb_run_release(&w);
    return rc;
}

int foreign_read_wandb(struct foreign *f, const char *path, struct err *err)
{
    struct found_files files = {0};
    int rc = found_files_of(&files, path, DEPTH, is_wandb_file, err);
    if (rc == 0 && files.count == 0)
        rc = err_set(err, ERR_NOINPUT, "'%s' holds no .wandb file", path);
    for (size_t i = 0; i < files.count && rc == 0; i++) {
        struct fs_map m;
        rc = fs_map(files.paths[i], &m, err);
        if (rc < 0)
            break;
        rc = read_map(f, files.paths[i], &m, err);
        if (rc < 0)
            rc = err_context(err, "%s: ", files.paths[i]);
        fs_unmap(&m);
    }
    found_files_release(&files);
    return rc;
}
