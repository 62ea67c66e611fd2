/* sweep/launch/launch.c - the table of launchers. */
#include "sweep/launch/launch.h"
#include "lib/mem.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LAUNCHER(name) extern const struct launcher launcher_##name;
#include "sweep/launch/launchers.def"
#undef LAUNCHER

static const struct launcher *const rows[] = {
#define LAUNCHER(name) &launcher_##name,
#include "sweep/launch/launchers.def"
#undef LAUNCHER
};

const struct launcher *launcher_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (!strcmp(rows[i]->name, name))
            return rows[i];
    return NULL;
}

void launch_program(char *path, size_t size)
{
    const ssize_t n = readlink("/proc/self/exe", path, size - 1);
    path[n > 0 ? n : 0] = '\0';
    if (n <= 0 || access(path, X_OK))
        snprintf(path, size, "/proc/self/exe");
}
