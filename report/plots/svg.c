/* report/plots/svg.c - see plot.h: gnuplot's SVG made fit for a page, in one pass of
 * rewriting. */
#include "lib/mem.h"
#include "lib/str.h"
#include "report/page/words.h"
#include "report/plots/plot.h"
#include <stdlib.h>
#include <string.h>

struct pass {
    const char *at;
    struct html out;
    const char *svg, *prefix;
    char *const *labels;
    size_t label_count;
};

static bool starts(const char *at, const char *word)
{
    return strncmp(at, word, strlen(word)) == 0;
}

/* Skips an element such as <title>...</title>; false where it is not here. */
static bool skip_element(struct pass *p, const char *open, const char *close)
{
    if (!starts(p->at, open))
        return false;
    const char *end = strstr(p->at, close);
    p->at = end ? end + strlen(close) : p->at + strlen(p->at);
    return true;
}

/* id='x', #x') and #x): names get the figure's prefix. */
static bool prefix_name(struct pass *p)
{
    static const char *const before[] = {" id='", " id=\"", "xlink:href='#", "url(#"};
    for (size_t i = 0; i < ARRAY_LEN(before); i++)
        if (starts(p->at, before[i])) {
            html_raw(&p->out, before[i]);
            html_raw(&p->out, p->prefix);
            p->at += strlen(before[i]);
            return true;
        }
    return false;
}

static const char *const variables[] = {"ink",   "muted",    "grid",
                                        "paper", "series-5", "series-6"};

/* The variable of #010203 + i; NULL: a colour of its own. */
static const char *variable(unsigned red, unsigned green, unsigned blue)
{
    bool ours = red == 1 && green == 2 && blue >= 3 && blue < 3 + ARRAY_LEN(variables);
    return ours ? variables[blue - 3] : NULL;
}

const char *svg_colour(const char *colour)
{
    unsigned red, green, blue;
    const char *name = NULL;
    if (sscanf(colour, "#%2x%2x%2x", &red, &green, &blue) == 3)
        name = variable(red, green, blue);
    return name ? word_f("var(--%s)", name) : colour;
}

/* Colours are written "rgb(  0, 114, 178)" or "#0072B2". */
static bool colour(struct pass *p)
{
    unsigned red, green, blue;
    int end = 0;
    if (!(sscanf(p->at, "rgb( %u , %u , %u )%n", &red, &green, &blue, &end) == 3 &&
          end > 0) &&
        !(*p->at == '#' &&
          sscanf(p->at, "#%2x%2x%2x%n", &red, &green, &blue, &end) == 3 && end == 7))
        return false;
    const char *name = variable(red, green, blue);
    if (name)
        buf_printf(&p->out.out, "var(--%s)", name);
    else
        buf_printf(&p->out.out, "#%02x%02x%02x", red, green, blue);
    p->at += end;
    return true;
}

static bool token(struct pass *p)
{
    unsigned long i;
    int end = 0;
    if (sscanf(p->at, "QZ%luZQ%n", &i, &end) != 1 || end == 0 || i >= p->label_count)
        return false;
    html_text(&p->out, p->labels[i]);
    p->at += end;
    return true;
}

/* Groups without content, which make up a third of gnuplot's output. */
static bool empty_group(struct pass *p)
{
    if (!starts(p->at, "<g "))
        return false;
    const char *end = strchr(p->at, '>');
    if (!end || !starts(end, ">\n</g>\n"))
        return false;
    p->at = end + strlen(">\n</g>\n");
    return true;
}

/* What report.css says for all figures. */
static bool said_elsewhere(struct pass *p)
{
    static const char *const words[] = {
        " stroke-linecap=\"round\" stroke-linejoin=\"round\"", " font-family=\"Inter\"",
        " id=\"gnuplot_canvas\""};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (starts(p->at, words[i])) {
            p->at += strlen(words[i]);
            return true;
        }
    return false;
}

/* A line that defines a mark, <circle id='gpPt5' .../>, which nothing uses. */
static bool unused_definition(struct pass *p)
{
    const char *end = *p->at == '<' ? strchr(p->at, '\n') : NULL, *id = NULL;
    char name[24], use[32];
    if (end)
        id = memmem(p->at, (size_t)(end - p->at), " id='gp", 7);
    if (!id || memchr(p->at, '>', (size_t)(id - p->at)) ||
        sscanf(id, " id='%20[^']", name) != 1)
        return false;
    snprintf(use, sizeof use, "'#%s'", name);
    if (strstr(p->svg, use))
        return false;
    p->at = end + 1;
    return true;
}

static void write_root(struct pass *p, const char *view, const char *title,
                       const char *alt)
{
    double width = 860;
    sscanf(view, "%*f %*f %lf", &width);
    buf_printf(&p->out.out,
               "<svg xmlns=\"http://www.w3.org/2000/svg\" "
               "xmlns:xlink=\"http://www.w3.org/1999/xlink\" viewBox=\"%s\" "
               "style=\"max-width:%.0fpx\" role=\"img\" "
               "aria-labelledby=\"%st %sd\">\n<title id=\"%st\">",
               view, width, p->prefix, p->prefix, p->prefix);
    html_text(&p->out, title);
    buf_printf(&p->out.out, "</title>\n<desc id=\"%sd\">", p->prefix);
    html_text(&p->out, alt);
    html_raw(&p->out, "</desc>\n");
}

/* Past the <svg ...> tag; copies its viewBox. */
static bool read_root(struct pass *p, const char *svg, char *view, size_t size)
{
    const char *root = strstr(svg, "<svg"), *end = root ? strchr(root, '>') : NULL;
    const char *box = root ? strstr(root, "viewBox=\"") : NULL;
    if (!end || !box || box > end)
        return false;
    box += strlen("viewBox=\"");
    snprintf(view, size, "%.*s", (int)strspn(box, "0123456789. "), box);
    p->at = end + 1;
    return strstr(end, "</svg>") != NULL;
}

char *svg_clean(const char *svg, const char *prefix, const struct figure *f)
{
    struct pass p = {
        .prefix = prefix, .svg = svg, .labels = f->labels, .label_count = f->label_count};
    char view[64];
    if (!read_root(&p, svg, view, sizeof view))
        return NULL;
    html_init(&p.out);
    write_root(&p, view, f->plot->title, f->alt);
    while (*p.at && !starts(p.at, "</svg>"))
        if (!skip_element(&p, "<title>", "</title>") &&
            !skip_element(&p, "<desc>", "</desc>") &&
            !skip_element(&p, "<filter", "</filter>") && !empty_group(&p) &&
            !unused_definition(&p) && !said_elsewhere(&p) && !prefix_name(&p) &&
            !((*p.at == 'r' || *p.at == '#') && colour(&p)) &&
            !(*p.at == 'Q' && token(&p))) {
            if (*p.at != '\t')
                buf_char(&p.out.out, *p.at);
            p.at++;
        }
    html_raw(&p.out, buf_str(&f->marks.out));
    html_raw(&p.out, "</svg>\n");
    return buf_detach(&p.out.out, NULL);
}
