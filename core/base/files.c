/*
 * files: see files.h.
 */
#include "base/files.h"

#include <sys/resource.h>

int32_t files_limit(void)
{
    struct rlimit r;
    return getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur > INT32_MAX ? INT32_MAX : (int32_t)r.rlim_cur;
}

void files_raise_limit(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur == r.rlim_max)
        return;
    r.rlim_cur = r.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &r); /* refused: then the old one holds, which files_limit tells */
}
