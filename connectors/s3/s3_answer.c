/*
 * s3_answer: the documents that the sink reads, over the pull scanner. See s3_answer.h.
 */
#include "s3_answer.h"

#include <stdlib.h>
#include <string.h>

#include "s3_xml.h"

static int copy_text(const struct xml *x, char *out, size_t size, struct err *e)
{
    if (x->text_len >= size || strlen(x->text) != x->text_len)
        return err_set(e, ERR_CORRUPT, "<%s> is too long", xml_name(x, x->depth));
    memcpy(out, x->text, x->text_len + 1);
    return ERR_OK;
}

/* As copy_text; what does not fit is cut: for texts that are only shown. */
static void copy_shown(const struct xml *x, char *out, size_t size)
{
    size_t n = x->text_len < size ? x->text_len : size - 1;

    memcpy(out, x->text, n);
    out[n] = '\0';
}

void answer_error(const void *body, size_t n, struct s3_error *out)
{
    enum xml_event event;
    struct xml x;
    struct err e;

    memset(out, 0, sizeof *out);
    xml_init(&x, body, n);
    while (xml_next(&x, &event, &e) == ERR_OK && event != XML_END) {
        if (x.depth == 1 && event == XML_OPEN && strcmp(xml_name(&x, 1), "Error") != 0)
            return;
        if (x.depth != 2 || event != XML_CLOSE)
            continue;
        if (strcmp(xml_name(&x, 2), "Code") == 0)
            copy_shown(&x, out->code, sizeof out->code);
        else if (strcmp(xml_name(&x, 2), "Message") == 0)
            copy_shown(&x, out->message, sizeof out->message);
        else if (strcmp(xml_name(&x, 2), "Region") == 0)
            copy_shown(&x, out->region, sizeof out->region);
        else if (strcmp(xml_name(&x, 2), "Endpoint") == 0)
            copy_shown(&x, out->endpoint, sizeof out->endpoint);
        else if (strcmp(xml_name(&x, 2), "ServerTime") == 0)
            copy_shown(&x, out->server_time, sizeof out->server_time);
    }
}

/* Next event; the root's name must be `root`. */
static int next_in(struct xml *x, const char *root, enum xml_event *event, struct err *e)
{
    if (xml_next(x, event, e))
        return e->code;
    if (*event == XML_OPEN && x->depth == 1 && strcmp(xml_name(x, 1), root) != 0)
        return err_set(e, ERR_CORRUPT, "the answer is a <%s>, not a <%s>", xml_name(x, 1), root);
    return ERR_OK;
}

static bool closes(const struct xml *x, enum xml_event event, int depth, const char *name)
{
    return event == XML_CLOSE && x->depth == depth && strcmp(xml_name(x, depth), name) == 0;
}

int answer_upload_id(const void *body, size_t n, char out[S3_UPLOAD_ID_SIZE], struct err *e)
{
    enum xml_event event = XML_OPEN;
    struct xml x;

    out[0] = '\0';
    xml_init(&x, body, n);
    while (event != XML_END) {
        if (next_in(&x, "InitiateMultipartUploadResult", &event, e))
            return e->code;
        if (closes(&x, event, 2, "UploadId") && copy_text(&x, out, S3_UPLOAD_ID_SIZE, e))
            return e->code;
    }
    if (!out[0])
        return err_set(e, ERR_CORRUPT, "the answer to a new multipart upload has no <UploadId>");
    return ERR_OK;
}

int answer_whole(const void *body, size_t n, const char *root, struct err *e)
{
    enum xml_event event = XML_OPEN;
    struct xml x;

    xml_init(&x, body, n);
    while (event != XML_END)
        if (next_in(&x, root, &event, e))
            return e->code;
    return ERR_OK;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

/* Undoes encoding-type=url in place: %XX, and '+' for a blank as AWS writes it. */
static int decode_url(char *s, struct err *e)
{
    char *to = s;

    for (; *s; s++) {
        if (*s == '%') {
            int high = hex_digit(s[1]), low = high < 0 ? -1 : hex_digit(s[2]);

            if (low < 0 || (high == 0 && low == 0))
                return err_set(e, ERR_CORRUPT, "a key in the answer has a malformed %%XX");
            *to++ = (char)(high << 4 | low);
            s += 2;
        } else {
            *to++ = *s == '+' ? ' ' : *s;
        }
    }
    *to = '\0';
    return ERR_OK;
}

/* The fields beside the uploads: AWS writes EncodingType behind them, hence a pass of its own. */
static int read_page(const void *body, size_t n, struct s3_uploads_page *page, bool *encoded, struct err *e)
{
    enum xml_event event = XML_OPEN;
    struct xml x;
    int rc = ERR_OK;

    memset(page, 0, sizeof *page);
    *encoded = false;
    xml_init(&x, body, n);
    while (event != XML_END && rc == ERR_OK) {
        rc = next_in(&x, "ListMultipartUploadsResult", &event, e);
        if (rc || event != XML_CLOSE)
            continue;
        if (closes(&x, event, 2, "IsTruncated"))
            page->truncated = strcmp(x.text, "true") == 0;
        else if (closes(&x, event, 2, "EncodingType"))
            *encoded = strcmp(x.text, "url") == 0;
        else if (closes(&x, event, 2, "NextUploadIdMarker"))
            rc = copy_text(&x, page->next_upload_id, sizeof page->next_upload_id, e);
    }
    return rc;
}

/* The key that the element which just closed holds, decoded. */
static int read_key(const struct xml *x, bool encoded, char out[S3_KEY_SIZE], struct err *e)
{
    char text[XML_TEXT_MAX];

    if (copy_text(x, text, sizeof text, e) || (encoded && decode_url(text, e)))
        return e->code;
    if (strlen(text) >= S3_KEY_SIZE)
        return err_set(e, ERR_CORRUPT, "a key in the answer is too long");
    memcpy(out, text, strlen(text) + 1);
    return ERR_OK;
}

/* Is the list whole, and are its keys encoded? That comes behind them. */
static int read_list(const void *body, size_t n, bool *encoded, struct err *e)
{
    enum xml_event event = XML_OPEN;
    struct xml x;

    *encoded = false;
    xml_init(&x, body, n);
    while (event != XML_END) {
        if (next_in(&x, "ListBucketResult", &event, e))
            return e->code;
        if (event == XML_CLOSE && closes(&x, event, 2, "EncodingType"))
            *encoded = strcmp(x.text, "url") == 0;
    }
    return ERR_OK;
}

int answer_keys(const void *body, size_t n, int (*each)(void *arg, const char *key, struct err *e), void *arg,
                struct err *e)
{
    char key[S3_KEY_SIZE];
    enum xml_event event = XML_OPEN;
    bool encoded;
    struct xml x;
    int rc = read_list(body, n, &encoded, e);

    xml_init(&x, body, n);
    while (rc == ERR_OK && event != XML_END) {
        rc = xml_next(&x, &event, e);
        if (rc == ERR_OK && closes(&x, event, 3, "Key")) {
            rc = read_key(&x, encoded, key, e);
            rc = rc ? rc : each(arg, key, e);
        }
    }
    return rc;
}

int answer_uploads(const void *body, size_t n, struct s3_uploads_page *page,
                   int (*each)(void *arg, const char *key, const char *upload_id, struct err *e), void *arg,
                   struct err *e)
{
    char key[S3_KEY_SIZE] = "", upload_id[S3_UPLOAD_ID_SIZE] = "";
    enum xml_event event = XML_OPEN;
    bool encoded;
    struct xml x;
    int rc = read_page(body, n, page, &encoded, e);

    xml_init(&x, body, n);
    while (rc == ERR_OK && event != XML_END) {
        rc = xml_next(&x, &event, e);
        if (rc)
            break;
        if (closes(&x, event, 2, "NextKeyMarker")) {
            rc = read_key(&x, encoded, page->next_key, e);
        } else if (closes(&x, event, 3, "Key")) {
            rc = read_key(&x, encoded, key, e);
        } else if (closes(&x, event, 3, "UploadId")) {
            rc = copy_text(&x, upload_id, sizeof upload_id, e);
        } else if (closes(&x, event, 2, "Upload")) {
            if (key[0] && upload_id[0])
                rc = each(arg, key, upload_id, e);
            key[0] = upload_id[0] = '\0';
        }
    }
    return rc;
}
