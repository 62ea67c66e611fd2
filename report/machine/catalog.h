/* report/machine/catalog.h - GPUs and their prices: data files with a source and a date
 * per row.
 *
 * report/data/gpus.json and report/data/prices.json are built in; --gpus FILE and
 * --prices FILE replace them. A price is usd_per_gpu_hour of one vendor, tier and day
 * (`read_on`); the range over the rows of a GPU is what a cost depends on, so the report
 * shows low (the cheapest row that is not spot), base (the median) and high; spot rows
 * make a range of their own. Peak rates are dense with FP32 accumulation; every field of
 * a GPU carries its own status (vendor, third-party, derived, unverified) and source.
 *
 * Age is counted to the newest run of the report, not to the reader's clock: the same
 * store gives the same page. */
#ifndef REPORT_MACHINE_CATALOG_H
#define REPORT_MACHINE_CATALOG_H

#include "lib/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PRICE_STALE_DAYS 90

struct price {
    const char *gpu, *vendor, *instance, *region, *tier, *read_on, *source, *trust;
    double usd_per_gpu_hour;
    int gpus;        /* of the instance */
    int64_t read_ms; /* start of the day read_on, Unix */
    bool spot;
};

struct gpu {
    const char *name;
    double memory_bytes; /* as its driver reports them */
    const char
        *memory_key; /* the row's field: "memory_mib", or "memory_gb" (1e9 bytes) */
    double bandwidth_bytes_s, flops_s, watts; /* flops_s: BF16, else FP16 */
    const char *format;                       /* "BF16", "FP16" */
    int cuda_major; /* of its CUDA compute capability; 0: not told, or no CUDA GPU */
    size_t
        unverified; /* of memory, bandwidth, rates, power: not from the vendor nor a second source */
    const json_t *row; /* fields with value, status, source */
};

struct price_range {
    double low, base, high; /* NaN: no rows */
    size_t rows;
    const struct price *newest;
};

struct catalog {
    json_t *gpu_file, *price_file; /* the rows point into these */
    struct gpu *gpus;
    struct price *prices;
    size_t gpu_count, price_count;
};

/* A NULL path: the built-in file. ERR_PARSE / ERR_CONFIG say which row is wrong. */
int catalog_load(const char *gpus_path, const char *prices_path, struct catalog *out,
                 struct err *err);
/* The same from text; `name` is for messages. What was read stays in `out`, also on
 * failure: catalog_release. */
int catalog_parse_gpus(const char *text, size_t len, const char *name,
                       struct catalog *out, struct err *err);
int catalog_parse_prices(const char *text, size_t len, const char *name,
                         struct catalog *out, struct err *err);
void catalog_release(struct catalog *c);
/* The GPU that a driver calls so ("NVIDIA L4, sm_89, 22.0 GiB"), by the beginnings listed
 * as its `devices`; NULL: none. */
const struct gpu *catalog_device(const struct catalog *c, const char *device);
const struct gpu *catalog_gpu(const struct catalog *c, const char *name); /* or NULL */
struct price_range catalog_range(const struct catalog *c, const char *gpu);
struct price_range catalog_spot_range(const struct catalog *c, const char *gpu);
/* Days from the price's date to `unix_ms`; 0 where that is unknown or earlier. */
int price_age_days(const struct price *p, int64_t unix_ms);

#endif
