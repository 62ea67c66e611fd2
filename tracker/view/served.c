/* tracker/view/served.c - see served.h. */
#include "tracker/view/served.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/view/view.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BENCHES_MOST = 10000, POINTS_MOST = 1000000 };

static const char benches_sql[] = "SELECT * FROM bench_view WHERE ended_ms IS NOT NULL "
                                  "ORDER BY started_ms DESC, id DESC",
                  settings_sql[] =
                      "SELECT * FROM bench_setting_view WHERE bench = ?1 ORDER BY number",
                  points_sql[] =
                      "SELECT * FROM bench_point_view WHERE bench = ?1 ORDER BY number",
                  batches_sql[] = "SELECT point, rows, tokens, adapters, cold, seconds "
                                  "FROM bench_batch_view WHERE bench = ?1 AND setting = "
                                  "?2 ORDER BY number";

static const char *text_of(const json_t *row, const char *key)
{
    return json_get_str(row, key, "");
}

static int64_t whole(const json_t *row, const char *key)
{
    return json_integer_value(json_object_get(row, key));
}

static void read_setting(const json_t *row, struct bench_setting *x)
{
    const char *kind = text_of(row, "kind");
    *x = (struct bench_setting){.number = whole(row, "number"),
                                .adapters = whole(row, "adapters"),
                                .popularity = text_of(row, "popularity"),
                                .slots = whole(row, "slots"),
                                .batches = whole(row, "batches")};
    while (x->kind < BENCH_adapters && !str_eq(kind, bench_kind_names[x->kind]))
        x->kind++;
#define X(name) x->name = json_get_num(row, #name, NAN);
    BENCH_SETTING_NUMBERS(X)
#undef X
}

static void read_point(const json_t *row, struct bench_point *p)
{
    p->kind = text_of(row, "kind");
#define X(name) p->name = whole(row, #name);
    BENCH_POINT_COUNTS(X)
#undef X
#define X(name) p->name = json_get_num(row, #name, NAN);
    BENCH_POINT_NUMBERS(X)
    BENCH_STREAM_NUMBERS(X)
#undef X
}

static int read_parts(struct store *s, struct served *b, struct err *err)
{
    json_t *row;
    size_t i;
    b->setting_rows = view_rows(s, settings_sql, json_pack("[I]", (json_int_t)b->id),
                                BENCHES_MOST, err);
    if (b->setting_rows)
        b->point_rows = view_rows(s, points_sql, json_pack("[I]", (json_int_t)b->id),
                                  POINTS_MOST, err);
    if (!b->point_rows)
        return err_code(err);
    b->setting_count = json_array_size(b->setting_rows);
    b->settings = xcalloc(b->setting_count + 1, sizeof *b->settings);
    json_array_foreach(b->setting_rows, i, row) read_setting(row, &b->settings[i]);
    b->point_count = json_array_size(b->point_rows);
    b->points = xcalloc(b->point_count + 1, sizeof *b->points);
    json_array_foreach(b->point_rows, i, row) read_point(row, &b->points[i]);
    return 0;
}

static void read_bench(json_t *row, struct served *b)
{
    *b = (struct served){.id = whole(row, "id"),
                         .started_ms = whole(row, "started_ms"),
                         .model = text_of(row, "model"),
                         .target = text_of(row, "target"),
                         .method = text_of(row, "method"),
                         .backend = text_of(row, "backend"),
                         .machine = text_of(row, "machine"),
                         .limit_ms = json_get_num(row, "limit_ms", NAN),
                         .file = json_object_get(row, "file"),
                         .environment = json_object_get(row, "environment"),
                         .row = json_incref(row)};
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

int served_read(struct store *s, const char *model, struct served_list *out,
                struct err *err)
{
    *out = (struct served_list){0};
    json_t *rows = view_rows(s, benches_sql, NULL, BENCHES_MOST, err), *row;
    size_t i;
    int rc = rows ? 0 : err_code(err);
    out->benches = xcalloc(json_array_size(rows) + 1, sizeof *out->benches);
    json_array_foreach(rows, i, row)
    {
        if (rc || (model && !str_eq(last_part(model), last_part(text_of(row, "model")))))
            continue;
        struct served *b = &out->benches[out->count++];
        read_bench(row, b);
        rc = read_parts(s, b, err);
    }
    json_decref(rows);
    if (rc)
        served_release(out);
    return rc;
}

void served_release(struct served_list *l)
{
    for (size_t i = 0; i < l->count; i++) {
        struct served *b = &l->benches[i];
        free(b->settings);
        free(b->points);
        json_decref(b->row);
        json_decref(b->setting_rows);
        json_decref(b->point_rows);
    }
    free(l->benches);
    *l = (struct served_list){0};
}

struct batch_times served_times(const struct bench_setting *x)
{
    return (struct batch_times){.fixed_s = x->fixed_s,
                                .token_s = x->token_s,
                                .row_s = x->row_s,
                                .adapter_s = x->adapter_s,
                                .cold_s = x->cold_s,
                                .residual_s = x->residual_s,
                                .batches = (size_t)x->batches};
}

int served_batches(struct store *s, const struct served *b, int64_t setting,
                   struct batch_seen **out, size_t *count, struct err *err)
{
    json_t *rows = view_rows(s, batches_sql,
                             json_pack("[I, I]", (json_int_t)b->id, (json_int_t)setting),
                             POINTS_MOST, err),
           *row;
    size_t i;
    *out = NULL;
    *count = 0;
    if (!rows)
        return err_code(err);
    *out = xcalloc(json_array_size(rows) + 1, sizeof **out);
    json_array_foreach(rows, i, row)(*out)[(*count)++] =
        (struct batch_seen){.rows = (int32_t)whole(row, "rows"),
                            .tokens = (int32_t)whole(row, "tokens"),
                            .adapters = (int32_t)whole(row, "adapters"),
                            .cold = (int32_t)whole(row, "cold"),
                            .point = (uint32_t)whole(row, "point"),
                            .seconds = json_get_num(row, "seconds", NAN)};
    json_decref(rows);
    return 0;
}
