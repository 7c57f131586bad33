/*
 * disk_list: `directories`, a text file in the main data directory: "version=1", then a line for each further directory,
 * its directory.id, a blank, its absolute path. So commands that work on the main directory find the others, and a disk that
 * is missing, or another one in its place, is noticed. Pure but for reading and writing that file.
 */
#include <string.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"
#include "broker/data_dir.h"
#include "broker/disk_internal.h"
#include "broker/store.h"

enum { LIST_BYTES_MAX = 1 << 20 };

void disk_lines_free(struct disk_lines *l)
{
    for (size_t i = 0; i < l->n; i++)
        mem_free(l->list[i].dir);
    mem_free(l->list);
    *l = (struct disk_lines){0};
}

const struct disk_line *disk_lines_find(const struct disk_lines *l, const char *dir)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->list[i].dir, dir) == 0)
            return &l->list[i];
    return NULL;
}

static int add_line(struct disk_lines *l, const char *line, bool *fits, struct err *e)
{
    const char *blank = strchr(line, ' ');
    char text[UUID_TEXT_SIZE] = {0};
    struct disk_line new = {0};
    *fits = blank && (size_t)(blank - line) == UUID_TEXT_SIZE - 1 && blank[1] == '/';
    if (!*fits)
        return ERR_OK;
    memcpy(text, line, UUID_TEXT_SIZE - 1);
    if (!(*fits = uuid_parse(text, &new.id)))
        return ERR_OK;
    struct disk_line *list = mem_realloc_array(l->list, l->n + 1, sizeof *list);
    if (list)
        l->list = list;
    if (!list || !(new.dir = mem_strdup(blank + 1)))
        return err_nomem(e);
    l->list[l->n++] = new;
    return ERR_OK;
}

static int parse(char *text, const char *path, struct disk_lines *l, struct err *e)
{
    char *save, *line = strtok_r(text, "\n", &save);
    bool fits = line && strcmp(line, "version=1") == 0;
    int rc = ERR_OK;
    while (!rc && fits && (line = strtok_r(NULL, "\n", &save)))
        rc = add_line(l, line, &fits, e);
    if (!rc && !fits)
        rc = err_set(e, ERR_CORRUPT, "%s: \"%.100s\" is not a directory id and a path", path,
                     line ? line : "");
    return rc;
}

static char *list_path(const char *main_dir)
{
    return mem_printf("%s/" DISK_LIST_NAME, main_dir);
}

int disk_lines_read(const char *main_dir, struct disk_lines *out, struct err *e)
{
    char *path = list_path(main_dir), *text = NULL;
    size_t len;
    *out = (struct disk_lines){0};
    if (!path)
        return err_nomem(e);
    int rc = io_read_file(path, LIST_BYTES_MAX, &text, &len, e);
    if (!rc)
        rc = parse(text, path, out, e);
    else if (rc == ERR_NOT_FOUND)
        rc = ERR_OK;
    if (rc)
        disk_lines_free(out);
    mem_free(text);
    mem_free(path);
    return rc;
}

static int format(const struct broker *b, struct buf *out, struct err *e)
{
    int rc = buf_str(out, "version=1\n", e);
    for (size_t i = 1; !rc && i < b->disk_count; i++) {
        char id[UUID_TEXT_SIZE];
        rc = buf_printf(out, e, "%s %s\n", uuid_text(&b->disks[i]->id, id), b->disks[i]->dir);
    }
    return rc;
}

/* *same: the file says this already. */
static int compare(const char *path, const struct buf *want, bool *same, struct err *e)
{
    char *text = NULL;
    size_t len;
    int rc = io_read_file(path, LIST_BYTES_MAX, &text, &len, e);
    *same = !rc && len == want->len && memcmp(text, want->data, len) == 0;
    mem_free(text);
    return rc == ERR_NOT_FOUND ? ERR_OK : rc;
}

int disk_lines_write(const struct broker *b, struct err *e)
{
    char *path = list_path(b->data_dir);
    struct buf out;
    bool same = false;
    buf_init(&out, LIST_BYTES_MAX);
    int rc = path ? format(b, &out, e) : err_nomem(e);
    if (!rc && b->disk_count == 1 && !io_exists(path))
        same = true;
    else if (!rc)
        rc = compare(path, &out, &same, e);
    if (!rc && !same)
        rc = io_replace_file(path, out.data, out.len, 0644, e);
    buf_free(&out);
    mem_free(path);
    return rc;
}
