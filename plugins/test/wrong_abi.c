/* A plugin built for an interface of the future: nothing after the version may be looked at. */
#include "leat/plugin.h"

LEAT_EXPORT extern const struct leat_plugin leat_plugin;
const struct leat_plugin leat_plugin = {.magic = LEAT_PLUGIN_MAGIC,
                                        .abi_version = LEAT_ABI_VERSION + 6,
                                        .struct_size = 3,
                                        .name = (const char *)1,
                                        .connectors = (const void *)1,
                                        .connector_count = 1000};
