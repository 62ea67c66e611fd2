/* runner/train/energy.c - see energy.h. */
#include "runner/train/energy.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define ROOT     "/sys/class/powercap"
#define PREFIX   "intel-rapl:"
#define PERIOD_S 60

static bool read_number(const char *dir, const char *file, uint64_t *out)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    FILE *f = fopen(path, "r");
    const bool ok = f && fscanf(f, "%" SCNu64, out) == 1;
    if (f)
        fclose(f);
    return ok;
}

static bool is_package(const char *dir)
{
    char path[512], name[64] = "";
    snprintf(path, sizeof path, "%s/name", dir);
    FILE *f = fopen(path, "r");
    const bool ok = f && fgets(name, sizeof name, f) && str_has_prefix(name, "package");
    if (f)
        fclose(f);
    return ok;
}

void energy_start(struct energy *e, const char *root)
{
    *e = (struct energy){.sampled_s = clock_mono_s()};
    DIR *d = opendir(root ? root : ROOT);
    for (const struct dirent *entry; d && (entry = readdir(d));) {
        if (e->count == ENERGY_PACKAGES || !str_has_prefix(entry->d_name, PREFIX) ||
            strchr(entry->d_name + strlen(PREFIX), ':')) /* a part of a package */
            continue;
        char *path = e->packages[e->count].path;
        const int length = snprintf(path, sizeof e->packages[0].path, "%s/%s",
                                    root ? root : ROOT, entry->d_name);
        if ((size_t)length < sizeof e->packages[0].path && is_package(path) &&
            read_number(path, "energy_uj", &e->packages[e->count].last_uj) &&
            read_number(path, "max_energy_range_uj", &e->packages[e->count].range_uj))
            e->count++;
    }
    if (d)
        closedir(d);
}

void energy_sample(struct energy *e)
{
    for (int i = 0; i < e->count; i++) {
        const uint64_t before = e->packages[i].last_uj;
        uint64_t now;
        if (!read_number(e->packages[i].path, "energy_uj", &now))
            continue;
        e->joules +=
            1e-6 * (double)(now >= before ? now - before
                                          : now + (e->packages[i].range_uj - before));
        e->packages[i].last_uj = now;
    }
    e->sampled_s = clock_mono_s();
}

void energy_tick(struct energy *e)
{
    if (e->count && clock_mono_s() - e->sampled_s >= PERIOD_S)
        energy_sample(e);
}
