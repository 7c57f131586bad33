/* A shared object that is no plugin. */
#include "leat/plugin.h"

LEAT_EXPORT int not_a_plugin(void);
int not_a_plugin(void)
{
    return 1;
}
