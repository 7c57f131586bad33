/*
 * fetch_work: what the files of Fetch share: the work of one request. fetch.c: beginning, waiting, ending; fetch_ask.c: from the request
 * to its partitions; fetch_look.c: looking at them; fetch_answer.c: the answer.
 *
 * The request's thread, which is its loop's, or for a while one of the pool's. A session's parts are looked at under its lock.
 */
#ifndef LEAT_SERVER_FETCH_WORK_H
#define LEAT_SERVER_FETCH_WORK_H

#include "server/apis.h"
#include "server/fetch_session.h"

#define FETCH_IDS_SINCE 13

/* A partition that is in the answer. */
struct fetch_found {
    struct fetch_part *part;
    struct msg_fetch_response_partition_data out;
    size_t file;    /* number of what is sent of it, from 1 on; 0: nothing */
    size_t aborted; /* where its aborted transactions begin; `out` has how many there are */
};

struct fetch_work {
    struct fetch_session
        *session;          /* an incremental request's, held; NULL: the parts are this request's own */
    int32_t session_epoch; /* during this request: if it is another one the parts are not ours any more */
    bool make_session;
    struct fetch_parts own;
    /* of the last look: */
    struct fetch_found *found;
    size_t found_count, found_room;
    struct reply_file *files;
    size_t file_count, file_room;
    struct msg_fetch_response_aborted_transaction *aborted; /* of all that is sent */
    size_t aborted_count, aborted_room;
    size_t bytes;                       /* found so far */
    size_t size_left;                   /* of the answer's limit */
    size_t there;                       /* partitions that exist */
    bool hurry;                         /* it is answered at once, whatever is there */
    bool cold;                          /* the last look met something that is not in memory */
    bool failed;                        /* the look of a pool's thread; */
    struct err *failure;                /* why; NULL: there was no memory */
    void (*usual_done)(struct post *p); /* of the request, while a pool's thread has it */
    bool superseded;                    /* another request goes on with the session */
};

/* Both: false if there is no memory, and the request is closed then. */
bool fetch_ask(struct request *c, struct fetch_parts *asked);
bool fetch_forgotten(struct request *c, struct fetch_part **list, size_t *n);
/*
 * Every partition, in order; what another look found is let go of. ERR_NO_MEMORY; ERR_WOULD_WAIT: for a thread that is not patient, and so is the
 * whole of it.
 */
int fetch_look(struct request *c, struct fetch_work *w, struct err *e);
/* Once what was found is going to be sent: the aborted transactions in it, for who wants to know. Errors likewise. */
int fetch_find_aborted(struct request *c, struct fetch_work *w, struct err *e);
void fetch_let_files_go(struct fetch_work *w);
bool fetch_is_cached(
    const struct fetch_work *w); /* whether what was found can be sent without a wait for the disk */
void fetch_read_ahead(struct fetch_work *w); /* waits until it can */
/* What was found, encoded; or an error of the whole. */
void fetch_answer(struct request *c, struct fetch_work *w);
void fetch_answer_code(struct request *c, int16_t code);
/* The request as a whole, and so, where topics are told by their names, each partition of it. */
void fetch_refuse(struct request *c, int16_t code);

static inline struct fetch_parts *fetch_parts_of(struct fetch_work *w)
{
    return w->session != NULL ? &w->session->parts : &w->own;
}

/* Around everything that touches the parts. False: they are another request's now; nothing is locked. */
bool fetch_lock(struct fetch_work *w);
void fetch_unlock(struct fetch_work *w);

#endif
