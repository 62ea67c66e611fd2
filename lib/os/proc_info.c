/* lib/os/proc_info.c - see proc.h: facts from /proc, the cgroup and the CPU. */
#include "lib/fs.h"
#include "lib/mem.h"
#include "lib/os/isa.h"
#include "lib/os/pool.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#define PROC_FILE_MAX ((size_t)4 << 20)

/* The whole file, or "" when it cannot be read. Caller frees. */
static char *read_text(const char *path)
{
    struct buf b = BUF_INIT;
    if (fs_read(path, PROC_FILE_MAX, &b, NULL) < 0)
        buf_clear(&b);
    return buf_detach(&b, NULL);
}

/* What follows "name" and blanks or a colon at the start of a line; NULL: no such
 * line. */
static const char *line_value(const char *text, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = text; p && *p; p = strchr(p, '\n'), p = p ? p + 1 : NULL)
        if (!strncmp(p, name, n) && strchr(": \t", p[n]) && p[n])
            return p + n + strspn(p + n, ": \t");
    return NULL;
}

/* "VmHWM:   123 kB" in bytes; 0 when it is missing. */
static int64_t kib_line(const char *path, const char *name)
{
    char *text = read_text(path);
    const char *value = line_value(text, name);
    int64_t bytes = value ? strtoll(value, NULL, 10) * 1024 : 0;
    free(text);
    return bytes;
}

int64_t proc_peak_rss_bytes(void)
{
    return kib_line("/proc/self/status", "VmHWM");
}

int64_t proc_rss_bytes(void)
{
    return kib_line("/proc/self/status", "VmRSS");
}

static void lower_to(int64_t *limit, int64_t bytes)
{
    if (bytes > 0 && (*limit <= 0 || bytes < *limit))
        *limit = bytes;
}

static void lower_to_file(int64_t *limit, const char *path)
{
    char *text = read_text(path);
    if (*text && strncmp(text, "max", 3) != 0)
        lower_to(limit, strtoll(text, NULL, 10));
    free(text);
}

/* A limit may sit on any group above ours, so all are asked, up to the root. */
static void lower_to_cgroups(int64_t *limit, const char *mount, char *group,
                             const char *file)
{
    for (;;) {
        char *path = xasprintf("%s%s/%s", mount, group, file);
        lower_to_file(limit, path);
        free(path);
        char *slash = strrchr(group, '/');
        if (!slash)
            return;
        *slash = '\0';
    }
}

static void lower_to_own_cgroups(int64_t *limit)
{
    char *text = read_text("/proc/self/cgroup"), *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(++controllers, ':') : NULL;
        if (!group)
            continue;
        *group++ = '\0';
        if (!*controllers)
            lower_to_cgroups(limit, "/sys/fs/cgroup", group, "memory.max");
        else if (str_in_list("memory", controllers, ','))
            lower_to_cgroups(limit, "/sys/fs/cgroup/memory", group,
                             "memory.limit_in_bytes");
    }
    free(text);
}

int64_t proc_memory_limit_bytes(void)
{
    int64_t limit = kib_line("/proc/meminfo", "MemTotal");
    lower_to_own_cgroups(&limit);
    struct rlimit r;
    if (getrlimit(RLIMIT_AS, &r) == 0 && r.rlim_cur != RLIM_INFINITY &&
        r.rlim_cur <= INT64_MAX)
        lower_to(&limit, (int64_t)r.rlim_cur);
    return limit;
}

size_t proc_allow_files(size_t count)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r))
        return count;
    if (r.rlim_cur < count) {
        r.rlim_cur = r.rlim_max < count ? r.rlim_max : count;
        if (setrlimit(RLIMIT_NOFILE, &r))
            getrlimit(RLIMIT_NOFILE, &r);
    }
    return r.rlim_cur < count ? (size_t)r.rlim_cur : count;
}

int proc_cpu_count(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
    if (n <= 0)
        n = (int)sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? n : 1;
}

/* Field 3 (state) and 22 (start) of /proc/PID/stat; the name in field 2 may hold blanks
 * and brackets, so counting begins behind its last ')'. */
static uint64_t read_stat(pid_t pid, char *state)
{
    char *path = xasprintf("/proc/%d/stat", (int)pid), *text = read_text(path);
    const char *p = strrchr(text, ')');
    uint64_t ticks = 0;
    *state = p && p[1] ? p[2] : '\0';
    for (int field = 2; p && field < 22; field++) {
        p = strchr(p, ' ');
        p = p ? p + 1 : NULL;
    }
    if (p)
        ticks = strtoull(p, NULL, 10);
    free(text);
    free(path);
    return ticks;
}

uint64_t proc_start_ticks(pid_t pid)
{
    char state;
    return read_stat(pid, &state);
}

bool proc_alive(pid_t pid, uint64_t start_ticks)
{
    char state;
    uint64_t ticks = read_stat(pid, &state);
    return ticks != 0 && ticks == start_ticks && state != 'Z' && state != 'X';
}

static struct {
    char boot_id[64], host[256];
} names;

static void find_names(void)
{
    char *id = read_text("/proc/sys/kernel/random/boot_id");
    id[strcspn(id, "\n")] = '\0';
    snprintf(names.boot_id, sizeof names.boot_id, "%s", id);
    free(id);
    if (gethostname(names.host, sizeof names.host - 1) < 0 || !*names.host)
        snprintf(names.host, sizeof names.host, "localhost");
}

static pthread_once_t names_once = PTHREAD_ONCE_INIT;

const char *proc_boot_id(void)
{
    pthread_once(&names_once, find_names);
    return names.boot_id;
}

const char *proc_host(void)
{
    pthread_once(&names_once, find_names);
    return names.host;
}

/* Arm's processors have numbers; the names are those of the kernel and of lscpu. */
static const struct {
    unsigned implementer, part;
    const char *name;
} arm_parts[] = {
    {0x41, 0xd03, "Cortex-A53"},  {0x41, 0xd05, "Cortex-A55"},
    {0x41, 0xd08, "Cortex-A72"},  {0x41, 0xd0b, "Cortex-A76"},
    {0x41, 0xd0c, "Neoverse N1"}, {0x41, 0xd40, "Neoverse V1"},
    {0x41, 0xd49, "Neoverse N2"}, {0x41, 0xd4f, "Neoverse V2"},
    {0x41, 0xd84, "Neoverse V3"}, {0x41, 0xd8e, "Neoverse N3"},
    {0xc0, 0xac3, "Ampere-1"},    {0xc0, 0xac4, "Ampere-1a"},
};

/* The number of a line, as it stands there in hexadecimal; 0: no such line. */
static unsigned number_line(const char *text, const char *name)
{
    const char *value = line_value(text, name);
    return value ? (unsigned)strtoul(value, NULL, 16) : 0;
}

char *proc_cpu_model(const char *cpuinfo, const char *machine)
{
    const char *model = line_value(cpuinfo, "model name");
    if (model)
        return str_clean(model, strcspn(model, "\n"));
    const unsigned implementer = number_line(cpuinfo, "CPU implementer");
    const unsigned part = number_line(cpuinfo, "CPU part");
    for (size_t i = 0; i < ARRAY_LEN(arm_parts); i++)
        if (arm_parts[i].implementer == implementer && arm_parts[i].part == part)
            return xstrdup(arm_parts[i].name);
    return implementer
               ? xasprintf("%s implementer 0x%x part 0x%x", machine, implementer, part)
               : xstrdup(machine);
}

static json_t *cpu_model(const char *machine)
{
    char *text = read_text("/proc/cpuinfo"), *name = proc_cpu_model(text, machine);
    json_t *v = json_string(name);
    free(name);
    free(text);
    return v;
}

json_t *proc_environment(void)
{
    struct utsname u = {0};
    uname(&u);
    json_t *e = json_object();
    char *kernel = xasprintf("%s %s %s", u.sysname, u.release, u.machine);
    json_object_set_new(e, "peftlab_version", json_string(PEFTLAB_VERSION));
    json_object_set_new(e, "cpu", cpu_model(u.machine));
    json_object_set_new(e, "simd", json_string(isa_name(isa_widest())));
    json_object_set_new(e, "cores", json_integer(proc_cpu_count()));
    json_object_set_new(e, "memory_bytes", json_integer(proc_memory_limit_bytes()));
    json_object_set_new(e, "kernel", json_string(kernel));
    json_object_set_new(e, "host", json_string(proc_host()));
#if defined(__clang__)
    json_object_set_new(e, "compiler", json_string("clang " __clang_version__));
#else
    json_object_set_new(e, "compiler", json_string("gcc " __VERSION__));
#endif
    json_object_set_new(e, "threads", json_integer(pool_size()));
    free(kernel);
    return e;
}
