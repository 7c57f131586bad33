/*
 * gunzip: the uncompressed bytes of a gzip file (RFC 1952), of any number of members, from the beginning on; the file may
 * still be growing.
 */
#include <string.h>
#include <zlib.h>

#include "base/io.h"
#include "base/mem.h"
#include "connectors/file/source.h"

#define INPUT_BYTES 65536

struct gunzip {
    z_stream z;
    int64_t offset; /* in the compressed file, of what was not read into `in` */
    bool between;   /* at the boundary of two members */
    bool trailing;  /* bytes that are no member were met there: they end the data */
    uint8_t in[INPUT_BYTES];
};

static void *z_alloc(void *opaque, unsigned n, unsigned size)
{
    (void)opaque;
    return mem_calloc(n, size);
}

static void z_release(void *opaque, void *p)
{
    (void)opaque;
    mem_free(p);
}

struct gunzip *gunzip_new(void)
{
    struct gunzip *g = mem_calloc(1, sizeof(*g));
    if (!g)
        return NULL;
    g->z.zalloc = z_alloc;
    g->z.zfree = z_release;
    if (inflateInit2(&g->z, MAX_WBITS + 16) != Z_OK) {
        mem_free(g);
        return NULL;
    }
    return g;
}

void gunzip_free(struct gunzip *g)
{
    if (!g)
        return;
    inflateEnd(&g->z);
    mem_free(g);
}

int gunzip_restart(struct gunzip *g, struct err *e)
{
    g->offset = 0;
    g->between = g->trailing = false;
    g->z.avail_in = 0;
    return inflateReset(&g->z) == Z_OK ? ERR_OK : err_set(e, ERR_INTERNAL, "zlib lost its state");
}

/* Compressed bytes at hand; false at the end of the file. */
static bool refill(struct gunzip *g, int fd, const char *path, int *rc, struct err *e)
{
    if (g->z.avail_in > 0)
        return true;
    size_t got = 0;
    *rc = io_pread_some(fd, g->in, sizeof(g->in), g->offset, &got, path, e);
    g->offset += (int64_t)got;
    g->z.next_in = g->in;
    g->z.avail_in = (unsigned)got;
    return got > 0;
}

/* After a member: another one, zeros that pad the file (as tape blocks do), or its end. */
static bool next_member(struct gunzip *g)
{
    while (g->z.avail_in > 0 && *g->z.next_in == 0) {
        g->z.next_in++;
        g->z.avail_in--;
    }
    if (g->z.avail_in == 0)
        return false;
    if (g->z.next_in[0] != 0x1f || (g->z.avail_in > 1 && g->z.next_in[1] != 0x8b)) {
        g->trailing = true;
        return false;
    }
    g->between = false;
    inflateReset(&g->z);
    return true;
}

bool gunzip_trailing(const struct gunzip *g)
{
    return g->trailing;
}

int gunzip_read(struct gunzip *g, int fd, const char *path, uint8_t *out, size_t n, size_t *got,
                enum gunzip_state *state, struct err *e)
{
    int rc = ERR_OK;
    g->z.next_out = out;
    g->z.avail_out = (unsigned)n;
    *state = GUNZIP_MORE;
    while (g->z.avail_out > 0) {
        if (g->trailing) {
            *state = GUNZIP_END;
            break;
        }
        if (!refill(g, fd, path, &rc, e)) {
            *state = g->between ? GUNZIP_END : GUNZIP_SHORT;
            break;
        }
        if (g->between && !next_member(g))
            continue;
        int z = inflate(&g->z, Z_NO_FLUSH);
        if (z == Z_STREAM_END)
            g->between = true;
        else if (z == Z_MEM_ERROR)
            rc = err_nomem(e);
        else if (z != Z_OK && z != Z_BUF_ERROR)
            rc = err_set(e, ERR_CORRUPT, "damaged gzip data in %s: %s", path,
                         g->z.msg ? g->z.msg : "bad data");
        if (rc != ERR_OK)
            break;
    }
    *got = n - g->z.avail_out;
    return rc;
}
