/* tracker/view/objective.c - see objective.h. */
#include "tracker/view/objective.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "tracker/view/view.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- by name ---- */

/* Words of names: |word|; a word that ends in * stands for all that begin so. */
static const char lower_words[] =
    "|loss|losses|nll|perplexity|ppl|bpc|bpb|entropy|crossentropy|logloss|deviance|"
    "mse|rmse|mae|mape|smape|rmsle|msle|error|errors|err|residual|"
    "wer|cer|ter|mer|eer|brier|ece|mce|fid|kid|kl|divergence|distance|regret|"
    "fpr|fnr|toxicity|hallucination|violations|failures|"
    "bytes|ms|s|seconds|latency|memory|mem|rss|duration|runtime|time|cost|usd|params|"
    "parameters|flops|joules|energy|";
static const char higher_words[] =
    "|accuracy|acc|f1|f1score|precision|recall|sensitivity|specificity|auc|auroc|auprc|"
    "roc|ap|map|ndcg|mrr|hits|score|bleu|sacrebleu|rouge*|meteor|chrf|bertscore|"
    "pearson|pearsonr|spearman|spearmanr|kendall|correlation|corr|r2|mcc|matthews|kappa|"
    "em|match|exact|correct|iou|miou|dice|jaccard|reward|return|success|win|pass|"
    "likelihood|elbo|throughput|psnr|ssim|gain|";

/* Whether a list holds the word; `n` bytes long. */
static bool listed(const char *list, const char *word, size_t n)
{
    for (const char *at = list + 1; *at;) {
        size_t len = strcspn(at, "|");
        bool open = at[len - 1] == '*';
        if (open ? n >= len - 1 && !strncmp(at, word, len - 1)
                 : n == len && !strncmp(at, word, n))
            return true;
        at += len + (at[len] == '|');
    }
    return false;
}

/* "bleu4" is "bleu"; "r2" and "f1" are words themselves. */
static enum direction word_direction(const char *word, size_t n)
{
    for (; n > 0; n--) {
        if (listed(lower_words, word, n))
            return DIRECTION_LOWER;
        if (listed(higher_words, word, n))
            return DIRECTION_HIGHER;
        if (!isdigit((unsigned char)word[n - 1]))
            break;
    }
    return DIRECTION_UNKNOWN;
}

static enum direction turned(enum direction d)
{
    return d == DIRECTION_LOWER    ? DIRECTION_HIGHER
           : d == DIRECTION_HIGHER ? DIRECTION_LOWER
                                   : d;
}

enum direction metric_direction(const char *metric)
{
    static const char apart[] = "_-./ @:()%";
    const char *slash = strrchr(metric, '/');
    char name[128];
    snprintf(name, sizeof name, "%s", slash ? slash + 1 : metric);
    for (char *c = name; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    if (strstr(name, "_per_s")) /* a rate: tokens_per_s, samples_per_second */
        return DIRECTION_HIGHER;
    if (str_has_prefix(metric, "params/"))
        return DIRECTION_LOWER;
    bool lower = false, higher = false,
         flipped = str_has_prefix(name, "neg_") || str_has_prefix(name, "negative_") ||
                   str_has_prefix(name, "1-");
    for (const char *at = name + strspn(name, apart); *at;) {
        size_t n = strcspn(at, apart);
        enum direction d = word_direction(at, n);
        lower |= d == DIRECTION_LOWER;
        higher |= d == DIRECTION_HIGHER;
        at += n;
        at += strspn(at, apart);
    }
    enum direction d = lower == higher ? DIRECTION_UNKNOWN
                       : lower         ? DIRECTION_LOWER
                                       : DIRECTION_HIGHER;
    return flipped ? turned(d) : d;
}

/* Of what is better high: not shares. */
static const char open_words[] = "|reward|return|likelihood|elbo|psnr|throughput|gain|r2|"
                                 "hits|win|mrr|";
static const char signed_words[] = "|pearson|pearsonr|spearman|spearmanr|kendall|"
                                   "correlation|corr|mcc|matthews|kappa|ssim|";

static bool has_word(const char *metric, const char *list)
{
    static const char apart[] = "_-./ @:()%";
    char name[128];
    snprintf(name, sizeof name, "%s", metric);
    for (char *c = name; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    for (const char *at = name + strspn(name, apart); *at;) {
        size_t n = strcspn(at, apart);
        if (listed(list, at, n))
            return true;
        at += n;
        at += strspn(at, apart);
    }
    return false;
}

struct stat_interval metric_scale(const char *metric, double lowest, double highest)
{
    enum direction d = metric_direction(metric);
    bool negated = strstr(metric, "neg") != NULL;
    struct stat_interval any = {-INFINITY, INFINITY};
    if (has_word(metric, signed_words))
        return lowest >= -1 && highest <= 1 ? (struct stat_interval){-1, 1} : any;
    if (!(lowest >= 0) || d == DIRECTION_UNKNOWN || negated ||
        has_word(metric, open_words))
        return any;
    if (d == DIRECTION_LOWER || strstr(metric, "_per_s"))
        return (struct stat_interval){0, INFINITY};
    return highest <= 1     ? (struct stat_interval){0, 1}
           : highest <= 100 ? (struct stat_interval){0, 100}
                            : any;
}

static const char *without_split(const char *metric)
{
    static const char *const splits[] = {"eval/", "test/"};
    for (size_t i = 0; i < ARRAY_LEN(splits); i++)
        if (str_has_prefix(metric, splits[i]))
            return metric + strlen(splits[i]);
    return metric;
}

bool metric_is_same(const char *a, const char *b)
{
    return str_eq(without_split(a), without_split(b));
}

/* ---- by the sweep ---- */

static void take(json_t *out, const json_t *m)
{
    const char *name = json_get_str(m, "name", NULL);
    if (name)
        json_array_append_new(out, json_pack("{s:s, s:s}", "name", name, "goal",
                                             json_get_str(m, "goal", "minimize")));
}

json_t *view_objectives(struct store *s, int64_t sweep, struct err *err)
{
    json_t *file = NULL, *out, *m;
    size_t i;
    if (store_sweep_file(s, sweep, &file, err) < 0)
        return NULL;
    out = json_array();
    take(out, json_object_get(file, "metric"));
    json_array_foreach(json_object_get(file, "objectives"), i, m)
    {
        take(out, m);
    }
    json_decref(file);
    return out;
}

enum direction objective_direction(const json_t *objectives, const char *metric)
{
    const json_t *m;
    size_t i;
    for (int exact = 1; exact >= 0; exact--)
        json_array_foreach((json_t *)objectives, i, m)
        {
            const char *name = json_get_str(m, "name", "");
            if (exact ? str_eq(name, metric) : metric_is_same(name, metric))
                return str_eq(json_get_str(m, "goal", ""), "maximize") ? DIRECTION_HIGHER
                                                                       : DIRECTION_LOWER;
        }
    return metric_direction(metric);
}

json_t *view_rows_objectives(struct store *s, const json_t *rows, struct err *err)
{
    json_t *out = json_array(), *names = json_object(), *sweeps = json_object(), *row;
    size_t i, k;
    json_array_foreach((json_t *)rows, i, row)
    {
        char id[32];
        int64_t sweep = json_get_int(row, "sweep", 0);
        snprintf(id, sizeof id, "%lld", (long long)sweep);
        if (!sweep || json_object_get(sweeps, id))
            continue;
        json_object_set_new(sweeps, id, json_null());
        json_t *own = view_objectives(s, sweep, err), *o;
        if (!own) {
            json_decref(out);
            out = NULL;
            break;
        }
        json_array_foreach(own, k, o)
        {
            const char *name = json_get_str(o, "name", "");
            if (!json_object_get(names, name))
                json_array_append(out, o);
            json_object_set_new(names, name, json_null());
        }
        json_decref(own);
    }
    json_decref(names);
    json_decref(sweeps);
    return out;
}

int view_direction(struct store *s, const char *metric, enum direction *out,
                   struct err *err)
{
    enum { MOST = 1000 }; /* sweeps that are asked, the newest */
    json_t *rows = view_rows(s, "SELECT id FROM sweep_view ORDER BY id DESC LIMIT ?1",
                             json_pack("[i]", MOST), MOST, err),
           *row, *o;
    enum direction said = DIRECTION_UNKNOWN;
    bool agree = true;
    size_t i, k;
    if (!rows)
        return err_code(err);
    json_array_foreach(rows, i, row)
    {
        json_t *own = view_objectives(s, json_get_int(row, "id", 0), NULL);
        json_array_foreach(own, k, o)
        {
            if (!str_eq(json_get_str(o, "name", ""), metric))
                continue;
            enum direction d = objective_direction(own, metric);
            agree &= !said || said == d;
            said = d;
        }
        json_decref(own);
    }
    json_decref(rows);
    *out = said && agree ? said : metric_direction(metric);
    return 0;
}
