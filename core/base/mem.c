/*
 * mem: the C library's allocator behind one door, so that tests can let any allocation fail. Any thread.
 */
#include "base/mem.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/fault.h"

#define PIECE ((size_t)2048) /* glibc copies so many by vector registers */
#define STREAM_FROM ((size_t)1024)

void *mem_alloc(size_t size)
{
    return fault_check(FAULT_ALLOC, NULL) ? NULL : malloc(size ? size : 1);
}

void *mem_calloc(size_t count, size_t size)
{
    if (fault_check(FAULT_ALLOC, NULL))
        return NULL;
    return count && size ? calloc(count, size) : calloc(1, 1);
}

void *mem_realloc(void *old, size_t size)
{
    return fault_check(FAULT_ALLOC, NULL) ? NULL : realloc(old, size ? size : 1);
}

void *mem_realloc_array(void *old, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    return mem_realloc(old, bytes);
}

void *mem_aligned(size_t alignment, size_t size)
{
    void *p;
    if (fault_check(FAULT_ALLOC, NULL) || posix_memalign(&p, alignment, size ? size : 1) != 0)
        return NULL;
    return p;
}

void mem_copy(void *to, const void *from, size_t n)
{
    unsigned char *t = to;
    const unsigned char *f = from;
    while (n > 0) {
        size_t piece = n < PIECE ? n : PIECE;
        __asm__("" : "+r"(piece)); /* else gcc knows that it is small, and writes `rep movsq` itself */
        memcpy(t, f, piece);
        t += piece;
        f += piece;
        n -= piece;
    }
}

#ifdef __SSE2__
enum { LINE = 64 };

/* Whole lines of the cache, `to` at the start of one. Stores that pass the cache by are seen by other threads only behind a fence. */
static void stream_lines(unsigned char *to, const unsigned char *from, size_t lines)
{
    for (; lines > 0; lines--, to += LINE, from += LINE)
        for (size_t i = 0; i < LINE; i += sizeof(__m128i))
            _mm_stream_si128((__m128i *)(void *)(to + i),
                             _mm_loadu_si128((const __m128i *)(const void *)(from + i)));
    _mm_sfence();
}

void mem_copy_out(void *to, const void *from, size_t n)
{
    unsigned char *t = to;
    const unsigned char *f = from;
    size_t head = -(uintptr_t)t % LINE;
    if (n < STREAM_FROM) {
        mem_copy(to, from, n);
        return;
    }
    size_t lines = (n - head) / LINE, rest = (n - head) % LINE;
    memcpy(t, f, head);
    stream_lines(t + head, f + head, lines);
    memcpy(t + n - rest, f + n - rest, rest);
}
#else
void mem_copy_out(void *to, const void *from, size_t n)
{
    mem_copy(to, from, n);
}
#endif

void *mem_dup(const void *data, size_t n)
{
    void *p = mem_alloc(n);
    if (p)
        mem_copy(p, data, n);
    return p;
}

static char *dup_text(const char *s, size_t len)
{
    char *p = mem_alloc(len + 1);
    if (p) {
        memcpy(p, s, len);
        p[len] = '\0';
    }
    return p;
}

char *mem_strndup(const char *s, size_t n)
{
    return dup_text(s, strnlen(s, n));
}

char *mem_strdup(const char *s)
{
    return dup_text(s, strlen(s));
}

char *mem_printf(const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = n < 0 ? NULL : mem_alloc((size_t)n + 1);
    if (p)
        vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return p;
}

void mem_free(void *p)
{
    free(p);
}

void mem_trim(void)
{
    malloc_trim(0);
}
