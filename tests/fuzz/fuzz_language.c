/* Fuzzes rows of a language model: texts, prompts with completions, conversations, ids.
 * The first line of the input says by a letter each what is asked for: which template,
 * assistant_only_loss, completion_only_loss. What is read has labels that are its own
 * ids, keeps max_length, and goes into bins; a second reading gives the same. */
#include "lib/buf.h"
#include "lib/fs.h"
#include "runner/data/bins.h"
#include "runner/data/dataset.h"
#include "runner/data/language.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LENGTH = 24 };

static const char *const templates[] = {
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}",
    "{% for m in messages %}<{{ m.role }}>{% if m.role == 'assistant' %}{% generation %}"
    "{{ m.content | trim }}</s>{% endgeneration %}{% else %}{{ m.content }}{% endif %}"
    "{% endfor %}{{ tools | tojson if tools }}{{ x }}",
    "{% for m in messages %}{{ m.role }}: {{ m.content if loop.last else m.content[1:] }}"
    "\n{% endfor %}{% if add_generation_prompt %}assistant: {% else %}</s>{% endif %}",
};

static struct tokenizer *make_tokenizer(void)
{
    static const char json[] =
        "{\"added_tokens\":[{\"id\":4,\"content\":\"</s>\",\"special\":true}],"
        "\"normalizer\":{\"type\":\"BertNormalizer\"},"
        "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
        "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"?\",\"vocab\":{\"?\":0,"
        "\"a\":1,\"##b\":2,\"assistant\":3,\"</s>\":4,\"user\":5,\"<\":6,\">\":7}}}";
    struct tokenizer *t = NULL;
    if (tokenizer_parse(json, strlen(json), "t", &t, NULL) < 0)
        abort();
    return t;
}

/* Files of the templates, made once. */
static char *template_path(size_t i)
{
    static char paths[3][32];
    if (!paths[i][0]) {
        memcpy(paths[i], "/tmp/fuzz_language.XXXXXX", 26);
        const int fd = mkstemp(paths[i]);
        if (fd < 0 || write(fd, templates[i], strlen(templates[i])) < 0)
            abort();
        close(fd);
    }
    return paths[i];
}

static void check_rows(const struct dataset *d)
{
    struct bins bins;
    size_t packed = 0;
    for (size_t i = 0; i < d->count; i++) {
        const struct example *e = &d->rows[i];
        if (e->n < 0 || e->n > LENGTH || e->cut < 0 || !e->ids || !e->token_labels)
            abort();
        for (int32_t t = 0; t < e->n; t++)
            if (e->ids[t] < 0 || e->ids[t] > 7 || e->token_labels[t] < -1 ||
                e->token_labels[t] > 7)
                abort();
        packed += !e->dropped && e->n > 0;
    }
    dataset_pack(d, LENGTH, &bins);
    if (packed ? !bins.count || bins.ends[bins.count - 1] != packed : bins.count != 0)
        abort();
    bins_release(&bins);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tokenizer *t;
    if (!t)
        t = make_tokenizer();
    if (size < 4)
        return 0;
    const struct language language = {.template_file = template_path(data[0] % 3),
                                      .eos = (char *)"</s>",
                                      .assistant_only = data[1] & 1,
                                      .completion_only = (int8_t)(data[2] % 3 - 1),
                                      .ids_length = LENGTH};
    const struct data_spec spec = {.max_length = LENGTH,
                                   .vocab_size = 8,
                                   .labels = LABEL_token,
                                   .reader = &language_rows,
                                   .language = &language,
                                   .keep_dropped = true};
    const char *rows = (const char *)data + 4;
    struct labels none = {0};
    struct dataset *d, *again;
    struct err err = ERR_INIT;
    int rc = dataset_parse(rows, size - 4, "fuzz", &spec, t, &none, &d, NULL, &err);
    if (rc < 0) {
        if (d || rc != -(int)err.code || !err.msg[0])
            abort();
        return 0;
    }
    check_rows(d);
    if (dataset_parse(rows, size - 4, "fuzz", &spec, t, &none, &again, NULL, NULL) < 0 ||
        d->count != again->count || d->total_tokens != again->total_tokens)
        abort();
    dataset_free(d);
    dataset_free(again);
    return 0;
}
