/* runner/text/settings.c - tokenizer_config.json: what of it changes the tokens, as
 * transformers (5.24, tokenization_utils_tokenizers.py and the models' classes) has it.
 *
 * The class that the file names decides: BERT's and RoBERTa's make their own normaliser or
 * blanks out of the keys, with defaults where a key is missing (do_lower_case is true);
 * the generic classes take tokenizer.json as it is. What changes the tokens and is not
 * honoured is refused by name; padding_side, clean_up_tokenization_spaces and the like
 * change none, because rows are not padded, nor do add_bos_token and add_eos_token:
 * beside a tokenizer.json transformers drops both, whose post-processor has the word. */
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runner/text/pipeline.h"
#include <stdlib.h>
#include <string.h>

static const char bert_classes[] = "|BertTokenizer|DistilBertTokenizer|ElectraTokenizer|"
                                   "MobileBertTokenizer|";
static const char space_classes[] = "|RobertaTokenizer|GPT2Tokenizer|";
static const char metaspace_classes[] = "|XLMRobertaTokenizer|CamembertTokenizer|";
static const char generic_classes[] = "|PreTrainedTokenizer|TokenizersBackend|";

/* The class without "Fast" is one of the list. */
static bool is_class(const json_t *config, const char *list)
{
    const char *name = json_get_str(config, "tokenizer_class", "");
    size_t n = strlen(name);
    if (str_has_suffix(name, "Fast"))
        n -= 4;
    char *item = xasprintf("|%.*s|", (int)n, name);
    const bool found = n && strstr(list, item);
    free(item);
    return found;
}

static int bad_value(const char *key, const char *what, struct err *err)
{
    return err_set(err, ERR_PARSE, SETTINGS_FILE ": %s must be %s", key, what);
}

/* A token is its text, or an object with its "content". */
static const char *content_of(const json_t *token)
{
    return json_is_string(token) ? json_string_value(token)
                                 : json_get_str(token, "content", NULL);
}

/* --- normaliser and blanks --- */

static int apply_normalizer(const json_t *config, json_t *root, struct err *err)
{
    static const struct {
        const char *key, *field;
        bool nullable, usual;
    } keys[] = {{"do_lower_case", "lowercase", false, true},
                {"strip_accents", "strip_accents", true, false},
                {"tokenize_chinese_chars", "handle_chinese_chars", false, true}};
    json_t *n = json_object_get(root, "normalizer");
    const bool bert = str_eq(json_get_str(n, "type", ""), "BertNormalizer"),
               named = is_class(config, bert_classes);
    for (size_t i = 0; i < ARRAY_LEN(keys) && !is_class(config, generic_classes); i++) {
        json_t *v = json_object_get(config, keys[i].key);
        if (v && !json_is_boolean(v) && !(keys[i].nullable && json_is_null(v)))
            return bad_value(keys[i].key,
                             keys[i].nullable ? "true, false or null" : "true or false",
                             err);
        if (!v && !named)
            continue;
        json_t *wanted = v                  ? json_incref(v)
                         : keys[i].nullable ? json_null()
                                            : json_boolean(keys[i].usual);
        if (bert)
            json_object_set(n, keys[i].field, wanted);
        json_decref(wanted);
        if (!bert && named && v)
            return err_set(err, ERR_CONFIG,
                           SETTINGS_FILE ": %s is not supported on a normalizer of kind "
                                         "'%s'",
                           keys[i].key, json_get_str(n, "type", "none"));
    }
    return 0;
}

/* In a part, or in the parts of a Sequence. */
static void set_prefix_space(json_t *part, bool on)
{
    json_t *list = json_object_get(part, "pretokenizers");
    const char *type = json_get_str(part, "type", "");
    for (size_t i = 0; i < json_array_size(list); i++)
        set_prefix_space(json_array_get(list, i), on);
    if (str_eq(type, "ByteLevel") || str_eq(type, "RobertaProcessing"))
        json_object_set_new(part, "add_prefix_space", json_boolean(on));
    if (str_eq(type, "Metaspace") && json_object_get(part, "add_prefix_space"))
        json_object_set_new(part, "add_prefix_space", json_boolean(on)); /* older files */
    if (str_eq(type, "Metaspace"))
        json_object_set_new(part, "prepend_scheme", json_string(on ? "always" : "never"));
}

static int apply_prefix_space(const json_t *config, json_t *root, struct err *err)
{
    const json_t *v = json_object_get(config, "add_prefix_space");
    const bool blank = is_class(config, space_classes),
               meta = is_class(config, metaspace_classes);
    if (v && !json_is_boolean(v))
        return bad_value("add_prefix_space", "true or false", err);
    if (!blank && !meta)
        return 0;
    const bool on = v ? json_is_true(v) : meta;
    set_prefix_space(json_object_get(root, "pre_tokenizer"), on);
    set_prefix_space(json_object_get(root, "post_processor"), on);
    return 0;
}

/* --- added tokens --- */

static json_t *find_added(const json_t *list, const char *content)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (str_eq(json_get_str(json_array_get(list, i), "content", ""), content))
            return json_array_get(list, i);
    return NULL;
}

/* added_tokens_decoder: {"id": {"content", flags}}. A token that tokenizer.json has gets
 * these flags, another is added to it. */
static int apply_added(const json_t *config, json_t *root, struct err *err)
{
    static const char *const flags[] = {"special", "single_word", "lstrip", "rstrip",
                                        "normalized"};
    json_t *all = json_object_get(config, "added_tokens_decoder"), *token,
           *list = json_object_get(root, "added_tokens");
    const char *key;
    if (all && !json_is_object(all))
        return bad_value("added_tokens_decoder", "an object", err);
    if (json_object_size(all) && !json_is_array(list))
        json_object_set_new(root, "added_tokens", list = json_array());
    json_object_foreach(all, key, token)
    {
        const char *content = json_get_str(token, "content", NULL);
        char *end;
        const long id = strtol(key, &end, 10);
        if (!content || !*key || *end || id < 0)
            return bad_value("added_tokens_decoder", "tokens with 'content' by number",
                             err);
        json_t *own = find_added(list, content);
        if (own && json_get_int(own, "id", -1) != id)
            return err_set(err, ERR_CONFIG,
                           SETTINGS_FILE ": added_tokens_decoder has '%.80s' as %ld, "
                                         "tokenizer.json as %" JSON_INTEGER_FORMAT,
                           content, id, json_integer_value(json_object_get(own, "id")));
        if (!own) {
            json_array_append_new(list, own = json_object());
            json_object_set_new(own, "id", json_integer(id));
            json_object_set_new(own, "content", json_string(content));
        }
        for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
            const json_t *v = json_object_get(token, flags[i]);
            if (json_is_boolean(v))
                json_object_set_new(own, flags[i], json_boolean(json_is_true(v)));
        }
    }
    return 0;
}

static int64_t id_in_model(const json_t *vocab, const char *text)
{
    for (size_t i = 0; i < json_array_size(vocab); i++) /* [[piece, score], ...] */
        if (str_eq(json_string_value(json_array_get(json_array_get(vocab, i), 0)), text))
            return (int64_t)i;
    return json_get_int(vocab, text, -1);
}

static int64_t free_id(const json_t *vocab, const json_t *list)
{
    int64_t next = (int64_t)json_array_size(vocab);
    const char *key;
    json_t *id;
    json_object_foreach((json_t *)vocab, key, id)
    {
        if (json_integer_value(id) >= next)
            next = json_integer_value(id) + 1;
    }
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_get_int(json_array_get(list, i), "id", -1) >= next)
            next = json_get_int(json_array_get(list, i), "id", -1) + 1;
    return next;
}

/* A token that has a name is one as a whole wherever it stands in a text, added where
 * tokenizer.json has it in its vocabulary alone, or not at all. */
static void add_named(const json_t *token, json_t *root)
{
    static const char *const flags[] = {"single_word", "lstrip", "rstrip", "normalized"};
    const json_t *vocab = json_object_get(json_object_get(root, "model"), "vocab");
    json_t *list = json_object_get(root, "added_tokens"), *own;
    const char *content = content_of(token);
    if (!content || !*content || find_added(list, content))
        return;
    if (!json_is_array(list))
        json_object_set_new(root, "added_tokens", list = json_array());
    const int64_t known = id_in_model(vocab, content);
    const int64_t id = known >= 0 ? known : free_id(vocab, list);
    json_array_append_new(list, own = json_object());
    json_object_set_new(own, "id", json_integer(id));
    json_object_set_new(own, "content", json_string(content));
    json_object_set_new(own, "special", json_true());
    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        json_object_set_new(own, flags[i],
                            json_boolean(json_get_bool(token, flags[i], 0) == 1));
}

/* In transformers' order, which gives the numbers of those that are new. */
static void apply_named(const json_t *config, json_t *root)
{
    static const char *const names[] = {"bos_token", "eos_token", "unk_token",
                                        "sep_token", "pad_token", "cls_token",
                                        "mask_token"};
    static const char *const lists[] = {"extra_special_tokens",
                                        "additional_special_tokens"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        add_named(json_object_get(config, names[i]), root);
    for (size_t k = 0; k < ARRAY_LEN(lists); k++) {
        json_t *extra = json_object_get(config, lists[k]), *token;
        const char *key;
        for (size_t i = 0; i < json_array_size(extra); i++)
            add_named(json_array_get(extra, i), root);
        json_object_foreach(extra, key, token)
        {
            add_named(token, root);
        }
    }
}

/* --- the rest --- */

static int read_input_names(struct settings *s, const json_t *config, struct err *err)
{
    const json_t *names = json_object_get(config, "model_input_names");
    bool found = false;
    if (!names || json_is_null(names))
        return 0;
    if (!json_is_array(names))
        return bad_value("model_input_names", "a list", err);
    for (size_t i = 0; i < json_array_size(names); i++)
        found |= str_eq(json_string_value(json_array_get(names, i)), "token_type_ids");
    s->no_types = !found;
    return 0;
}

int settings_apply(struct settings *s, const json_t *config, json_t *root,
                   struct err *err)
{
    const double limit = json_get_num(config, "model_max_length", 0);
    const json_t *side = json_object_get(config, "truncation_side");
    if (!json_is_object(config) || !json_is_object(root))
        return err_set(err, ERR_PARSE, SETTINGS_FILE ": an object expected");
    if (limit >= 1 && limit < INT32_MAX)
        s->max_length = (int32_t)limit;
    s->cut_left = str_eq(json_string_value(side), "left");
    if (side && !s->cut_left && !str_eq(json_string_value(side), "right"))
        return bad_value("truncation_side", "'left' or 'right'", err);
    if (json_get_bool(config, "split_special_tokens", 0) == 1)
        return err_set(err, ERR_CONFIG,
                       SETTINGS_FILE ": split_special_tokens true is not supported");
    int rc = read_input_names(s, config, err);
    if (!rc)
        rc = apply_normalizer(config, root, err);
    if (!rc)
        rc = apply_prefix_space(config, root, err);
    if (!rc)
        rc = apply_added(config, root, err);
    if (!rc)
        apply_named(config, root);
    return rc;
}

/* The models' own classes put cls_token and sep_token around a text. */
int settings_check(const json_t *config, const struct tokenizer *t, struct err *err)
{
    static const char *const keys[] = {"cls_token", "sep_token"};
    const struct template *p = &t->post.templates[0];
    if (!is_class(config, bert_classes) && !is_class(config, space_classes))
        return 0;
    for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
        const char *token = content_of(json_object_get(config, keys[k]));
        bool put = !token || !p->specials || str_eq(token, "");
        for (size_t i = 0; i < p->n && !put; i++)
            put = p->at[i].sequence < 0 && str_eq(tokenizer_token(t, p->at[i].id), token);
        if (!put)
            return err_set(err, ERR_CONFIG,
                           SETTINGS_FILE ": %s is '%.80s', which tokenizer.json does not "
                                         "put around a text",
                           keys[k], token);
    }
    return 0;
}
