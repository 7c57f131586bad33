/*
 * The file plugin's one exported symbol. Read-only data, no threads.
 */
#include "connectors/file/file.h"

static const struct leat_connector *const connectors[] = {
    &file_source_connector,
    &file_sink_connector,
};

LEAT_EXPORT extern const struct leat_plugin leat_plugin;

const struct leat_plugin leat_plugin = {
    LEAT_PLUGIN_HEADER,       .name = "file",
    .version = LEAT_VERSION,  .built_for = LEAT_VERSION,
    .connectors = connectors, .connector_count = sizeof(connectors) / sizeof(connectors[0]),
};
