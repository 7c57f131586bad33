/*
 * journal_internal: what journal.c (writing), journal_stage.c, journal_files.c and journal_replay.c share. Layout: docs/disk-format.md.
 */
#ifndef LEAT_STORAGE_JOURNAL_INTERNAL_H
#define LEAT_STORAGE_JOURNAL_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "storage/journal.h"

#define JOURNAL_BLOCK 4096u
#define JOURNAL_VERSION 1u
#define JOURNAL_FILE_MAGIC "LEATJRNL"
#define JOURNAL_RECORD_MAGIC 0x4c4a5231u /* "LJR1" */
#define JOURNAL_RECORD_HEADER 64u
#define JOURNAL_ENTRY_HEADER 56u
#define JOURNAL_FILES_MAX 4096u
#define JOURNAL_USES 8u
#define JOURNAL_ASIDE_SUFFIX ".aside"

typedef int journal_entry_fn(void *arg, const struct journal_entry *en, struct err *e);

enum journal_file_state { JOURNAL_FREE, JOURNAL_SEALED, JOURNAL_CURRENT };

struct journal_file {
    uint32_t slot;         /* name of the file */
    uint64_t sequence;     /* 0: nothing valid in it */
    uint64_t first_record; /* sequence number of its first record */
    uint64_t released;     /* what its header says */
    int64_t bytes;
    enum journal_file_state state;
};

struct journal_record {
    uint32_t entries;
    uint64_t file_sequence;
    uint64_t sequence;
    uint64_t released; /* files up to this number need not be replayed */
    uint32_t payload;
    uint32_t crc;
};

/* A record in a staging buffer. */
struct journal_staged {
    size_t at;   /* in the buffer, a multiple of the block size; its header comes first */
    size_t used; /* payload */
    uint32_t entries;
};

struct journal_stage_buffer {
    uint8_t *data; /* page-aligned */
    size_t cap;
    struct journal_staged closed; /* what goes into the rest of the current file; 0 entries: nothing */
    struct journal_staged open;   /* takes entries */
    size_t most;                  /* it held since journal_trim, in bytes */
};

struct journal {
    char *dir;
    int64_t file_bytes;
    size_t record_bytes;

    uint64_t *asides; /* the numbers of what was set aside, as of the opening */
    size_t aside_count;

    pthread_mutex_t lock; /* guards what follows, up to the next line */
    struct journal_stage_buffer stage[2];
    int filling;   /* index of the one that takes entries */
    bool taken;    /* the other one waits for journal_write or is being written */
    bool no_space; /* no further file could be made */
    bool replayed;
    struct journal_file *files;
    size_t file_count, file_cap;
    struct err *failed; /* -> failure once set */
    struct err failure;
    uint64_t released;        /* files up to this number are done with, */
    uint64_t released_synced; /* and up to this one the files say so */
    struct journal_stats stats;
    uint64_t uses[JOURNAL_USES]; /* bytes of files that were found in use, in turns */
    size_t next_use;
    int64_t left;                      /* bytes left in the current file, as of the last write */
    atomic_uint_fast64_t sealed_bytes; /* changed under `lock` */

    pthread_mutex_t making; /* outside `lock`: one file is made at a time; held over its writing */
    atomic_bool direct;     /* files are opened for direct I/O; falls once, where that does not work */

    /* of the committing thread */
    int fd; /* current file, -1: none */
    uint32_t current_slot;
    int64_t position;
    uint64_t next_file;   /* sequence number of the next file; changed under `lock` */
    uint64_t next_record; /* sequence number of the next record */
};

/* A file or record that says so is on disk. Lock held, or alone. */
static inline void journal_note_released(struct journal *j, uint64_t released)
{
    if (released > j->released_synced)
        j->released_synced = released;
}

static inline size_t journal_padded(size_t n)
{
    return (n + JOURNAL_BLOCK - 1) / JOURNAL_BLOCK * JOURNAL_BLOCK;
}

/* What a record of so many bytes takes in a file. */
static inline size_t journal_record_bytes(size_t payload)
{
    return journal_padded(JOURNAL_RECORD_HEADER + payload);
}

char *journal_path(const struct journal *j, uint32_t slot); /* mem_free; NULL: out of memory */

/* Decodes a file's first block. False: not one of ours, or torn. */
bool journal_file_decode(const uint8_t block[JOURNAL_BLOCK], struct journal_file *f);
void journal_file_encode(uint8_t block[JOURNAL_BLOCK], const struct journal_file *f);

/* Decodes a record's header; the CRC is not checked. False: not a record. */
bool journal_record_decode(const uint8_t header[JOURNAL_RECORD_HEADER], struct journal_record *r);
/* Fills the header in front of `payload` bytes, with the CRC. */
void journal_record_encode(uint8_t *record, struct journal_record *r);
bool journal_record_valid(const uint8_t *record, const struct journal_record *r);

/* The entry's header and its data, at `p`. */
void journal_entry_encode(uint8_t *p, const struct journal_entry *en);

/* ---- journal_stage.c ---- */

int journal_stage_init(struct journal_stage_buffer *s, struct err *e); /* data: mem_free */
/* Bytes that its records take in files. */
size_t journal_held(const struct journal_stage_buffer *s);
/* Size of the record that takes entries, once it has so many bytes more. Lock held. */
size_t journal_record_with(const struct journal *j, size_t more);
/* Is there a file, or the rest of one, for that record grown to this size, behind what is ahead of it? Lock held. */
bool journal_has_file(struct journal *j, size_t record);

/* ---- journal_files.c ---- */

int journal_add_file(struct journal *j, const struct journal_file *f,
                     struct err *e); /* lock held, or alone */
/* The free file that a record of so many bytes goes into next, passing over `but`; NULL: one must be made. Lock held. */
struct journal_file *journal_free_file(struct journal *j, size_t record,
                                       const struct journal_file *const *but, size_t n);
/* Makes one more file of zeros; it is free afterwards. On error nothing is left. `making` held. */
int journal_make_file(struct journal *j, size_t record, struct err *e);
/* From or to JOURNAL_SEALED, or not. Lock held, or alone. */
void journal_set_state(struct journal *j, struct journal_file *f, enum journal_file_state state);
/* Seals the current file and starts a free one, which is made if there is none. */
int journal_switch_file(struct journal *j, size_t record, struct err *e);
void journal_seal_current(struct journal *j);
/* Into the current file, and synced. */
int journal_write_synced(struct journal *j, const void *data, size_t n, int64_t at, const char *path,
                         struct err *e);

/* ---- journal_replay.c ---- */

/* Reads the file's header (or, where that is broken, its first record) and fills `f`; sequence 0: nothing in it. */
int journal_file_load(const struct journal *j, struct journal_file *f, struct err *e);
/* Gives out what the sealed files up to this number have, oldest first. By whoever releases them. */
int journal_read_sealed(struct journal *j, uint64_t seal, journal_entry_fn *entry, void *arg, struct err *e);
/* Gives out what was set aside in a file. All of it must be whole: ERR_CORRUPT with file and byte. */
int journal_read_aside(const char *path, uint64_t number, journal_entry_fn *entry, void *arg, struct err *e);

/* ---- journal_aside.c ---- */

/* A name that opening found: notes what was set aside, removes what was being written. Others are passed over. */
int journal_aside_found(struct journal *j, const char *name, struct err *e);
/* Is this the name of a file of entries that were set aside? `*number` is then its number. */
bool journal_aside_name(const char *name, uint64_t *number);
bool journal_aside_unfinished(const char *name); /* or one that was being written? */
/* Has its first block this number, and the length that the file has? */
bool journal_aside_decode(const uint8_t block[JOURNAL_BLOCK], uint64_t number, struct journal_file *f);

#endif
