/* lib/os/proc.h - child processes, signals and facts about this process and machine. */
#ifndef LIB_OS_PROC_H
#define LIB_OS_PROC_H

#include "lib/buf.h"
#include "lib/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Starts argv[0] (found by PATH) in a process group of its own; stdin is /dev/null;
 * stdout and stderr are appended to `log_path` (NULL: inherited). die_with_parent asks
 * the kernel to send SIGTERM when the starter dies. env: extra "K=V" words ended by NULL,
 * or NULL. Returns 0 and *pid. */
int proc_spawn(char *const argv[], char *const env[], const char *log_path,
               bool die_with_parent, pid_t *pid, struct err *err);
/* The same of a child that dies with its starter and is talked to: its stdin is one end of
 * a pair of stream sockets, *channel the other. */
int proc_spawn_with_channel(char *const argv[], char *const env[], const char *log_path,
                            pid_t *pid, int *channel, struct err *err);
/* Runs argv to its end with `input` on stdin (may be NULL); stdout into `out`, stderr
 * into `errors` (either may be NULL). *status gets the exit status, 128 + n for a
 * signal. */
int proc_run(char *const argv[], const char *input, size_t input_len, struct buf *out,
             struct buf *errors, int *status, struct err *err);
/* Non-blocking: 1 ended (*status as above), 0 still running, negative error. */
int proc_poll(pid_t pid, int *status);
/* The same process, not a reuse of its number */
bool proc_alive(pid_t pid, uint64_t start_ticks);
uint64_t proc_start_ticks(pid_t pid); /* field 22 of /proc/PID/stat, 0 when gone */
const char *proc_boot_id(void);
const char *proc_host(void);

int64_t proc_peak_rss_bytes(void); /* VmHWM */
int64_t proc_rss_bytes(void);      /* VmRSS */
/* Bytes a process may use here: the smallest of MemTotal, the cgroup limits and
 * RLIMIT_AS. */
int64_t proc_memory_limit_bytes(void);
/* Tries to have that many files open at the same time (RLIMIT_NOFILE, up to its hard
 * limit). How many it may have then, at most `count`. */
size_t proc_allow_files(size_t count);
int proc_cpu_count(void); /* sched_getaffinity */

/* SIGINT and SIGTERM counted, not fatal; SIGUSR1 too. proc_signals() returns how many
 * came so far, and the last. */
void proc_catch_signals(void);
void proc_release_signals(
    void); /* from here on SIGINT and SIGTERM end the process again */
int proc_signals(int *last);

double clock_mono_s(void); /* CLOCK_MONOTONIC */
/* Unix time; PEFTLAB_NOW_MS in the environment replaces it (tests) */
int64_t clock_wall_ms(void);
/* CLOCK_MONOTONIC, the same for all processes of a boot; PEFTLAB_MONO_MS, else
 * PEFTLAB_NOW_MS replaces it. */
int64_t clock_mono_ms(void);

/* Environment fingerprint: program version, CPU model, SIMD level, cores, memory, kernel,
 * host (new reference). */
json_t *proc_environment(void);
/* The processor's name by the text of /proc/cpuinfo; `machine` where it says none. Caller
 * frees. */
char *proc_cpu_model(const char *cpuinfo, const char *machine);

#endif
