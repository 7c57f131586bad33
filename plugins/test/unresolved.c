/* A plugin that needs a function that nobody has. */
#include "leat/plugin.h"

int function_that_nobody_has(void);
LEAT_EXPORT int call_it(void);
int call_it(void)
{
    return function_that_nobody_has();
}
