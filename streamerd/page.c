/*
 * page.c - serves the chat page and the operator's view: files of streamerd/web, built in.
 *
 * No file is opened and no path is joined. The policy lets the page run nothing and load nothing
 * but these files: text of a model that found its way into the markup would still run nothing,
 * style nothing, and reach no other host. Markup is made from text in one place only, by the
 * sanitizer; whatever else tried to would be stopped by the browser (Trusted Types).
 *
 * Each file is there twice, plain and by gzip, for a page that is read over a slow line.
 */
#include "streamerd/page.h"

#include <string.h>

#include "streamerd/app.h"
#include "streamerd/reply.h"

static const char policy[] =
	"Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
	"img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
	"frame-ancestors 'none'; require-trusted-types-for 'script'; "
	"trusted-types dompurify\r\n"
	"Cross-Origin-Opener-Policy: same-origin\r\n";

static const struct page_file *find(struct str path)
{
	for (size_t i = 0; i < page_n_files; i++) {
		if (str_eq(path, page_files[i].path))
			return &page_files[i];
	}
	return NULL;
}

static bool contains(struct str s, const char *word)
{
	return s.p && memmem(s.p, s.n, word, strlen(word));
}

/* Whoever refuses gzip by "gzip;q=0" gets it plain; finer weights are not looked at. */
static bool takes_gzip(struct str accepted)
{
	return contains(accepted, "gzip") && !contains(accepted, "gzip;q=0");
}

void page_serve(struct app *app, struct http_request *req, const struct call_info *info)
{
	const struct page_file *file = find(http_path(req));
	bool packed = takes_gzip(http_header(req, "Accept-Encoding"));
	auto_buf struct buf h = BUF_INIT;

	if (!file) {
		reply_fault(app->options, req, FAULT_NOT_FOUND, NULL, NULL);
		return;
	}
	/* a weak tag: the same for both forms */
	buf_addf(&h, "%sCache-Control: no-cache\r\nVary: Accept-Encoding\r\nETag: W/%s\r\n", policy,
		 file->etag);
	if (contains(http_header(req, "If-None-Match"), file->etag)) {
		reply_with(app->options, req, 304, NULL, buf_str(&h), str_of(""));
		return;
	}
	if (packed)
		buf_adds(&h, "Content-Encoding: gzip\r\n");
	reply_with(app->options, req, 200, file->type, buf_str(&h),
		   packed ? (struct str){(const char *)file->packed, file->n_packed}
			  : (struct str){(const char *)file->data, file->n});
}
