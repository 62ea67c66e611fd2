/* sweep/status/watch.c - see watch.h. */
#include "sweep/status/watch.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/os/proc.h"
#include "lib/str.h"
#include "lib/text_table.h"
#include "sweep/status/status_parts.h"
#include <math.h>
#include <stdlib.h>
#include <time.h>

#define BAR_CELLS 40

static int64_t count_of(const json_t *s, const char *state)
{
    return json_get_int(json_object_get(s, "states"), state, 0);
}

static bool is_over(const json_t *s)
{
    const int64_t open = count_of(s, "waiting") + count_of(s, "preempted");
    return count_of(s, "running") == 0 &&
           (open == 0 || json_is_string(json_object_get(s, "why")));
}

static void print_bar(const json_t *s, FILE *f)
{
    const int64_t total = json_get_int(s, "trials", 0);
    const int64_t done = total - count_of(s, "waiting") - count_of(s, "preempted") -
                         count_of(s, "running") - count_of(s, "stale");
    const int64_t cells = total > 0 ? done * BAR_CELLS / total : 0;
    fputs("[", f);
    for (int i = 0; i < BAR_CELLS; i++)
        fputs(i < cells ? "=" : i == cells ? ">" : " ", f);
    fprintf(f, "] %lld of %lld\n", (long long)done, (long long)total);
}

/* The block is made first and written at once, so that a terminal does not flicker: each
 * line clears its rest and is cut at the edge (?7l), the end clears what the last look
 * had below. */
static void draw(const json_t *s, bool terminal, FILE *f)
{
    char *text = NULL;
    size_t size = 0;
    FILE *block = open_memstream(&text, &size);
    if (!block)
        return;
    print_bar(s, block);
    status_print(s, block, text_columns(f));
    fclose(block);
    fputs(terminal ? "\x1b[?7l\x1b[H" : "", f);
    for (size_t i = 0; i < size; i++) {
        if (terminal && text[i] == '\n')
            fputs("\x1b[K", f);
        fputc(text[i], f);
    }
    fputs(terminal ? "\x1b[J\x1b[?7h" : is_over(s) ? "" : "\n", f);
    fflush(f);
    free(text);
}

static void pause_s(double seconds)
{
    const struct timespec t = {(time_t)seconds, (long)(fmod(seconds, 1) * 1e9)};
    nanosleep(&t, NULL);
}

int sweep_watch(struct store *store, int64_t sweep, double interval_s, bool as_json,
                FILE *f, struct err *err)
{
    const bool terminal = !as_json && text_redraws(f);
    if (terminal)
        fputs("\x1b[2J", f);
    for (;;) {
        json_t *s = status_sweep(store, sweep, err);
        if (!s)
            return err_code(err);
        const bool over = is_over(s);
        if (as_json) {
            struct buf line = BUF_INIT;
            json_write(&line, s, 0);
            text_print(f, "%s\n", buf_str(&line));
            fflush(f);
            buf_release(&line);
        } else {
            draw(s, terminal, f);
        }
        json_decref(s);
        if (over)
            return 0;
        pause_s(interval_s);
    }
}
