/* runner/hub/text_part.c - see text_part.h. */
#include "runner/hub/text_part.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"
#include <string.h>

/* model_type, and what transformers' text configuration has where keys are absent. */
static const struct {
    const char *model_type, *defaults;
} rows[] = {
    {"gemma3",
     "{\"vocab_size\": 262208, \"hidden_size\": 2304, \"intermediate_size\": 9216, "
     "\"num_hidden_layers\": 26, \"num_attention_heads\": 8, "
     "\"num_key_value_heads\": 4, \"head_dim\": 256, "
     "\"max_position_embeddings\": 131072}"},
};

json_t *text_part_config(const json_t *config)
{
    json_t *inner = json_object_get(config, "text_config"), *out = NULL;
    const char *type = json_get_str(config, "model_type", "");
    for (size_t i = 0; i < ARRAY_LEN(rows) && json_is_object(inner); i++)
        if (str_eq(rows[i].model_type, type))
            out = json_parse(rows[i].defaults, strlen(rows[i].defaults), type, NULL);
    if (!out)
        return NULL;
    json_object_update(out, (json_t *)config);
    json_object_update(out, inner);
    json_object_del(out, "text_config");
    json_object_set_new(out, "model_type", json_string(type));
    json_t *classes = json_object_get(config, "architectures");
    if (classes)
        json_object_set(out, "architectures", classes);
    return out;
}
