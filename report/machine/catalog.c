/* report/machine/catalog.c - see catalog.h. */
#include "report/machine/catalog.h"
#include "lib/embed.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/stats/basic.h"
#include "lib/str.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

EMBED(builtin_prices, "report/data/prices.json");
EMBED(builtin_gpus, "report/data/gpus.json");

#define MIB 1048576.0
enum { MAX_PRICES = 20000, MAX_GPUS = 1000, MAX_FILE = 4 << 20 };

/* "2026-11-09" as the Unix time of its start; -1: not a day. */
static int64_t parse_day(const char *text)
{
    struct tm tm = {0}, back;
    int end = 0;
    if (sscanf(text, "%4d-%2d-%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &end) != 3 ||
        end != 10 || text[end] || tm.tm_year < 2000)
        return -1;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    int day = tm.tm_mday, month = tm.tm_mon;
    time_t t = timegm(&tm);
    if (!gmtime_r(&t, &back) || back.tm_mday != day || back.tm_mon != month)
        return -1; /* 31 February and the like */
    return (int64_t)t * 1000;
}

/* ---- prices ---- */

static int read_price(const json_t *row, size_t i, const char *name, struct price *p,
                      struct err *err)
{
    *p = (struct price){
        .gpu = json_get_str(row, "gpu", ""),
        .vendor = json_get_str(row, "vendor", ""),
        .instance = json_get_str(row, "instance", ""),
        .region = json_get_str(row, "region", ""),
        .tier = json_get_str(row, "tier", ""),
        .read_on = json_get_str(row, "read_on", ""),
        .source = json_get_str(row, "source", ""),
        .trust = json_get_str(row, "trust", ""),
        .usd_per_gpu_hour = json_get_num(row, "usd_per_gpu_hour", NAN),
        .gpus = (int)fmin(json_get_num(row, "gpus", 1), 100000),
    };
    p->read_ms = parse_day(p->read_on);
    p->spot = str_has_prefix(p->tier, "spot");
    const char *bad = !json_is_object(row) ? "object"
                      : !*p->gpu           ? "gpu"
                      : !(p->usd_per_gpu_hour > 0) || !(p->usd_per_gpu_hour < 1e6)
                          ? "usd_per_gpu_hour"
                      : p->read_ms < 0 ? "read_on"
                      : !*p->source    ? "source"
                                       : NULL;
    if (!bad)
        return 0;
    return err_set(err, ERR_CONFIG,
                   "price file '%s': row %zu: '%s' is missing or wrong (needed: gpu, "
                   "usd_per_gpu_hour above 0, read_on as 2026-11-09, source)",
                   name, i + 1, bad);
}

int catalog_parse_prices(const char *text, size_t len, const char *name,
                         struct catalog *out, struct err *err)
{
    json_t *row;
    size_t i;
    out->price_file = json_parse(text, len, name, err);
    if (!out->price_file)
        return err_context(err, "price file: ");
    json_t *rows = json_is_array(out->price_file)
                       ? out->price_file
                       : json_object_get(out->price_file, "prices");
    if (!json_is_array(rows) || json_array_size(rows) > MAX_PRICES)
        return err_set(err, ERR_CONFIG,
                       "price file '%s': 'prices' must be a list of at most %d rows",
                       name, MAX_PRICES);
    out->prices = xcalloc(json_array_size(rows) + 1, sizeof *out->prices);
    json_array_foreach(rows, i, row)
    {
        int rc = read_price(row, i, name, &out->prices[i], err);
        if (rc)
            return rc;
        out->price_count++;
    }
    return 0;
}

/* ---- GPUs ---- */

static const char *const statuses = "vendor|third-party|derived|unverified";

static double field(const json_t *row, const char *key)
{
    return json_get_num(json_object_get(row, key), "value", NAN);
}

/* A field that predictions rest on says what, how sure and from where. */
static bool field_ok(const json_t *row, const char *key)
{
    const json_t *f = json_object_get(row, key);
    double v = field(row, key);
    return json_is_object(f) && v >= 0 && v < 1e7 &&
           str_in_list(json_get_str(f, "status", ""), statuses, '|') &&
           *json_get_str(f, "source", "");
}

static int read_gpu(const json_t *row, size_t i, const char *name, struct gpu *g,
                    struct err *err)
{
    /* A driver tells MiB; a data sheet's "24 GB" is neither 24e9 nor 24 x 2^30 bytes. */
    const char *memory = json_object_get(row, "memory_mib") ? "memory_mib" : "memory_gb";
    const char *const needed[] = {memory, "bandwidth_gb_s", "bf16_tflops", "fp16_tflops",
                                  "watts"};
    double bf16 = field(row, "bf16_tflops");
    *g = (struct gpu){
        .name = json_get_str(row, "gpu", ""),
        .memory_key = memory,
        .memory_bytes = field(row, memory) * (str_eq(memory, "memory_mib") ? MIB : 1e9),
        .bandwidth_bytes_s = field(row, "bandwidth_gb_s") * 1e9,
        .flops_s = (bf16 > 0 ? bf16 : field(row, "fp16_tflops")) * 1e12,
        .format = bf16 > 0 ? "BF16" : "FP16",
        .watts = field(row, "watts"),
        .row = row,
    };
    const char *bad = !*g->name ? "gpu"
                      : json_object_get(row, "compute_capability") &&
                              !field_ok(row, "compute_capability")
                          ? "compute_capability"
                          : NULL;
    g->cuda_major = (int)fmax(
        0, json_get_num(json_object_get(row, "compute_capability"), "value", 0));
    for (size_t k = 0; k < ARRAY_LEN(needed) && !bad; k++) {
        const json_t *f = json_object_get(row, needed[k]);
        if (!field_ok(row, needed[k]))
            bad = needed[k];
        g->unverified += str_eq(json_get_str(f, "status", ""), "unverified");
    }
    if (!bad && !(g->memory_bytes > 0 && g->bandwidth_bytes_s > 0 && g->flops_s > 0))
        bad = "memory_mib, bandwidth_gb_s and bf16_tflops (or fp16_tflops) above 0";
    if (!bad)
        return 0;
    return err_set(err, ERR_CONFIG,
                   "GPU file '%s': row %zu: '%s' is missing or wrong (needed: gpu, and "
                   "memory_mib, bandwidth_gb_s, bf16_tflops, fp16_tflops, watts, each "
                   "with value, status and source)",
                   name, i + 1, bad);
}

int catalog_parse_gpus(const char *text, size_t len, const char *name,
                       struct catalog *out, struct err *err)
{
    json_t *row;
    size_t i;
    out->gpu_file = json_parse(text, len, name, err);
    if (!out->gpu_file)
        return err_context(err, "GPU file: ");
    json_t *rows = json_is_array(out->gpu_file) ? out->gpu_file
                                                : json_object_get(out->gpu_file, "gpus");
    if (!json_is_array(rows) || json_array_size(rows) > MAX_GPUS)
        return err_set(err, ERR_CONFIG,
                       "GPU file '%s': 'gpus' must be a list of at most %d rows", name,
                       MAX_GPUS);
    out->gpus = xcalloc(json_array_size(rows) + 1, sizeof *out->gpus);
    json_array_foreach(rows, i, row)
    {
        int rc = read_gpu(row, i, name, &out->gpus[i], err);
        if (!rc && catalog_gpu(out, out->gpus[i].name))
            rc = err_set(err, ERR_CONFIG, "GPU file '%s': row %zu: a second '%.60s'",
                         name, i + 1, out->gpus[i].name);
        if (rc)
            return rc;
        out->gpu_count++;
    }
    return 0;
}

/* ---- both ---- */

static int load_one(const char *path, const char *builtin, size_t builtin_size,
                    const char *builtin_name,
                    int (*parse)(const char *, size_t, const char *, struct catalog *,
                                 struct err *),
                    struct catalog *out, struct err *err)
{
    if (!path)
        return parse(builtin, builtin_size, builtin_name, out, err);
    struct buf text = BUF_INIT;
    int rc = fs_read(path, MAX_FILE, &text, err);
    if (!rc)
        rc = parse(buf_str(&text), text.len, path, out, err);
    buf_release(&text);
    return rc;
}

int catalog_load(const char *gpus_path, const char *prices_path, struct catalog *out,
                 struct err *err)
{
    *out = (struct catalog){0};
    int rc = load_one(gpus_path, builtin_gpus, builtin_gpus_size, "gpus.json",
                      catalog_parse_gpus, out, err);
    if (!rc)
        rc = load_one(prices_path, builtin_prices, builtin_prices_size, "prices.json",
                      catalog_parse_prices, out, err);
    if (rc)
        catalog_release(out);
    return rc;
}

void catalog_release(struct catalog *c)
{
    json_decref(c->gpu_file);
    json_decref(c->price_file);
    free(c->gpus);
    free(c->prices);
    *c = (struct catalog){0};
}

/* ---- look-ups ---- */

const struct gpu *catalog_gpu(const struct catalog *c, const char *name)
{
    for (size_t i = 0; i < c->gpu_count; i++)
        if (str_eq(c->gpus[i].name, name))
            return &c->gpus[i];
    return NULL;
}

/* Names come as drivers give them, alone ("NVIDIA L40S") or with more behind a comma, or as
 * the catalogue has them ("L40S"). */
const struct gpu *catalog_device(const struct catalog *c, const char *device)
{
    char *said = xasprintf("%s,", device);
    const struct gpu *found = NULL;
    for (size_t i = 0; i < c->gpu_count && !found; i++) {
        json_t *name;
        size_t k;
        json_array_foreach(json_object_get(c->gpus[i].row, "devices"), k, name)
        {
            const char *begins = json_string_value(name);
            if (begins && *begins && str_has_prefix(said, begins))
                found = &c->gpus[i];
        }
        const char *bare = str_has_prefix(device, "NVIDIA ") ? device + 7 : device;
        if (str_eq(c->gpus[i].name, bare))
            found = &c->gpus[i];
    }
    free(said);
    return found;
}

static struct price_range range_of(const struct catalog *c, const char *gpu, bool spot)
{
    struct price_range r = {.low = NAN, .base = NAN, .high = NAN};
    double *v = xcalloc(c->price_count + 1, sizeof *v);
    for (size_t i = 0; i < c->price_count; i++) {
        const struct price *p = &c->prices[i];
        if (p->spot != spot || !str_eq(p->gpu, gpu))
            continue;
        v[r.rows++] = p->usd_per_gpu_hour;
        if (!r.newest || p->read_ms > r.newest->read_ms)
            r.newest = p;
    }
    if (r.rows) {
        r.low = stat_quantile(v, r.rows, 0);
        r.base = stat_median(v, r.rows);
        r.high = stat_quantile(v, r.rows, 1);
    }
    free(v);
    return r;
}

struct price_range catalog_range(const struct catalog *c, const char *gpu)
{
    return range_of(c, gpu, false);
}

struct price_range catalog_spot_range(const struct catalog *c, const char *gpu)
{
    return range_of(c, gpu, true);
}

int price_age_days(const struct price *p, int64_t unix_ms)
{
    int64_t days = (unix_ms - p->read_ms) / 86400000;
    return unix_ms > 0 && days > 0 ? (int)days : 0;
}
