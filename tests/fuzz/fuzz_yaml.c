/*
 * Any bytes as a configuration: never a crash, a leak or a hang; what is taken can be compared, planned and printed.
 * What comes from outside (environment, files) is bounded by the corpus having no useful names.
 */
#include <stdlib.h>

#include "base/buf.h"
#include "tests/unit/config/catalog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *c;
    struct problems p;
    struct err e;
    struct buf out;
    problems_init(&p);
    buf_init(&out, 64 << 20);
    int rc = config_parse((const char *)data, size, "f", &catalog, &c, &p, &e);
    if ((rc == ERR_INVALID_CONFIG) != (p.count > 0) || (rc == ERR_OK) != (c != NULL))
        abort();
    for (size_t i = 0; i < p.count; i++)
        if (p.items[i].line < 0 || problem_print(&p.items[i], &out, &e))
            abort();
    if (c) {
        buf_reset(&out);
        if (config_plan(c, c, &out, &e) || out.len || config_plan(NULL, c, &out, &e))
            abort();
        for (size_t i = 0; i < c->pipeline_count; i++)
            if (!pipeline_config_equal(c->pipelines[i], c->pipelines[i]))
                abort();
    }
    config_free(c);
    problems_free(&p);
    buf_free(&out);
    return 0;
}
