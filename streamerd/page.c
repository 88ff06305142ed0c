/*
 * page.c - serves the chat page: the files of streamerd/web, built into the program.
 *
 * No file is opened and no path is joined. The policy lets the page run nothing and load nothing
 * but these files, so that a message that found its way into the markup would still do nothing.
 */
#include "streamerd/page.h"

#include <string.h>

#include "streamerd/app.h"
#include "streamerd/reply.h"

static const char policy[] =
	"Content-Security-Policy: default-src 'self'; object-src 'none'; base-uri 'none'; "
	"form-action 'none'; frame-ancestors 'none'\r\n";

static const struct page_file *find(struct str path)
{
	for (size_t i = 0; i < page_n_files; i++) {
		if (str_eq(path, page_files[i].path))
			return &page_files[i];
	}
	return NULL;
}

void page_serve(struct app *app, struct http_request *req, const struct call_info *info)
{
	const struct page_file *file = find(http_path(req));
	struct str have = http_header(req, "If-None-Match");
	auto_buf struct buf h = BUF_INIT;

	if (!file) {
		reply_fault(app->options, req, FAULT_NOT_FOUND, NULL, NULL);
		return;
	}
	buf_addf(&h, "%sCache-Control: no-cache\r\nETag: %s\r\n", policy, file->etag);
	if (have.p && memmem(have.p, have.n, file->etag, strlen(file->etag)))
		reply_with(app->options, req, 304, NULL, buf_str(&h), str_of(""));
	else
		reply_with(app->options, req, 200, file->type, buf_str(&h),
			   (struct str){(const char *)file->data, file->n});
}
