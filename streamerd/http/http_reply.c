/*
 * http_reply.c - the head of a response, as bytes. See http_reply.h.
 *
 * Header lines come complete from the caller, who must not put into them what a user wrote without
 * checking it: that they end in CRLF is all that is demanded here.
 *
 * Date is made by hand and kept for its second: strftime() would follow the locale, and a busy
 * server writes the same text thousands of times.
 */
#include "streamerd/http/http_reply.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/require.h"
#include "streamerd/http/http.h"

static const struct {
	int status;
	const char *reason;
} reasons[] = {
	{200, "OK"},
	{201, "Created"},
	{202, "Accepted"},
	{204, "No Content"},
	{301, "Moved Permanently"},
	{302, "Found"},
	{303, "See Other"},
	{304, "Not Modified"},
	{307, "Temporary Redirect"},
	{308, "Permanent Redirect"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{406, "Not Acceptable"},
	{408, "Request Timeout"},
	{409, "Conflict"},
	{410, "Gone"},
	{411, "Length Required"},
	{412, "Precondition Failed"},
	{413, "Content Too Large"},
	{414, "URI Too Long"},
	{415, "Unsupported Media Type"},
	{417, "Expectation Failed"},
	{421, "Misdirected Request"},
	{422, "Unprocessable Content"},
	{428, "Precondition Required"},
	{429, "Too Many Requests"},
	{431, "Request Header Fields Too Large"},
	{500, "Internal Server Error"},
	{501, "Not Implemented"},
	{502, "Bad Gateway"},
	{503, "Service Unavailable"},
	{504, "Gateway Timeout"},
	{505, "HTTP Version Not Supported"},
};

const char *http_reason(int status)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (reasons[i].status == status)
			return reasons[i].reason;
	}
	return "Unknown";
}

void http_date(int64_t wall_s, char out[HTTP_DATE_LEN + 1])
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	static int64_t last = INT64_MIN;
	static char text[64];
	time_t t = (time_t)wall_s;
	struct tm tm;

	if (wall_s != last) {
		REQUIRE(gmtime_r(&t, &tm));
		(void)snprintf(text, sizeof(text), "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
			       days + 3 * tm.tm_wday, tm.tm_mday, months + 3 * tm.tm_mon,
			       tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
		last = wall_s;
	}
	memcpy(out, text, HTTP_DATE_LEN);
	out[HTTP_DATE_LEN] = '\0';
}

int http_status_has_body(int status)
{
	return status >= 200 && status != 204 && status != 304;
}

void http_reply_head(struct buf *out, int status, const char *headers, size_t body_bytes,
		     enum http_after after, int64_t wall_s)
{
	char date[HTTP_DATE_LEN + 1];
	size_t n = strlen(headers);

	REQUIRE(status >= 200 && status <= 599);
	REQUIRE(n == 0 || (n > 2 && memcmp(headers + n - 2, "\r\n", 2) == 0));
	http_date(wall_s, date);
	buf_adds(out, "HTTP/1.1 ");
	buf_addu(out, (uint64_t)status);
	buf_addc(out, ' ');
	buf_adds(out, http_reason(status));
	buf_adds(out, "\r\nDate: ");
	buf_add(out, date, HTTP_DATE_LEN);
	buf_adds(out, "\r\n");
	if (http_status_has_body(status)) {
		buf_adds(out, "Content-Length: ");
		buf_addu(out, body_bytes);
		buf_adds(out, "\r\n");
	}
	if (after == HTTP_AFTER_CLOSE)
		buf_adds(out, "Connection: close\r\n");
	else if (after == HTTP_AFTER_KEEP_OLD)
		buf_adds(out, "Connection: keep-alive\r\n");
	buf_add(out, headers, n);
	buf_adds(out, "\r\n");
}
