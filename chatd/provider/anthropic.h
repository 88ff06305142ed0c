/*
 * anthropic.h - requests to Anthropic's /v1/messages.
 */
#pragma once

#include "chatd/provider/provider_request.h"
#include "chatd/provider/provider.h"

#define ANTHROPIC_BASE_URL   "https://api.anthropic.com"
#define ANTHROPIC_VERSION    "2023-06-01"
#define ANTHROPIC_MAX_TOKENS 8192 /* it must be said; enough for a long answer */

/* Fills r, which must be empty. */
void anthropic_request(struct provider_request *r, const struct question *q);
