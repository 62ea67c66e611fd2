/* cli/serve/bench/bench_trace.c - requests at the times of a file: a table with a head and a column
 * at_s (or intended_s, as in requests.csv), and, where they are known, adapter and text by
 * number. Times are seconds from the beginning, in order. */
#include "cli/serve/bench/bench.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { AT, ADAPTER, TEXT, COLUMNS, FILE_MOST = 1 << 30 };

static int column_of(const char *name)
{
    static const struct {
        const char *name;
        int column;
    } known[] = {{"at_s", AT}, {"intended_s", AT}, {"adapter", ADAPTER}, {"text", TEXT}};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(name, known[i].name))
            return known[i].column;
    return COLUMNS;
}

/* place[c]: which field of a line it is, from 0; -1: there is none. */
static void read_head(char *line, int place[COLUMNS])
{
    char *rest = line, *word;
    for (int c = 0; c < COLUMNS; c++)
        place[c] = -1;
    for (int i = 0; (word = strsep(&rest, ",")); i++) {
        const int c = column_of(word);
        if (c < COLUMNS)
            place[c] = i;
    }
}

static void read_line(char *line, const int place[COLUMNS], double value[COLUMNS])
{
    char *rest = line, *word;
    for (int c = 0; c < COLUMNS; c++)
        value[c] = place[c] < 0 ? 0 : NAN;
    for (int i = 0; (word = strsep(&rest, ",")); i++)
        for (int c = 0; c < COLUMNS; c++)
            if (place[c] == i && *word)
                value[c] = strtod(word, NULL);
}

static bool is_number_of(double x)
{
    return x >= 0 && x < UINT32_MAX && x == floor(x);
}

static int add_line(struct bench *b, size_t *cap, const double value[COLUMNS],
                    size_t line, struct err *err)
{
    const double before = b->trace_count ? b->trace[b->trace_count - 1].at_s : 0;
    if (!(value[AT] >= before && value[AT] < 1e9))
        return err_set(err, ERR_PARSE, "line %zu: a time is meant, none before the last",
                       line);
    if (!is_number_of(value[ADAPTER]) || !is_number_of(value[TEXT]))
        return err_set(err, ERR_PARSE, "line %zu: adapter and text are numbers from 0",
                       line);
    b->trace = xgrow(b->trace, cap, b->trace_count + 1, sizeof *b->trace);
    b->trace[b->trace_count++] = (struct planned_request){
        value[AT], (uint32_t)value[ADAPTER], (uint32_t)value[TEXT]};
    return 0;
}

static int read_lines(struct bench *b, char *text, struct err *err)
{
    char *rest = text, *line = strsep(&rest, "\n");
    size_t number = 1, cap = 0;
    int place[COLUMNS], rc = 0;
    double value[COLUMNS];
    read_head(line, place);
    if (place[AT] < 0)
        return err_set(err, ERR_PARSE, "no column at_s");
    while ((line = strsep(&rest, "\n")) && !rc) {
        number++;
        if (!*line)
            continue;
        read_line(line, place, value);
        rc = add_line(b, &cap, value, number, err);
    }
    b->trace_adapters = place[ADAPTER] >= 0;
    b->trace_texts = place[TEXT] >= 0;
    b->trace_s = b->trace_count ? b->trace[b->trace_count - 1].at_s + 1e-6 : 0;
    return rc || b->trace_s > b->file.warmup_s
               ? rc
               : err_set(err, ERR_CONFIG, "it ends before the warm-up of %g s",
                         b->file.warmup_s);
}

int bench_trace_read(struct bench *b, struct err *err)
{
    struct buf all = BUF_INIT;
    char *path = fs_join(b->file.base_dir, b->file.trace);
    int rc = fs_read(path, FILE_MOST, &all, err);
    if (!rc && (rc = read_lines(b, (char *)buf_str(&all), err)) != 0)
        err_context(err, "trace '%s': ", path);
    buf_release(&all);
    free(path);
    return rc;
}
