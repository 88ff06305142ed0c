/*
 * test_auth.c - tokens and streamerd.conf.
 */
#include <check.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/limits.h"
#include "streamerd/auth.h"
#include "streamerd/options.h"

/* printf %s TOKEN | sha256sum */
#define SECRET "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b" /* "secret" */
#define PASSWORD                                                                        \
	"5e884898da28047151d0e56f8dc6292773603d0d6aabbd62a11ef721d1542d8" /* cut by one \
									   */

static const char *file_with(const char *text)
{
	static char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/tmp/streamerd-test-XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	(void)close(fd);
	return path;
}

/* SEC-2 */
static const struct {
	const char *header, *owner;
} headers[] = {
	{"Bearer secret", "alice"},
	{"bearer secret", "alice"},
	{"Bearer second", "bob"},
	{"Bearer secre", NULL},
	{"Bearer secrets", NULL},
	{"Bearer  secret", NULL},
	{"Bearer ", NULL},
	{"Bearer", NULL},
	{"Basic secret", NULL},
	{"secret", NULL},
	{"", NULL},
	{NULL, NULL},
};

START_TEST(a_token_names_its_owner)
{
	unsigned char hash[32];
	char hex[65], text[400];
	struct options o = {.auth_mode = AUTH_TOKENS};
	char owner[LIMIT_OWNER + 1] = "nobody";
	struct conf_error e;
	const char *why;
	struct auth *a;

	(void)crypto_hash_sha256(hash, (const unsigned char *)"second", 6);
	(void)sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
	(void)snprintf(text, sizeof(text), "# people\n\nalice:" SECRET "\r\nbob:%s\n", hex);
	o.tokens_file = (char *)(uintptr_t)file_with(text);
	a = auth_new(&o, "x.conf", &e);
	ck_assert_ptr_nonnull(a);
	(void)unlink(o.tokens_file);
	why = auth_check(a, str_of(headers[_i].header), 0, owner);
	ck_assert_int_eq(why == NULL, headers[_i].owner != NULL);
	ck_assert_str_eq(owner, headers[_i].owner ? headers[_i].owner : "nobody");
	auth_free(a);
}
END_TEST

/* What is wrong in line 2. */
static const char *const bad_tokens[] = {
	"alice",
	"alice:",
	":" SECRET,
	"alice:" PASSWORD,
	"alice:" SECRET "00",
	"alice:zz" SECRET,
	"al ice:" SECRET,
	"al/ice:" SECRET,
	"alice:" SECRET " x",
	"a12345678901234567890123456789012345678901234567890123456789"
	"123456789012345678901234567890123456789012345678901234567890123456789:" SECRET,
};

/* RUN-1 */
START_TEST(a_bad_line_in_the_tokens_file_is_named)
{
	char text[400], where[120];
	struct options o = {.auth_mode = AUTH_TOKENS};
	struct conf_error e;

	(void)snprintf(text, sizeof(text), "bob:" SECRET "\n%s\n", bad_tokens[_i]);
	o.tokens_file = (char *)(uintptr_t)file_with(text);
	ck_assert_ptr_null(auth_new(&o, "x.conf", &e));
	(void)snprintf(where, sizeof(where), "x.conf: [auth] tokens_file: %s:2: ", o.tokens_file);
	ck_assert_msg(strncmp(e.text, where, strlen(where)) == 0, "%s", e.text);
	(void)unlink(o.tokens_file);
}
END_TEST

START_TEST(without_tokens_everybody_is_local)
{
	struct options o = {.auth_mode = AUTH_NONE};
	char owner[LIMIT_OWNER + 1];
	struct conf_error e;
	struct auth *a = auth_new(&o, "x.conf", &e);

	ck_assert(auth_is_open(a));
	ck_assert_ptr_null(auth_check(a, str_of(NULL), 0, owner));
	ck_assert_str_eq(owner, "local");
	auth_free(a);
}
END_TEST

/* RUN-1, SEC-2: a file that can't be read or holds no keys is named. */
START_TEST(a_file_that_is_no_use_is_named)
{
	struct options o = {.auth_mode = AUTH_TOKENS, .tokens_file = "/nonexistent/tokens"};
	struct conf_error e;

	ck_assert_ptr_null(auth_new(&o, "x.conf", &e));
	ck_assert_ptr_nonnull(strstr(e.text, "x.conf: [auth] tokens_file: "));
	o.auth_mode = AUTH_JWT;
	o.jwt_keys_file = "/nonexistent/keys";
	ck_assert_ptr_null(auth_new(&o, "x.conf", &e));
	ck_assert_ptr_nonnull(strstr(e.text, "x.conf: [auth] jwt_keys_file: "));
	o.jwt_keys_file = (char *)(uintptr_t)file_with("{\n\"keys\": x}");
	ck_assert_ptr_null(auth_new(&o, "x.conf", &e));
	ck_assert_msg(strstr(e.text, "x.conf: [auth] jwt_keys_file: /") && strstr(e.text, ":2: "),
		      "%s", e.text);
	(void)unlink(o.jwt_keys_file);
	o.jwt_keys_file = (char *)(uintptr_t)file_with("{\"keys\": []}");
	ck_assert_ptr_null(auth_new(&o, "x.conf", &e));
	ck_assert_ptr_nonnull(strstr(e.text, ": has no key"));
	(void)unlink(o.jwt_keys_file);
}
END_TEST

/* SEC-2: /proc/self/mem opens and fails at the first read; so does a folder. */
START_TEST(half_a_tokens_file_is_none)
{
	static const char *const files[] = {"/tmp", "/proc/self/mem"};
	struct options o = {.auth_mode = AUTH_TOKENS};
	struct conf_error e;

	for (int i = 0; i < 2; i++) {
		o.tokens_file = (char *)(uintptr_t)files[i];
		ck_assert_ptr_null(auth_new(&o, "x.conf", &e));
		ck_assert_ptr_nonnull(strstr(e.text, "x.conf: [auth] tokens_file: "));
		ck_assert_msg(strstr(e.text, files[i]) != NULL, "%s", e.text);
	}
}
END_TEST

/* SEC-2: the last token may be revoked, so it is no error */
START_TEST(a_file_without_a_token_lets_nobody_in)
{
	static const char *const texts[] = {"", "# nobody yet\n\n", "alice:" SECRET "\n"};
	struct options o = {.auth_mode = AUTH_TOKENS};
	char owner[LIMIT_OWNER + 1];
	struct conf_error e;
	struct auth *a;

	for (int i = 0; i < 3; i++) {
		o.tokens_file = (char *)(uintptr_t)file_with(texts[i]);
		a = auth_new(&o, "x.conf", &e);
		(void)unlink(o.tokens_file);
		ck_assert_ptr_nonnull(a);
		ck_assert_int_eq(auth_lets_nobody_in(a), i < 2);
		ck_assert_int_eq(auth_check(a, str_of("Bearer secret"), 0, owner) == NULL, i == 2);
		auth_free(a);
	}
	o.auth_mode = AUTH_NONE;
	a = auth_new(&o, "x.conf", &e);
	ck_assert(!auth_lets_nobody_in(a));
	auth_free(a);
}
END_TEST

/* SEC-2: a relative name is a credential of the service's. */
START_TEST(files_may_be_credentials)
{
	struct options o = {.auth_mode = AUTH_TOKENS};
	char owner[LIMIT_OWNER + 1];
	struct conf_error e;
	const char *path = file_with("alice:" SECRET "\n");
	struct auth *a;

	ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", "/tmp", 1), 0);
	o.tokens_file = (char *)(uintptr_t)path + strlen("/tmp/");
	a = auth_new(&o, "x.conf", &e);
	(void)unlink(path);
	ck_assert_msg(a != NULL, "%s", a ? "" : e.text);
	ck_assert_ptr_null(auth_check(a, str_of("Bearer secret"), 0, owner));
	auth_free(a);
}
END_TEST

#define BUS "[bus]\ndir = /run/chatd\n"

/* RUN-2, SEC-1: text, line, a word of the error */
static const struct {
	const char *text;
	int line;
	const char *word;
} bad_confs[] = {
	{"[http]\nport = 80\n", 2, "port"},
	{"[htpp]\nlisten = 127.0.0.1:80\n", 1, "htpp"},
	{"[http]\nlisten = localhost:80\n", 2, "listen"},
	{"[http]\nlisten = 127.0.0.1\n", 2, "listen"},
	{"[http]\nlisten = 127.0.0.1:\n", 2, "listen"},
	{"[http]\nlisten = 127.0.0.1:65536\n", 2, "listen"},
	{"[http]\nlisten = [::1:80\n", 2, "listen"},
	{"[http]\nlisten = unix:x\n", 2, "listen"},
	{"[http]\nlisten = ,\n", 2, "listen"},
	{"[http]\nlisten = 127.0.0.1:80, x\n", 2, "listen"},
	{"[http]\nmax_body = 0\n", 2, "max_body"},
	{"[http]\nmax_body = 1G\n", 2, "max_body"},
	{"[http]\nmax_connections = 0\n", 2, "max_connections"},
	{"[http]\nmax_connections_per_address = 0\n", 2, "max_connections_per_address"},
	{"[http]\ntrusted_proxies = localhost\n", 2, "trusted_proxies"},
	{"[http]\ntrusted_proxies = 10.0.0.0/8, *\n", 2, "trusted_proxies"},
	{"[http]\nhead_timeout = 0\n", 2, "head_timeout"},
	{"[http]\nbody_timeout = soon\n", 2, "body_timeout"},
	{"[bus]\ndir = run\n", 2, "dir"},
	{"[bus]\nuser = no such user\n", 2, "user: no such user"},
	{"[auth]\nmode = sometimes\n", 2, "mode"},
	{"[auth]\nallowed_origins = app.example.org\n", 2, "allowed_origins"},
	{"[auth]\nallowed_origins = https://app.example.org/\n", 2, "allowed_origins"},
	{"[auth]\nallowed_origins = *\n", 2, "allowed_origins"},
	{"[auth]\nallowed_hosts = http://x\n", 2, "allowed_hosts"},
	{"[general]\nlog_level = loud\n", 2, "log_level"},
	{BUS "[auth]\nmode = tokens\n", 4, "tokens_file"},
	{BUS "[auth]\nmode = jwt\ntokens_file = /etc/t\n", 4, "jwt_keys_file"},
	{"[auth]\njwt_leeway = 301\n", 2, "jwt_leeway"},
	{"[auth]\njwt_audience = ,\n", 2, "jwt_audience"},
	{BUS "[http]\nlisten = 0.0.0.0:80\n", 4, "listen"},
	{BUS "[http]\nlisten = 127.0.0.1:80, [::]:80\n", 4, "listen"},
	{BUS "[http]\nlisten = 192.168.1.1:80\n[auth]\nmode = none\n", 4, "listen"},
};

START_TEST(a_bad_configuration_is_named_by_file_line_and_key)
{
	const char *path = file_with(bad_confs[_i].text);
	struct conf_error e;
	char where[80];

	ck_assert_ptr_null(options_load(path, &e));
	(void)unlink(path);
	(void)snprintf(where, sizeof(where), "%s:%d: ", path, bad_confs[_i].line);
	ck_assert_msg(strncmp(e.text, where, strlen(where)) == 0, "%s", e.text);
	ck_assert_msg(strstr(e.text, bad_confs[_i].word) != NULL, "%s", e.text);
}
END_TEST

START_TEST(a_small_configuration_has_defaults)
{
	const char *path = file_with("");
	struct conf_error e;
	struct options *o = options_load(path, &e);

	(void)unlink(path);
	ck_assert_ptr_nonnull(o);
	ck_assert_uint_eq(o->listen.n, 1);
	ck_assert_str_eq(o->listen.v[0], "127.0.0.1:8080");
	ck_assert_int_eq(o->max_body, LIMIT_HTTP_BODY);
	ck_assert_int_eq(o->max_connections_per_address, LIMIT_HTTP_ADDRESS);
	ck_assert_uint_eq(o->trusted_proxies.n, 0);
	ck_assert_int_eq(o->auth_mode, AUTH_NONE);
	ck_assert_str_eq(o->bus_dir, "/run/chatd");
	options_free(o);
}
END_TEST

/* RUN-2: the keys that others rely on, with their comments */
START_TEST(the_known_configuration_is_read)
{
	const char *path =
		file_with("[http]\n"
			  "listen = 127.0.0.1:8080      ; or unix:/run/streamerd/http.sock\n"
			  "[bus]\n"
			  "dir = /run/chatd\n"
			  "[auth]\n"
			  "mode = none                  ; or tokens\n"
			  "tokens_file = \xe2\x80\xa6\n"
			  "allowed_origins = https://app.example.org\n");
	struct conf_error e;
	struct options *o = options_load(path, &e);

	(void)unlink(path);
	ck_assert_msg(o != NULL, "%s", o ? "" : e.text);
	ck_assert_uint_eq(o->listen.n, 1);
	ck_assert_str_eq(o->listen.v[0], "127.0.0.1:8080");
	ck_assert_str_eq(o->bus_dir, "/run/chatd");
	ck_assert_int_eq(o->auth_mode, AUTH_NONE);
	ck_assert_str_eq(o->tokens_file, "\xe2\x80\xa6");
	ck_assert_uint_eq(o->allowed_origins.n, 1);
	ck_assert_str_eq(o->allowed_origins.v[0], "https://app.example.org");
	options_free(o);
}
END_TEST

START_TEST(every_key_is_read)
{
	const char *path = file_with(
		"[http]\nlisten = 0.0.0.0:80 , [::1]:81,unix:/run/x.sock\nmax_body = 2M\n"
		"max_connections = 7\nmax_connections_per_address = 6\n"
		"trusted_proxies = 10.0.0.0/8, unix\nmax_viewers_per_owner = 5\nhead_timeout = "
		"1\nbody_timeout = 2\n"
		"idle_timeout = 3\nwrite_timeout = 500ms\n" BUS "user = nobody\n"
		"[auth]\nmode = tokens\ntokens_file = /etc/t\njwt_keys_file = /etc/k\n"
		"jwt_issuer = https://id\njwt_audience = a, b\njwt_leeway = 5m\n"
		"allowed_origins = "
		"https://a.example,http://b.example:8080\nallowed_hosts = a.example\n"
		"[general]\nlog_level = debug\n");
	struct conf_error e;
	struct options *o = options_load(path, &e);

	(void)unlink(path);
	ck_assert_msg(o != NULL, "%s", o ? "" : e.text);
	ck_assert_uint_eq(o->listen.n, 3);
	ck_assert_str_eq(o->listen.v[1], "[::1]:81");
	ck_assert_str_eq(options_unix_path(o->listen.v[2]), "/run/x.sock");
	ck_assert_int_eq(o->max_body, 2 * 1024 * 1024);
	ck_assert_int_eq(o->max_connections, 7);
	ck_assert_int_eq(o->max_connections_per_address, 6);
	ck_assert_uint_eq(o->trusted_proxies.n, 2);
	ck_assert_str_eq(o->trusted_proxies.v[1], "unix");
	ck_assert_int_eq(o->max_viewers_per_owner, 5);
	ck_assert_int_eq(o->head_ms + o->body_ms + o->idle_ms + o->write_ms, 6500);
	ck_assert_str_eq(o->bus_user, "nobody");
	ck_assert_str_eq(o->allowed_origins.v[1], "http://b.example:8080");
	ck_assert_str_eq(o->allowed_hosts.v[0], "a.example");
	ck_assert_str_eq(o->log_level, "debug");
	ck_assert_str_eq(o->jwt_keys_file, "/etc/k");
	ck_assert_str_eq(o->jwt_issuer, "https://id");
	ck_assert_str_eq(o->jwt_audience.v[1], "b");
	ck_assert_int_eq(o->jwt_leeway_ms, LIMIT_JWT_LEEWAY_MAX_MS);
	options_free(o);
}
END_TEST

#define N(array) ((int)(sizeof(array) / sizeof((array)[0])))

int main(void)
{
	Suite *s = suite_create("auth");
	TCase *t = tcase_create("auth");
	SRunner *r;
	int failed;

	if (sodium_init() < 0)
		return EXIT_FAILURE;
	suite_add_tcase(s, t);
	tcase_add_loop_test(t, a_token_names_its_owner, 0, N(headers));
	tcase_add_loop_test(t, a_bad_line_in_the_tokens_file_is_named, 0, N(bad_tokens));
	tcase_add_test(t, without_tokens_everybody_is_local);
	tcase_add_test(t, a_file_that_is_no_use_is_named);
	tcase_add_test(t, half_a_tokens_file_is_none);
	tcase_add_test(t, a_file_without_a_token_lets_nobody_in);
	tcase_add_test(t, files_may_be_credentials);
	tcase_add_loop_test(t, a_bad_configuration_is_named_by_file_line_and_key, 0, N(bad_confs));
	tcase_add_test(t, a_small_configuration_has_defaults);
	tcase_add_test(t, the_known_configuration_is_read);
	tcase_add_test(t, every_key_is_read);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
