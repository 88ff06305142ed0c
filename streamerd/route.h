/*
 * route.h - which handler a method and a path lead to. Pure.
 *
 *	{HTTP_GET, "/v1/sessions/:/events", api_events},
 *
 * A ":" segment matches any one segment, handed over as a parameter. HEAD finds the row of GET.
 */
#pragma once

#include <stddef.h>

#include "common/buf.h"
#include "streamerd/http/http.h"

#define ROUTE_PARAMS 2

struct app;
struct call_info;
typedef void (*route_fn)(struct app *app, struct http_request *req, const struct call_info *info);

/* What lets a request in. */
enum route_auth {
	ROUTE_TOKEN,
	ROUTE_OPEN,   /* nothing is needed */
	ROUTE_TICKET, /* an event stream: a token, or a ticket in the URL */
};

struct route {
	enum http_method method;
	const char *pattern;
	route_fn fn;
	enum route_auth auth;
};

struct route_match {
	const struct route *route;	 /* NULL if the path or the method is not known */
	struct str params[ROUTE_PARAMS]; /* borrowed from path */
	char allow[64]; /* without a route: what the path takes, "GET, HEAD"; "" if there is no such
			   path */
};

/* Fills in *ret. route == NULL: 404 if allow is empty, else 405. */
void route_find(const struct route *routes, size_t n, enum http_method method, struct str path,
		struct route_match *ret);
