/*
 * page.h - the files of streamerd/web, built into the program (by web/embed.py).
 */
#pragma once

#include <stddef.h>

struct page_file {
	const char *path; /* "/page/app.js"; index.html is "/" */
	const char *type;
	const char *etag; /* with quotes */
	const unsigned char *data;
	size_t n;
	const unsigned char *packed; /* the same by gzip */
	size_t n_packed;
};

extern const struct page_file page_files[];
extern const size_t page_n_files;
