/* Something else under the plugin's symbol. */
#include "leat/plugin.h"

LEAT_EXPORT extern const char leat_plugin[];
const char leat_plugin[] = "this is no descriptor at all";
