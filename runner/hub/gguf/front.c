/* runner/hub/gguf/front.c - see front.h. */
#include "runner/hub/gguf/front.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <stdio.h>

#define BYTES(regex)                                                                     \
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,"          \
    "\"use_regex\":" regex "}"
#define SEQUENCE(first) "{\"type\":\"Sequence\",\"pretokenizers\":[" first "]}"
#define SPLIT(regex)                                                                     \
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"" regex                                \
    "\"},\"behavior\":\"Isolated\",\"invert\":false}"
/* numbers: how many numerals stand together. */
#define WORDS_OF(numbers)                                                                \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|"              \
    "\\\\p{N}" numbers "| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|"  \
    "\\\\s+(?!\\\\S)|\\\\s+"

static const struct gguf_front fronts[] = {
    {"gpt-2", BYTES("true"), false, false, false},
    {"smollm",
     SEQUENCE("{\"type\":\"Digits\",\"individual_digits\":true}," BYTES("true")), false,
     false, false},
    {"llama-bpe", SEQUENCE(SPLIT(WORDS_OF("{1,3}")) "," BYTES("false")), false, true,
     true},
    {"qwen2", SEQUENCE(SPLIT(WORDS_OF("")) "," BYTES("false")), true, false, false},
};

const struct gguf_front *gguf_front_find(const char *pre)
{
    for (size_t i = 0; i < ARRAY_LEN(fronts); i++)
        if (str_eq(fronts[i].pre, pre))
            return &fronts[i];
    return NULL;
}

const char *gguf_pre_names(void)
{
    static char text[256];
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(fronts) && !text[sizeof text - 1] && n < sizeof text;
         i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", i ? ", " : "",
                              fronts[i].pre);
    return text;
}

/* Is a pre-tokenizer's part the same but for what touches only offsets? */
static bool same_part(const json_t *a, const json_t *b)
{
    static const char *const keys[] = {"type", "pattern", "behavior", "pretokenizers",
                                       "individual_digits"};
    static const struct {
        const char *key;
        int preset;
    } flags[] = {{"add_prefix_space", 1}, {"use_regex", 1}, {"invert", 0}};
    bool same = json_is_object(a) && json_is_object(b);
    for (size_t i = 0; i < ARRAY_LEN(keys) && same; i++) {
        const json_t *x = json_object_get(a, keys[i]), *y = json_object_get(b, keys[i]);
        same = json_array_size(x) == json_array_size(y) &&
               (json_is_array(x) || x == y || json_equal(x, y));
        for (size_t k = 0; k < json_array_size(x) && same; k++)
            same = same_part(json_array_get(x, k), json_array_get(y, k));
    }
    for (size_t i = 0; i < ARRAY_LEN(flags) && same; i++)
        same = json_get_bool(a, flags[i].key, flags[i].preset) ==
               json_get_bool(b, flags[i].key, flags[i].preset);
    return same;
}

const char *gguf_pre_of(const json_t *tokenizer)
{
    const json_t *pre = json_object_get(tokenizer, "pre_tokenizer"),
                 *normalizer = json_object_get(tokenizer, "normalizer"),
                 *model = json_object_get(tokenizer, "model");
    const bool nfc = str_eq(json_get_str(normalizer, "type", ""), "NFC"),
               plain = !normalizer || json_is_null(normalizer);
    const bool ignore = json_get_bool(model, "ignore_merges", 0);
    const char *found = NULL;
    for (size_t i = 0; i < ARRAY_LEN(fronts) && !found; i++) {
        json_t *own = json_loads(fronts[i].pre_tokenizer, 0, NULL);
        if (same_part(pre, own) && ignore == fronts[i].ignore_merges &&
            (fronts[i].nfc ? nfc : plain))
            found = fronts[i].pre;
        json_decref(own);
    }
    return found;
}
