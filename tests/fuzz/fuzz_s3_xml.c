/*
 * Fuzzes what reads object stores' answers: the scanner and the documents over it. The first byte picks the
 * document.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/s3/s3_answer.h"
#include "connectors/s3/s3_xml.h"

static int take_upload(void *arg, const char *key, const char *upload_id, struct err *e)
{
    size_t *bytes = arg;

    (void)e;
    *bytes += strlen(key) + strlen(upload_id);
    if (strlen(key) >= S3_KEY_SIZE || strlen(upload_id) >= S3_UPLOAD_ID_SIZE)
        abort();
    return ERR_OK;
}

static int take_key(void *arg, const char *key, struct err *e)
{
    return take_upload(arg, key, "", e);
}

static void scan(const uint8_t *data, size_t n)
{
    enum xml_event event = XML_OPEN;
    struct err e;
    struct xml x;

    xml_init(&x, data, n);
    while (event != XML_END && xml_next(&x, &event, &e) == ERR_OK) {
        if (x.depth < 0 || x.depth > XML_DEPTH_MAX || x.text_len >= XML_TEXT_MAX ||
            x.text[x.text_len] != '\0')
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char upload_id[S3_UPLOAD_ID_SIZE];
    struct s3_uploads_page page;
    struct s3_error error;
    size_t bytes = 0;
    struct err e;

    if (n == 0)
        return 0;
    switch (data[0]) {
    case 'e':
        answer_error(data + 1, n - 1, &error);
        break;
    case 'i':
        if (answer_upload_id(data + 1, n - 1, upload_id, &e) == ERR_OK && !upload_id[0])
            abort();
        break;
    case 'c':
        answer_whole(data + 1, n - 1, "CompleteMultipartUploadResult", &e);
        break;
    case 'l':
        answer_uploads(data + 1, n - 1, &page, take_upload, &bytes, &e);
        break;
    case 'k':
        answer_keys(data + 1, n - 1, take_key, &bytes, &e);
        break;
    default:
        scan(data + 1, n - 1);
    }
    return 0;
}
