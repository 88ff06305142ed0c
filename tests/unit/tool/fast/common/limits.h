/*
 * limits.h - the limits, with times that a test can wait for (and a queue that it
 * can fill). The tool room is compiled a second
 * time with this file in front of the real one.
 */
#pragma once

#include "../../../../../common/limits.h"

#undef LIMIT_TOOL_QUEUE
#undef LIMIT_TOOL_START_MS
#undef LIMIT_TOOL_CALL_MAX_MS
#undef LIMIT_TOOL_PROBE_MS
#undef LIMIT_TOOL_RELIST_MS
#undef LIMIT_TOOL_EOF_MS
#undef LIMIT_TOOL_TERM_MS
#undef LIMIT_TOOL_RETRY_MIN_MS
#undef LIMIT_TOOL_RETRY_MAX_MS
#define LIMIT_TOOL_QUEUE	(2 * 1024 * 1024)
#define LIMIT_TOOL_START_MS	3000
#define LIMIT_TOOL_CALL_MAX_MS	3000
#define LIMIT_TOOL_PROBE_MS	300
#define LIMIT_TOOL_RELIST_MS	50
#define LIMIT_TOOL_EOF_MS	300
#define LIMIT_TOOL_TERM_MS	300
#define LIMIT_TOOL_RETRY_MIN_MS 50
#define LIMIT_TOOL_RETRY_MAX_MS 500
