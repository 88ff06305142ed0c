/*
 * mcp_result.h - what a call brought, as text for a model. Pure.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/buf.h"

/* A text that is cut at a limit. Embedded; {.limit = bytes} is an empty one. */
struct mcp_text {
	struct buf text; /* owned; whole UTF-8 without NUL */
	size_t limit;	 /* of the text, with the note that says it was cut */
	size_t total;	 /* bytes that there would be without the limit */
};

void mcp_text_add(struct mcp_text *t, const char *p, size_t n); /* NULs become U+FFFD */
/* Cuts it at a whole character, if it has to be, and says so; once, at the end. */
void mcp_text_finish(struct mcp_text *t);

/*
 * The result of a tools/call: text parts one below the other, text resources with their text, a
 * short note for everything that is no text ("[image image/png, 12 kB]"), structuredContent as
 * JSON where there is no content. Appends to t and finishes it. Returns whether the server calls it
 * an error.
 */
bool mcp_result_text(const json_t *result, struct mcp_text *t);
