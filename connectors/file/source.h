/*
 * file source, inside: what its parts share. One `struct source` a task, used by that task's thread only.
 *
 * A *stream* is a sequence of bytes that some program appends to, whatever file holds it at the moment: it stays the
 * same one when its file is renamed, copied and truncated, or compressed. It has a position. A stream is *attached*
 * while we know a file that holds it. README.md tells how a file is recognised.
 *
 *   source.c           connector, open, poll, close       source_read.c   file bytes to records
 *   source_options.c   option table                       source_frame.c  bytes to records' bounds
 *   source_track.c     a scan, from files to streams      source_gzip.c   compressed files
 *   source_scan.c      which files there are              source_files.c  open files, a bounded number
 *   source_list.c      the names in a directory           source_watch.c  inotify
 *   source_match.c     which stream a file holds          source_state.c  positions as stored
 *   source_print.c     fingerprints, likeness of files    source_stream.c streams and where to find them
 *   source_order.c     which stream is read first         source_gone.c   streams without a path
 *   source_glob.c      patterns of directories
 */
#ifndef LEAT_FILE_SOURCE_H
#define LEAT_FILE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "connectors/file/source_frame.h"
#include "leat/plugin.h"

#define PRINT_HEAD_MAX 1024 /* bytes of a file's beginning that tell it from others */
#define FIRST_BYTES 64
#define PRINT_TAIL_MAX 256               /* bytes before the position, which must be there still */
#define WINDOW_BYTES ((size_t)256 << 10) /* read at once; grows for longer lines */
#define GONE_MAX 10000                   /* positions kept of files that are gone */
#define UNSOUND_MAX 100     /* scans that may fail one after the other until order is given up for progress */
#define COMPLAINTS_MAX 1000 /* paths remembered as reported */

/* ---- options --------------------------------------------------------------------------------------------------- */

enum source_start { START_BEGINNING, START_END };
enum source_key { KEY_NONE, KEY_PATH, KEY_FILENAME };
enum source_gzip { GZIP_SKIP, GZIP_READ, GZIP_PLAIN };
enum source_watch { WATCH_AUTO, WATCH_INOTIFY, WATCH_POLL };
enum source_share { SHARE_PATH, SHARE_DIRECTORY };

/* One of `paths` or `rotated.paths`: a directory pattern and a name pattern. */
struct pattern {
    char *text;
    char *dir; /* "." where none was given */
    char *name;
    bool dir_is_glob;
    bool aside;   /* one of `rotated.paths` */
    bool started; /* was scanned in this or an earlier run: what appears now is new */
};

struct source_options {
    struct pattern *patterns;
    size_t pattern_count;
    const char *const *exclude;
    size_t exclude_count;
    enum source_start start;
    enum source_key key;
    enum source_gzip gzip;
    enum source_watch watch;
    enum source_share share;
    bool headers;
    int64_t partial_ms, group_ms, rotate_ms, forget_ms, poll_ms, rescan_ms;
    size_t open_max;
    struct framing framing;
    bool framing_set; /* the pattern is compiled */
};

#define SOURCE_OPTIONS 29
extern const struct leat_option source_option_table[SOURCE_OPTIONS];

/* Reads and checks the options; LEAT_OK or what host->fail returned. Strings in `o` live as long as `c`. */
int source_options_read(struct source_options *o, struct leat_task *t, const struct leat_host *h,
                        const struct leat_config *c);
void source_options_free(struct source_options *o);
bool source_options_match(const struct source_options *o,
                          const char *path); /* one of `paths`, not excluded */
bool source_options_exclude(const struct source_options *o, const char *path);

/* ---- streams --------------------------------------------------------------------------------------------------- */

struct inode {
    uint64_t dev, ino;
    int64_t born; /* ns since 1970; 0: the file system does not tell */
};
bool inode_same(const struct inode *a, const struct inode *b);

/* Fingerprint of `len` bytes. */
struct print {
    uint32_t len;
    uint64_t hash;
};

/* What is known of a copy of a file: how much it holds, its first bytes (up to PRINT_HEAD_MAX), its last ones. */
struct copy {
    int64_t size;
    struct print head, tail;
};

struct link {
    struct link *prev, *next;
};

enum stream_table {
    BY_INODE,
    BY_FAMILY,
    BY_NAME,
    BY_REAL,
    STREAM_TABLES
}; /* name: the family's, without directory */
#define STREAM_BUCKETS 4096

struct stream {
    /* stored */
    char id[64];
    uint64_t seq; /* order of age within a family */
    char *origin; /* path under which it was first seen: its key and header */
    char *path;   /* where its file is, as `paths` lead there */
    char *real;   /* the same without symbolic links */
    char *family; /* `real` without what rotation adds to names */
    struct inode inode;
    struct print head,
        tail;       /* of the first bytes, and of those before the position; set the first by stream_head */
    int64_t offset; /* of the first byte that was not emitted, in uncompressed bytes */
    bool mid;       /* the position is within a line over the cap */
    bool gzip;
    struct copy copy; /* that was met last while its own file was there; size 0: none was */
    int64_t gone_ms;  /* wall clock, when it was missed first; 0: it is there */

    /* of this run */
    bool attached;
    bool lost;       /* attached, but by its open file only: no path leads there */
    char *twin;      /* of a lost one: where a copy of it was last; NULL: none is known */
    bool fresh;      /* nothing was read in this run */
    bool complete;   /* compressed and read to the end */
    uint64_t seen;   /* the scan that found it last */
    uint64_t listed; /* the one that met its own file, not attached and with all that was emitted */
    uint8_t first[FIRST_BYTES];      /* of the head, to tell files apart at once */
    size_t first_len;                /* 0: not known */
    uint64_t marked;                 /* the scan in or after which its first bytes were fingerprinted */
    uint64_t sound;                  /* the last scan that missed nothing of its family */
    int64_t size, mtime_ns;          /* as last seen */
    int64_t grown_ms;                /* monotonic clock, when it was last seen to have grown */
    size_t partial;                  /* bytes at its end that are no whole record yet */
    enum frame_flush flush, flushed; /* wanted, and done since it last grew */
    int fd;
    bool trouble; /* could not be read, does not hold others back */
    bool damaged; /* and will not be readable unless it changes */
    bool dirty;
    size_t index; /* in source.streams */
    struct link queue, lru, pending;
    uint64_t hash[STREAM_TABLES];
    struct stream *next[STREAM_TABLES];
};

/* Lists. A link that is on no list points to itself. */
void link_init(struct link *l);
bool link_alone(const struct link *l);
void link_remove(struct link *l);
void link_append(struct link *head, struct link *l);  /* at the end; taken off where it was */
void link_prepend(struct link *head, struct link *l); /* at the front */
#define link_stream(l, member) ((struct stream *)(void *)((char *)(l)-offsetof(struct stream, member)))

/* ---- what a scan found ----------------------------------------------------------------------------------------- */

struct found {
    char *path, *real, *family;
    struct inode inode;
    int64_t size, mtime_ns;
    bool primary;  /* matches `paths`; else only looks like a rotated one of such a file */
    bool rotated;  /* so its name says */
    bool aside;    /* met by `rotated.paths` only: holds a known stream or nothing */
    bool from_end; /* `start: end` applies */
    bool taken;
};

struct found_list {
    struct found *items;
    size_t count, room;
    char **denied; /* what could not be looked at: of what is there or below, absence proves nothing */
    size_t denied_count, denied_room;
    bool torn;     /* files moved between their listing and the look at them: some may be missing, */
    bool torn_all; /* of any family, */
    struct map *torn_families; /* or of these, by the hash of their names; NULL: of none */
};

/* ---- the source ------------------------------------------------------------------------------------------------- */

struct gunzip;
struct watch;

/* The one compressed file that is being read. */
struct unpack {
    struct gunzip *reader;
    struct stream *owner; /* NULL: none */
    uint8_t *data;        /* uncompressed bytes from `base` on */
    size_t len, room;
    int64_t base;
    bool ended, stuck; /* end of the data; end of a file that is not whole yet */
};

struct source {
    struct leat_task *t;
    const struct leat_host *h;
    struct source_options o;

    struct stream **streams;
    size_t stream_count, stream_room;
    struct stream *buckets[STREAM_TABLES][STREAM_BUCKETS];
    struct link queue;   /* streams that may have something to read, in turn */
    struct link lru;     /* streams with an open file, least recently used first */
    struct link pending; /* streams that time may complete */
    size_t open_count;
    uint64_t last_seq;

    uint64_t scan_number;
    uint64_t generation; /* changes when an unassigned file may have to be looked at again */
    bool scan_wanted;    /* soon */
    bool scan_now;       /* before anything else is read: a file is not where it was */
    bool begun;          /* a stream, by this scan */
    bool poll_too;       /* something that inotify does not tell of */
    int64_t scan_due_ms, scan_cost_ms, scanned_ms, drained_ms, gauged_ms;
    struct map *ignored;    /* (dev, ino) of files that hold nothing new */
    struct map *complaints; /* paths reported as unreadable */
    struct map *odd;        /* names whose directory tells other inodes than they have */
    struct watch *watch;    /* NULL: polling */

    struct stream **dirty; /* streams whose position is to be set in this poll */
    size_t dirty_count, dirty_room;

    uint8_t *window;
    size_t window_size; /* without room for the tail */
    struct unpack unpack;
    struct frames *frames;
    struct leat_record *records;
    struct leat_header (*headers)[2];
    char (*offset_text)[24];
    size_t budget;  /* bytes that this poll may still emit */
    bool emitted;   /* in this poll */
    double dropped; /* lines shortened or skipped in this run */
};

/* source_stream.c */
struct stream *stream_new(struct source *src, const struct found *f, struct err *e); /* not attached */
struct stream *stream_restore(const char *id, struct err *e);
int stream_add(struct source *src, struct stream *s,
               struct err *e); /* into the tables; on error the caller frees */
void stream_free(struct stream *s);
void stream_remove(struct source *src, struct stream *s); /* out of everything; frees */
int stream_attach(struct source *src, struct stream *s, const struct found *f, struct err *e);
int stream_moved(struct source *src, struct stream *s, const struct found *f,
                 struct err *e);                                           /* paths changed */
int stream_claims(const struct stream *s, struct found *f, struct err *e); /* aside it stays of its family */
void stream_detach(struct source *src, struct stream *s);
void stream_enqueue(struct source *src, struct stream *s);
int stream_dirty(struct source *src, struct stream *s, struct err *e);
void stream_head(struct stream *s, const void *data, size_t n); /* its first bytes, at most PRINT_HEAD_MAX */
bool stream_placed(const struct source *src, const struct stream *s); /* is it known what came before it? */
bool stream_rotated(const struct stream *s); /* no longer at the path where it is written */
struct stream *stream_first(struct source *src, enum stream_table k, uint64_t hash);
struct stream *stream_attached_in(struct source *src, const struct inode *inode); /* NULL: none */
uint64_t stream_inode_hash(const struct inode *i);

/* source_name.c */
const char *name_of(const char *path); /* what follows the last slash */
/* The name that a rotated file had while it was written, into `out` (strlen(name) + 1 bytes). True if it differs. */
bool name_live(const char *name, char *out);
bool name_is_gzip(const char *name);

/* source_list.c */
typedef int list_each_fn(void *arg, const char *name, uint64_t ino, struct err *e);
/*
 * Calls `each` for every name in a directory. *whole: all are of one moment; else it was too large, or the file system gives
 * it in parts. ERR_NOT_FOUND, ERR_NO_MEMORY or what `each` returned.
 */
int list_directory(const char *dir, list_each_fn *each, void *arg, bool *whole, struct err *e);

/* source_glob.c */
/* A `**` as a part of the pattern stands for any number of parts of the path. `hidden`: wildcards match leading dots too. */
bool glob_match(const char *pattern, const char *path, bool hidden);
typedef int glob_each_fn(void *arg, const char *dir, struct err *e);
/*
 * Calls `each` for every directory that matches, perhaps more than once. `out` learns which could not be looked at.
 * ERR_INTERRUPTED, ERR_NO_MEMORY or what `each` returned.
 */
int glob_directories(struct source *src, const char *pattern, glob_each_fn *each, void *arg,
                     struct found_list *out, struct err *e);

/* source_scan.c */
int scan_files(struct source *src, struct found_list *out, struct err *e);
void scan_free(struct found_list *l);
int scan_deny(struct found_list *l, const char *path, struct err *e);  /* could not be looked at */
bool scan_is_denied(const struct found_list *l, const char *path);     /* it, or a directory above */
bool scan_is_torn(const struct found_list *l, const struct stream *s); /* a sibling of it may be missing */
int scan_stat(const char *path, struct inode *inode, int64_t *size, int64_t *mtime_ns); /* errno, 0 */
int scan_stat_open(int fd, struct inode *inode, int64_t *size, int64_t *mtime_ns);      /* errno, 0 */
bool scan_is_mine(const struct source *src, const char *family);

/* source_track.c */
int track_scan(struct source *src, struct err *e); /* scans and assigns every file found */
void track_truncated(struct source *src, struct stream *s);
void track_size(struct source *src, struct stream *s, int64_t size, int64_t mtime_ns); /* as seen now */
int track_refresh(struct source *src, struct stream *s, bool *grown, struct err *e);

/* source_match.c */
/*
 * Gives a file to the stream that it holds, if it holds one, begun now if need be; f->taken says so. A file that cannot be
 * judged now is left for the next scan.
 */
int match_file(struct source *src, struct found *f, struct err *e);
void ignore_prune(struct source *src); /* forgets of what this scan did not meet that it held nothing */

/* source_order.c */
int order_by_rank(const void *a, const void *b); /* for qsort of struct found *: originals before copies */
/* Notes which families the scan found as a whole, and gives their unread streams their places. */
int order_place(struct source *src, const struct found_list *list, struct err *e);
int order_twin(struct stream *s, const char *real, struct err *e); /* a copy of a lost stream was met there */

/* source_gone.c */
void gone_lose(struct source *src, struct stream *s); /* attached, and no path leads to it */
int gone_sweep(struct source *src, const struct found_list *list, struct err *e); /* those not attached */

/* source_print.c */
struct print print_of(const void *data, size_t n);
bool print_matches(const struct print *p, const void *data);

enum likeness {
    UNLIKE,
    LIKE_SAME,
    LIKE_COPY,    /* a known copy of the stream's file, which is gone: it has less than was emitted */
    LIKE_STALE,   /* the stream's own file holds other bytes by now */
    LIKE_UNKNOWN, /* the stream's own file cannot be looked at now: nothing may be concluded */
};
/*
 * Are the bytes of an attached stream still in its file? LIKE_SAME (also of a compressed one, which is not looked into),
 * LIKE_STALE or LIKE_UNKNOWN; of the last either a scan is wanted at once, as the file was moved, or it was complained of.
 */
enum likeness print_intact(struct source *src, struct stream *s);
/* A file that is being looked at. */
struct probe {
    int fd;
    const char *path;
    int64_t size;
    bool gzip;
    uint8_t head[PRINT_HEAD_MAX]; /* as it is in the file */
    size_t head_len;
    struct copy copy; /* set where it is found to be one, of an attached stream or LIKE_COPY */
};
/* Opens; sets size and mtime of `f` anew. ERR_NOT_FOUND: it is no longer there. */
int probe_open(struct source *src, struct probe *p, struct found *f, struct err *e);
void probe_close(struct probe *p);
/*
 * Does the file hold the stream's bytes up to its position? If the stream's own file is at hand the file may also hold only a
 * first part of them: then it is a copy, or becoming one. If that is gone, such a copy is known by what s->copy says.
 */
int probe_likeness(struct source *src, struct probe *p, struct stream *s, enum likeness *out, struct err *e);
/* Are the stream's first bytes and those before its position in a file that is not compressed? */
int probe_holds(const struct probe *p, const struct stream *s, bool *yes, struct err *e);
/* Fingerprints the first bytes. */
int probe_head(struct source *src, struct probe *p, struct stream *s, struct err *e);
/* Where `start: end` begins: after the last line that is ended. Fills the stream's position and tail. */
int probe_end(struct source *src, struct probe *p, struct stream *s, struct err *e);

/* source_files.c */
int files_open(struct source *src, struct stream *s,
               struct err *e); /* s->fd; ERR_NOT_FOUND: the path leads elsewhere */
void files_adopt(struct source *src, struct stream *s, int *fd); /* takes it if there is room for it */
void files_close(struct source *src, struct stream *s);
void source_complain(struct source *src, const char *path,
                     const char *what); /* once, until it is well again */
void source_well(struct source *src, const char *path);

/* source_gzip.c */
enum gunzip_state { GUNZIP_MORE, GUNZIP_END, GUNZIP_SHORT };
struct gunzip *gunzip_new(void); /* NULL: out of memory */
void gunzip_free(struct gunzip *g);
int gunzip_restart(struct gunzip *g, struct err *e);
/* Fills `out` as far as the file's bytes go. GUNZIP_SHORT: the file ends too early; may be called again when it grew. */
int gunzip_read(struct gunzip *g, int fd, const char *path, uint8_t *out, size_t n, size_t *got,
                enum gunzip_state *state, struct err *e);
bool gunzip_trailing(
    const struct gunzip *g); /* the data ended before the file, which has something else behind it */

/* source_read.c */
enum turn { TURN_IDLE, TURN_AGAIN, TURN_BLOCKED, TURN_FULL };
/* Emits some of a stream's records. LEAT_OK with *turn, or what poll has to return. */
int read_turn(struct source *src, struct stream *s, enum turn *turn);

/* source_emit.c */
int read_setup(struct source *src, struct err *e);
void read_cleanup(struct source *src);
/* Cuts bytes that lie at s->offset and emits the records. *used: how many were. LEAT_OK or what poll has to return. */
int emit_bytes(struct source *src, struct stream *s, const uint8_t *data, size_t n, bool at_end, size_t *used,
               bool *full);

/* source_watch.c */
int watch_open(struct source *src, struct err *e); /* src->watch stays NULL where polling is better */
void watch_close(struct source *src);
void watch_directory(struct source *src, const char *dir); /* without symbolic links in it */
void watch_named(struct source *src, const char *dir);     /* by any path */
void watch_drain(struct source *src);                      /* enqueues what changed, may set scan_wanted */
int watch_fd(const struct source *src);                    /* -1: none */

/* source_state.c */
int state_load(struct source *src, struct err *e); /* every stored position of this task's share */
int state_store(struct source *src);               /* the dirty ones; LEAT_OK or what poll has to return */
int state_forget(struct source *src, struct stream *s);
int state_mark_started(struct source *src, struct pattern *p);

#endif
