/*
 * route.c - which handler a method and a path lead to. See route.h.
 *
 * A dozen rows: they are tried one after the other.
 */
#include "streamerd/route.h"

#include <string.h>

static bool matches(const char *pattern, struct str path, struct str params[ROUTE_PARAMS])
{
	const char *p = path.p;
	const char *end = path.p + path.n;
	int n = 0;

	for (; *pattern; pattern++) {
		if (*pattern == ':' && n < ROUTE_PARAMS) {
			const char *slash = memchr(p, '/', (size_t)(end - p));
			const char *stop = slash ? slash : end;

			if (stop == p)
				return false;
			params[n++] = (struct str){p, (size_t)(stop - p)};
			p = stop;
		} else if (p == end || *p++ != *pattern) {
			return false;
		}
	}
	return p == end;
}

static const char *method_names(enum http_method m)
{
	switch (m) {
	case HTTP_GET:
		return "GET, HEAD";
	case HTTP_POST:
		return "POST";
	case HTTP_PUT:
		return "PUT";
	case HTTP_DELETE:
		return "DELETE";
	case HTTP_PATCH:
		return "PATCH";
	case HTTP_HEAD:
	case HTTP_OPTIONS:
	case HTTP_OTHER:
		break;
	}
	return "";
}

void route_find(const struct route *routes, size_t n, enum http_method method, struct str path,
		struct route_match *ret)
{
	struct str params[ROUTE_PARAMS];

	*ret = (struct route_match){0};
	if (method == HTTP_HEAD)
		method = HTTP_GET;
	for (size_t i = 0; i < n; i++) {
		memset(params, 0, sizeof(params));
		if (!matches(routes[i].pattern, path, params))
			continue;
		if (ret->allow[0])
			strncat(ret->allow, ", ", sizeof(ret->allow) - strlen(ret->allow) - 1);
		strncat(ret->allow, method_names(routes[i].method),
			sizeof(ret->allow) - strlen(ret->allow) - 1);
		if (routes[i].method != method)
			continue;
		ret->route = &routes[i];
		memcpy(ret->params, params, sizeof(params));
		return; /* the first row that fits */
	}
}
