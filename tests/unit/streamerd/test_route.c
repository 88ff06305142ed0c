/*
 * test_route.c - which handler a method and a path lead to.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "streamerd/route.h"

static void none(struct app *app, struct http_request *req, const struct call_info *info)
{
}

static const struct route routes[] = {
	{HTTP_GET, "/", none, ROUTE_OPEN},
	{HTTP_GET, "/things", none, ROUTE_TOKEN},
	{HTTP_POST, "/things", none, ROUTE_TOKEN},
	{HTTP_GET, "/things/:", none, ROUTE_TOKEN},
	{HTTP_DELETE, "/things/:", none, ROUTE_TOKEN},
	{HTTP_POST, "/things/:/parts/:", none, ROUTE_TOKEN},
};

/* API-1: method, path, row (-1: none), what Allow says, parameters */
static const struct {
	enum http_method method;
	const char *path;
	int row;
	const char *allow, *first, *second;
} cases[] = {
	{HTTP_GET, "/", 0, "GET, HEAD", "", ""},
	{HTTP_HEAD, "/", 0, "GET, HEAD", "", ""},
	{HTTP_POST, "/", -1, "GET, HEAD", "", ""},
	{HTTP_GET, "/things", 1, "GET, HEAD, POST", "", ""},
	{HTTP_POST, "/things", 2, "GET, HEAD, POST", "", ""},
	{HTTP_PUT, "/things", -1, "GET, HEAD, POST", "", ""},
	{HTTP_OTHER, "/things", -1, "GET, HEAD, POST", "", ""},
	{HTTP_OPTIONS, "/things", -1, "GET, HEAD, POST", "", ""},
	{HTTP_GET, "/things/7", 3, "GET, HEAD, DELETE", "7", ""},
	{HTTP_DELETE, "/things/a b", 4, "GET, HEAD, DELETE", "a b", ""},
	{HTTP_POST, "/things/x/parts/yz", 5, "POST", "x", "yz"},
	{HTTP_GET, "/things/", -1, "", "", ""},
	{HTTP_GET, "/things/7/", -1, "", "", ""},
	{HTTP_GET, "/things/7/8", -1, "", "", ""},
	{HTTP_GET, "/thing", -1, "", "", ""},
	{HTTP_GET, "/thingss", -1, "", "", ""},
	{HTTP_GET, "//", -1, "", "", ""},
	{HTTP_POST, "/things//parts/y", -1, "", "", ""},
	{HTTP_POST, "/things/x/parts/", -1, "", "", ""},
	{HTTP_GET, "", -1, "", "", ""},
};

START_TEST(a_path_and_a_method_lead_to_one_row)
{
	struct route_match m;

	route_find(routes, sizeof(routes) / sizeof(routes[0]), cases[_i].method,
		   str_of(cases[_i].path), &m);
	if (cases[_i].row < 0)
		ck_assert_ptr_null(m.route);
	else
		ck_assert_ptr_eq(m.route, &routes[cases[_i].row]);
	if (cases[_i].row < 0)
		ck_assert_str_eq(m.allow, cases[_i].allow);
	ck_assert_uint_eq(m.params[0].n, strlen(cases[_i].first));
	ck_assert(m.params[0].n == 0 || str_eq(m.params[0], cases[_i].first));
	ck_assert_uint_eq(m.params[1].n, strlen(cases[_i].second));
	ck_assert(m.params[1].n == 0 || str_eq(m.params[1], cases[_i].second));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("route");
	TCase *t = tcase_create("route");
	SRunner *r;
	int failed;

	suite_add_tcase(s, t);
	tcase_add_loop_test(t, a_path_and_a_method_lead_to_one_row, 0,
			    (int)(sizeof(cases) / sizeof(cases[0])));
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
