/*
 * openai.h - requests to servers that speak OpenAI's /chat/completions.
 */
#pragma once

#include "chatd/provider/provider_request.h"
#include "chatd/provider/provider.h"

/* Fills r, which must be empty. */
void openai_request(struct provider_request *r, const struct question *q);
