/*
 * mem: allocation for all of core. Never aborts: NULL means out of memory and the caller answers
 * ERR_NO_MEMORY. A test can make the n-th allocation fail (fault.h). Any thread.
 */
#ifndef LEAT_BASE_MEM_H
#define LEAT_BASE_MEM_H

#include <stddef.h>

void *mem_alloc(size_t size);
void *mem_calloc(size_t count, size_t size);                   /* checks the product for overflow */
void *mem_realloc(void *old, size_t size);                     /* as realloc: on NULL `old` stays valid */
void *mem_realloc_array(void *old, size_t count, size_t size); /* with overflow check */
void *mem_aligned(size_t alignment, size_t size);              /* freed by mem_free */
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t n);
void *mem_dup(const void *data, size_t n); /* n may be 0: still a valid pointer */
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void mem_free(void *p); /* NULL is fine */

/* As memcpy, for what may be many bytes. glibc before 2.39 copies 4 KiB and more by `rep movsb` on AMD's Zen 3 and 4, which does 3 GiB/s instead of 40
 * where the target is 1 to 15 bytes behind the source, modulo 4096 (its bug 30994). Bytes that follow a small header on a page, copied to where a
 * small header stands on a page, often are. */
void mem_copy(void *to, const void *from, size_t n);

/* The same to a buffer that a device is going to read, and this processor hardly: past its cache. The lines of such a buffer were taken out of it by
 * the last time, and to get each of them back for writing took six times as long. */
void mem_copy_out(void *to, const void *from, size_t n);

/* Gives the system back what was freed; takes some ms. For moments of rest. */
void mem_trim(void);

#endif
