/* A plugin whose descriptor ends early. */
#include "leat/plugin.h"

LEAT_EXPORT extern const struct leat_plugin leat_plugin;
const struct leat_plugin leat_plugin = {
    .magic = LEAT_PLUGIN_MAGIC, .abi_version = LEAT_ABI_VERSION, .struct_size = 16, .host_size = 16};
