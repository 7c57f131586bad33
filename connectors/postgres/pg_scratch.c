/*
 * pg_scratch: memory that encoders reuse. Tables are shared by the threads that read a snapshot and the task's, so that it
 * belongs to the thread, not to the types.
 */
#include "pg_modes.h"

#include "pg_types.h"

/* An hstore or an array's element may be as large as a value can be. */
#define SCRATCH_MAX (SIZE_MAX / 2)

static _Thread_local struct pg_scratch scratch = {{.max = SCRATCH_MAX},
                                                  {.max = SCRATCH_MAX},
                                                  {.max = SCRATCH_MAX},
                                                  {.max = SCRATCH_MAX},
                                                  {.max = SCRATCH_MAX}};

struct pg_scratch *pg_scratch(void)
{
    return &scratch;
}

void pg_types_end_thread(void)
{
    struct buf *all[] = {&scratch.item, &scratch.text, &scratch.map, &scratch.pairs, &scratch.json};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        buf_free(all[i]);
}
