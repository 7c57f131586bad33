/*
 * checkpoint: see checkpoint.h. Bytes: docs/disk-format.md.
 */
#include "storage/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"
#include "storage/paths.h"

#define FILE_MAX (64u << 20)

/* The lines of a file, one after another. */
struct lines {
    const char *path;
    char *next;
    size_t number;
};

static int bad_line(const struct lines *l, const char *what, struct err *e)
{
    return err_set(e, ERR_CORRUPT, "%s: line %zu: %s", l->path, l->number, what);
}

static char *next_line(struct lines *l)
{
    if (!*l->next)
        return NULL;
    char *line = l->next;
    char *end = strchr(line, '\n');
    l->next = end ? end + 1 : line + strlen(line);
    if (end)
        *end = '\0';
    l->number++;
    return line;
}

static bool parse_number(const char *s, int64_t min, int64_t max, int64_t *v)
{
    char *end;
    if ((*s < '0' || *s > '9') && *s != '-')
        return false;
    errno = 0;
    *v = strtoll(s, &end, 10);
    return errno == 0 && *end == '\0' && *v >= min && *v <= max;
}

/* Version and count; `*n` is at most what the file can hold. */
static int read_head(struct lines *l, size_t *n, struct err *e)
{
    int64_t v;
    const char *line = next_line(l);
    if (!line || !parse_number(line, 0, 0, &v))
        return bad_line(l, "version 0 is expected", e);
    line = next_line(l);
    if (!line || !parse_number(line, 0, FILE_MAX / 4, &v))
        return bad_line(l, "a count is expected", e);
    *n = (size_t)v;
    return ERR_OK;
}

static int end_of_lines(struct lines *l, struct err *e)
{
    return *l->next ? bad_line(l, "more lines than counted follow", e) : ERR_OK;
}

/* "topic partition offset"; topic names have no spaces. */
static int parse_entry(struct lines *l, struct offset_entry *out, struct err *e)
{
    char *line = next_line(l);
    char *partition = line ? strchr(line, ' ') : NULL;
    char *offset = partition ? strchr(partition + 1, ' ') : NULL;
    if (!offset)
        return bad_line(l, "topic, partition and offset are expected", e);
    *partition++ = *offset++ = '\0';
    int64_t p, o;
    if (!*line || !parse_number(partition, 0, INT32_MAX, &p) ||
        !parse_number(offset, 0, STORAGE_OFFSET_MAX, &o))
        return bad_line(l, "topic, partition and offset are expected", e);
    *out = (struct offset_entry){.topic = mem_strdup(line), .partition = (int32_t)p, .offset = o};
    return out->topic ? ERR_OK : err_nomem(e);
}

/* Reads the file; `*data` is NULL where there is none. */
static int read_lines(const char *path, char **data, struct lines *l, struct err *e)
{
    size_t len;
    *data = NULL;
    int rc = io_read_file(path, FILE_MAX, data, &len, e);
    if (rc == ERR_NOT_FOUND)
        return ERR_OK;
    if (rc)
        return rc;
    *l = (struct lines){.path = path, .next = *data};
    if (strlen(*data) == len)
        return ERR_OK;
    mem_free(*data);
    *data = NULL;
    return err_set(e, ERR_CORRUPT, "%s: is no text", path);
}

int offset_file_read(const char *path, struct offset_entry **list, size_t *n, struct err *e)
{
    char *data;
    struct lines l;
    size_t count = 0;
    *list = NULL;
    *n = 0;
    int rc = read_lines(path, &data, &l, e);
    if (rc || !data)
        return rc;
    rc = read_head(&l, &count, e);
    if (rc == ERR_OK && count > strlen(l.next))
        rc = bad_line(&l, "the count is larger than the file", e);
    if (rc == ERR_OK && count && !(*list = mem_calloc(count, sizeof **list)))
        rc = err_nomem(e);
    while (rc == ERR_OK && *n < count) {
        rc = parse_entry(&l, &(*list)[*n], e);
        *n += rc == ERR_OK;
    }
    if (rc == ERR_OK)
        rc = end_of_lines(&l, e);
    mem_free(data);
    if (rc) {
        offset_file_free(*list, *n);
        *list = NULL;
        *n = 0;
    }
    return rc;
}

void offset_file_free(struct offset_entry *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mem_free(list[i].topic);
    mem_free(list);
}

static int write_text(const char *path, int rc, struct buf *b, struct err *e)
{
    if (rc == ERR_OK)
        rc = io_replace_file(path, b->data, b->len, 0600, e);
    buf_free(b);
    return rc;
}

/* Not synced. `how`: what becomes of a file that is there. */
static int write_once(const char *path, int how, const char *text, size_t n, struct err *e)
{
    int fd;
    int rc = io_open(&fd, path, O_WRONLY | O_CREAT | how, 0600, e);
    if (rc)
        return rc;
    rc = io_pwrite(fd, text, n, 0, path, e);
    io_close(fd);
    return rc;
}

int offset_file_write(const char *path, const struct offset_entry *list, size_t n, struct err *e)
{
    struct buf b;
    buf_init(&b, FILE_MAX);
    int rc = buf_printf(&b, e, "0\n%zu\n", n);
    for (size_t i = 0; i < n && rc == ERR_OK; i++)
        rc = buf_printf(&b, e, "%s %d %lld\n", list[i].topic, list[i].partition, (long long)list[i].offset);
    return write_text(path, rc, &b, e);
}

static int parse_epoch(struct lines *l, const struct epoch_entry *before, struct epoch_entry *out,
                       struct err *e)
{
    char *line = next_line(l);
    char *start = line ? strchr(line, ' ') : NULL;
    int64_t epoch, offset;
    if (!start)
        return bad_line(l, "epoch and start offset are expected", e);
    *start++ = '\0';
    if (!parse_number(line, 0, INT32_MAX, &epoch) || !parse_number(start, 0, STORAGE_OFFSET_MAX, &offset) ||
        (before && (epoch <= before->epoch || offset < before->start)))
        return bad_line(l, "epochs and offsets that ascend are expected", e);
    *out = (struct epoch_entry){(int32_t)epoch, offset};
    return ERR_OK;
}

int epoch_file_read(const char *path, struct epoch_entry **list, size_t *n, struct err *e)
{
    char *data;
    struct lines l;
    size_t count = 0;
    *list = NULL;
    *n = 0;
    int rc = read_lines(path, &data, &l, e);
    if (rc || !data)
        return rc;
    rc = read_head(&l, &count, e);
    if (rc == ERR_OK && count > strlen(l.next))
        rc = bad_line(&l, "the count is larger than the file", e);
    if (rc == ERR_OK && count && !(*list = mem_calloc(count, sizeof **list)))
        rc = err_nomem(e);
    for (; rc == ERR_OK && *n < count; *n += rc == ERR_OK)
        rc = parse_epoch(&l, *n ? &(*list)[*n - 1] : NULL, &(*list)[*n], e);
    if (rc == ERR_OK)
        rc = end_of_lines(&l, e);
    mem_free(data);
    if (rc) {
        mem_free(*list);
        *list = NULL;
        *n = 0;
    }
    return rc;
}

int epoch_file_make(const char *path, int32_t epoch, struct err *e)
{
    char text[32];
    int n = snprintf(text, sizeof text, "0\n1\n%d 0\n", epoch);
    return write_once(path, O_EXCL, text, (size_t)n, e);
}

int epoch_file_write(const char *path, const struct epoch_entry *list, size_t n, struct err *e)
{
    struct buf b;
    buf_init(&b, FILE_MAX);
    int rc = buf_printf(&b, e, "0\n%zu\n", n);
    for (size_t i = 0; i < n && rc == ERR_OK; i++)
        rc = buf_printf(&b, e, "%d %lld\n", list[i].epoch, (long long)list[i].start);
    return write_text(path, rc, &b, e);
}

int compacted_file_read(const char *path, int64_t *offset, struct err *e)
{
    char *data;
    struct lines l;
    *offset = 0;
    int rc = read_lines(path, &data, &l, e);
    if (rc || !data)
        return rc;
    size_t count;
    rc = read_head(&l, &count, e);
    const char *line = rc == ERR_OK ? next_line(&l) : NULL;
    if (rc == ERR_OK && (count != 1 || !line || !parse_number(line, 0, STORAGE_OFFSET_MAX, offset)))
        rc = bad_line(&l, "one offset is expected", e);
    if (rc == ERR_OK)
        rc = end_of_lines(&l, e);
    if (rc)
        *offset = 0;
    mem_free(data);
    return rc;
}

int compacted_file_write(const char *path, int64_t offset, struct err *e)
{
    struct buf b;
    buf_init(&b, FILE_MAX);
    int rc = buf_printf(&b, e, "0\n1\n%lld\n", (long long)offset);
    return write_text(path, rc, &b, e);
}

#define METADATA_HEAD "version: 0\ntopic_id: "

int partition_metadata_read(const char *path, struct uuid *topic_id, struct err *e)
{
    char *data;
    size_t len;
    int rc = io_read_file(path, 4096, &data, &len, e);
    if (rc)
        return rc;
    size_t head = sizeof METADATA_HEAD - 1;
    while (len && data[len - 1] == '\n')
        data[--len] = '\0';
    if (len == 0 || data[0] == '\0') /* or of zeros: its length reached the disk before its bytes */
        rc = err_set(e, ERR_NOT_FOUND, "%s is empty", path);
    else if (strncmp(data, METADATA_HEAD, head) != 0 || !uuid_parse(data + head, topic_id))
        rc = err_set(e, ERR_CORRUPT, "%s is no partition metadata of version 0", path);
    mem_free(data);
    return rc;
}

int partition_metadata_write(const char *path, const struct uuid *topic_id, struct err *e)
{
    char id[UUID_TEXT_SIZE], text[64];
    int n = snprintf(text, sizeof text, METADATA_HEAD "%s", uuid_text(topic_id, id));
    return write_once(path, O_TRUNC, text, (size_t)n, e);
}
