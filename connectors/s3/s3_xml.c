/*
 * s3_xml: the pull scanner. See s3_xml.h.
 */
#include "s3_xml.h"

#include <stdlib.h>
#include <string.h>

void xml_init(struct xml *x, const void *data, size_t n)
{
    memset(x, 0, sizeof *x);
    x->p = data;
    x->end = x->p + n;
}

const char *xml_name(const struct xml *x, int level)
{
    return level >= 1 && level <= XML_DEPTH_MAX ? x->names[level - 1] : "";
}

static int corrupt(struct err *e, const char *what)
{
    return err_set(e, ERR_CORRUPT, "the answer is not well-formed XML: %s", what);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool starts_with(const struct xml *x, const char *s)
{
    size_t n = strlen(s);

    return (size_t)(x->end - x->p) >= n && memcmp(x->p, s, n) == 0;
}

/* Moves behind the next `mark`. */
static int skip_past(struct xml *x, const char *mark, struct err *e)
{
    const char *found = memmem(x->p, (size_t)(x->end - x->p), mark, strlen(mark));

    if (!found)
        return corrupt(e, "it ends early");
    x->p = found + strlen(mark);
    return ERR_OK;
}

static int add_text(struct xml *x, const char *s, size_t n, struct err *e)
{
    if (n > sizeof x->text - 1 - x->text_len)
        return corrupt(e, "an element's text is too long");
    memcpy(x->text + x->text_len, s, n);
    x->text_len += n;
    x->text[x->text_len] = '\0';
    return ERR_OK;
}

static int add_code_point(struct xml *x, unsigned long c, struct err *e)
{
    char u[4];
    size_t n;

    if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return corrupt(e, "a character reference names no character");
    if (c < 0x80) {
        u[0] = (char)c;
        n = 1;
    } else if (c < 0x800) {
        u[0] = (char)(0xc0 | c >> 6);
        u[1] = (char)(0x80 | (c & 0x3f));
        n = 2;
    } else if (c < 0x10000) {
        u[0] = (char)(0xe0 | c >> 12);
        u[1] = (char)(0x80 | (c >> 6 & 0x3f));
        u[2] = (char)(0x80 | (c & 0x3f));
        n = 3;
    } else {
        u[0] = (char)(0xf0 | c >> 18);
        u[1] = (char)(0x80 | (c >> 12 & 0x3f));
        u[2] = (char)(0x80 | (c >> 6 & 0x3f));
        u[3] = (char)(0x80 | (c & 0x3f));
        n = 4;
    }
    return add_text(x, u, n, e);
}

/* At '&': the five predefined entities and character references; there is no document type to declare others.
 */
static int read_reference(struct xml *x, struct err *e)
{
    static const struct {
        const char *name;
        char c;
    } entities[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
    char digits[10];
    const char *semicolon;
    char *stop;
    bool hex;
    size_t n;
    unsigned long c;

    for (size_t i = 0; i < sizeof entities / sizeof *entities; i++) {
        if (starts_with(x, entities[i].name)) {
            x->p += strlen(entities[i].name);
            return add_text(x, &entities[i].c, 1, e);
        }
    }
    if (!starts_with(x, "&#"))
        return corrupt(e, "unknown entity");
    x->p += 2;
    hex = x->p < x->end && *x->p == 'x';
    x->p += hex;
    semicolon =
        memchr(x->p, ';', (size_t)(x->end - x->p) < sizeof digits ? (size_t)(x->end - x->p) : sizeof digits);
    if (!semicolon || semicolon == x->p)
        return corrupt(e, "unfinished character reference");
    n = (size_t)(semicolon - x->p);
    memcpy(digits, x->p, n);
    digits[n] = '\0';
    if (strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789") != n)
        return corrupt(e, "malformed character reference");
    c = strtoul(digits, &stop, hex ? 16 : 10);
    x->p = semicolon + 1;
    return add_code_point(x, c, e);
}

/* At the first byte of a name: its local part into `out`. */
static int read_name(struct xml *x, char out[XML_NAME_MAX], struct err *e)
{
    const char *start = x->p, *colon;
    size_t n;

    while (x->p < x->end && !is_space(*x->p) && *x->p != '>' && *x->p != '/' && *x->p != '<')
        x->p++;
    colon = memchr(start, ':', (size_t)(x->p - start));
    if (colon)
        start = colon + 1;
    n = (size_t)(x->p - start);
    if (n == 0 || n >= XML_NAME_MAX || memchr(start, '\0', n))
        return corrupt(e, "a name is empty or too long");
    memcpy(out, start, n);
    out[n] = '\0';
    return ERR_OK;
}

/* Inside a start tag behind its name: over the attributes to behind '>'. */
static int skip_attributes(struct xml *x, struct err *e)
{
    char quote = '\0';

    for (; x->p < x->end; x->p++) {
        if (quote) {
            if (*x->p == quote)
                quote = '\0';
        } else if (*x->p == '"' || *x->p == '\'') {
            quote = *x->p;
        } else if (*x->p == '<') {
            return corrupt(e, "'<' inside a tag");
        } else if (*x->p == '>') {
            x->self_closing = x->p[-1] == '/';
            x->p++;
            return ERR_OK;
        }
    }
    return corrupt(e, "it ends early");
}

static int read_open(struct xml *x, enum xml_event *event, struct err *e)
{
    x->p++;
    if (x->done)
        return corrupt(e, "a second root element");
    if (x->depth == XML_DEPTH_MAX)
        return corrupt(e, "elements are nested too deeply");
    if (read_name(x, x->names[x->depth], e) || skip_attributes(x, e))
        return e->code;
    x->depth++;
    x->text_len = 0;
    x->text[0] = '\0';
    *event = XML_OPEN;
    return ERR_OK;
}

static int read_close(struct xml *x, enum xml_event *event, struct err *e)
{
    char name[XML_NAME_MAX];

    x->p += 2;
    if (read_name(x, name, e))
        return e->code;
    while (x->p < x->end && is_space(*x->p))
        x->p++;
    if (x->p == x->end || *x->p != '>')
        return corrupt(e, "unfinished end tag");
    x->p++;
    if (x->depth == 0 || strcmp(x->names[x->depth - 1], name) != 0)
        return corrupt(e, "an end tag without its start tag");
    *event = XML_CLOSE;
    return ERR_OK;
}

/* Text up to the next '<'. Outside the root only white space may stand. */
static int read_text(struct xml *x, struct err *e)
{
    while (x->p < x->end && *x->p != '<') {
        const char *start = x->p;

        if (x->depth == 0) {
            if (!is_space(*x->p++))
                return corrupt(e, "text outside the root element");
            continue;
        }
        if (*x->p == '&') {
            if (read_reference(x, e))
                return e->code;
            continue;
        }
        while (x->p < x->end && *x->p != '<' && *x->p != '&')
            x->p++;
        if (add_text(x, start, (size_t)(x->p - start), e))
            return e->code;
    }
    return ERR_OK;
}

/* At '<!' or '<?'. */
static int read_markup(struct xml *x, struct err *e)
{
    if (starts_with(x, "<?"))
        return skip_past(x, "?>", e);
    if (starts_with(x, "<!--"))
        return skip_past(x, "-->", e);
    if (starts_with(x, "<![CDATA[") && x->depth > 0) {
        const char *start = x->p + strlen("<![CDATA[");

        x->p = start;
        if (skip_past(x, "]]>", e))
            return e->code;
        return add_text(x, start, (size_t)(x->p - start) - strlen("]]>"), e);
    }
    return corrupt(e, "a document type declaration");
}

/* After CLOSE was given: the element is gone, and what its parent has as text starts anew. */
static void leave_element(struct xml *x)
{
    x->depth--;
    x->done = x->depth == 0;
    x->text_len = 0;
    x->text[0] = '\0';
}

int xml_next(struct xml *x, enum xml_event *event, struct err *e)
{
    if (x->closing) {
        x->closing = false;
        leave_element(x);
    }
    if (x->self_closing) {
        x->self_closing = false;
        x->closing = true;
        *event = XML_CLOSE;
        return ERR_OK;
    }
    for (;;) {
        if (read_text(x, e))
            return e->code;
        if (x->p == x->end) {
            if (!x->done)
                return corrupt(e, "it ends early");
            *event = XML_END;
            return ERR_OK;
        }
        if (starts_with(x, "</")) {
            x->closing = true;
            return read_close(x, event, e);
        }
        if (!starts_with(x, "<!") && !starts_with(x, "<?"))
            return read_open(x, event, e);
        if (read_markup(x, e))
            return e->code;
    }
}
