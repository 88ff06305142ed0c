/*
 * http_path.h - percent-decoding, strictly. Pure.
 *
 * Both functions return NULL if fine, else why not (static text for a 400); *out is then of no use.
 *
 * Refused in both: a '%' without two hex digits, %00, what is not UTF-8 after decoding.
 * In a path besides: "." and ".." segments and empty ones inside, however written; %2F; control
 * characters, raw or escaped; and the printable characters that RFC 3986 has no place for there.
 * In a query those are let pass: browsers leave some of them as they are.
 */
#pragma once

#include "common/buf.h"

/* raw starts with '/', or is "" (means "/") or "*" (stays so). Appends the decoded path. */
const char *http_path_decode(struct str raw, struct buf *out);

/*
 * raw is what stands behind '?': name=value pairs parted by '&'; '+' is a space; a name without '='
 * has an empty value; empty pairs are skipped. Appends records that http_query_find() looks
 * through. raw has at most LIMIT_HTTP_URI bytes.
 */
const char *http_query_decode(struct str raw, struct buf *out);

/* Value of the first parameter of that name in decoded records; p == NULL if there is none. */
struct str http_query_find(struct str records, const char *name);

int http_is_utf8(struct str s); /* 1 if well-formed: no overlong forms, surrogates, or > U+10FFFF */
