/*
 * test_provider_conf.c - [provider NAME] sections: defaults, checks, keys.
 */
#include "chatd/provider/provider.h"

#include <sys/stat.h>
#include <unistd.h>

#include "common/limits.h"
#include "tests/unit/provider/run_cases.h"

static void set(char **field, const char *value)
{
	free(*field);
	*field = value ? str_dup(str_of(value)) : NULL;
}

/* One thing broken in a valid section. */
static const struct {
	const char *type, *base_url, *model, *extra, *thinking, *version;
	int64_t idle_ms;
	const char *key; /* NULL: it is fine */
} cases[] = {
	{"openai", "http://127.0.0.1:1/v1", NULL, NULL, NULL, NULL, 1, NULL},
	{"openai", "https://api.example.org/v1/", "m", "{}", NULL, NULL, 1, NULL},
	{"demo", NULL, NULL, NULL, NULL, NULL, 1, NULL},
	{"anthropic", NULL, "m", NULL, "adaptive", "2026-10-21", 1, NULL},
	{"anthropic", NULL, "m", NULL, "1024", NULL, 1, NULL},
	{NULL, NULL, NULL, NULL, NULL, NULL, 1, "type"},
	{"gemini", NULL, NULL, NULL, NULL, NULL, 1, "type"},
	{"openai", NULL, "m", NULL, NULL, NULL, 1, "base_url"},
	{"openai", "", "m", NULL, NULL, NULL, 1, "base_url"},
	{"openai", "ftp://h/v1", "m", NULL, NULL, NULL, 1, "base_url"},
	{"openai", "file:///etc/passwd", "m", NULL, NULL, NULL, 1, "base_url"},
	{"openai", "http:///v1", "m", NULL, NULL, NULL, 1, "base_url"},
	{"openai", "http://user:pw@h/v1", "m", NULL, NULL, NULL, 1, "base_url"},
	{"openai", "http://h/v1?key=1", "m", NULL, NULL, NULL, 1, "base_url"},
	{"anthropic", NULL, NULL, NULL, NULL, NULL, 1, "model"},
	{"openai", "http://h", "m", "[]", NULL, NULL, 1, "extra"},
	{"openai", "http://h", "m", "{", NULL, NULL, 1, "extra"},
	{"openai", "http://h", "m", "{\"stream\":false}", NULL, NULL, 1, "extra"},
	{"anthropic", NULL, "m", NULL, "lots", NULL, 1, "thinking"},
	{"anthropic", NULL, "m", NULL, "1023", NULL, 1, "thinking"},
	{"anthropic", NULL, "m", NULL, NULL, "1\r\nx: y", 1, "api_version"},
	{"openai", "http://h", "m", NULL, NULL, NULL, 0, "idle_timeout"},
};

START_TEST(a_section_is_checked_as_a_whole_and_the_key_is_named)
{
	struct provider_conf *c = provider_conf_new("p");
	const char *key = NULL;
	const char *why;

	set(&c->type, cases[_i].type);
	set(&c->base_url, cases[_i].base_url);
	set(&c->model, cases[_i].model);
	set(&c->extra, cases[_i].extra);
	set(&c->thinking, cases[_i].thinking);
	set(&c->api_version, cases[_i].version);
	c->idle_ms = cases[_i].idle_ms;
	why = provider_conf_finish(c, &key);
	if (cases[_i].key) {
		ck_assert_ptr_nonnull(why);
		ck_assert_str_eq(key, cases[_i].key);
	} else {
		ck_assert_msg(!why, "%s: %s", key, why);
	}
	provider_conf_unref(c);
}
END_TEST

START_TEST(defaults_are_those_of_the_limits)
{
	struct provider_conf *c = provider_conf_new("p");
	const char *key;

	ck_assert_str_eq(c->name, "p");
	ck_assert(c->stream_options);
	ck_assert_int_eq(c->max_retries, LIMIT_RETRIES);
	ck_assert_int_eq(c->connect_ms, LIMIT_CONNECT_MS);
	ck_assert_int_eq(c->first_byte_ms, LIMIT_FIRST_BYTE_MS);
	ck_assert_int_eq(c->idle_ms, LIMIT_IDLE_MS);
	ck_assert_int_eq(c->rate, 40);
	set(&c->type, "anthropic");
	set(&c->model, "m");
	ck_assert_ptr_null(provider_conf_finish(c, &key));
	ck_assert_str_eq(c->base_url, "https://api.anthropic.com");
	ck_assert_str_eq(c->api_version, "2023-06-01");
	c = provider_conf_ref(c);
	provider_conf_unref(c);
	ck_assert_str_eq(c->name, "p");
	provider_conf_unref(c);
	provider_conf_unref(NULL);
}
END_TEST

static const char *finish(const char *file, const char *env, const char **ret_key,
			  char *ret_api_key)
{
	struct provider_conf *c = provider_conf_new("p");
	const char *why;

	set(&c->type, "openai");
	set(&c->base_url, "http://h/v1///");
	set(&c->api_key_file, file);
	set(&c->api_key_env, env);
	why = provider_conf_finish(c, ret_key);
	ck_assert_str_eq(c->base_url, "http://h/v1");
	(void)snprintf(ret_api_key, 64, "%s", c->api_key ? c->api_key : "");
	provider_conf_unref(c);
	return why;
}

/* PRV-6 */
START_TEST(a_key_comes_from_a_file_a_credential_or_the_environment)
{
	char path[] = "/tmp/test_provider_conf.XXXXXX";
	int fd = mkstemp(path);
	const char *key;
	char got[64];

	ck_assert_int_eq(write(fd, "sk-file\n", 8), 8);
	ck_assert_ptr_null(finish(path, NULL, &key, got));
	ck_assert_str_eq(got, "sk-file");
	ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", "/tmp", 1), 0);
	ck_assert_ptr_null(finish(path + 5, NULL, &key, got));
	ck_assert_str_eq(got, "sk-file");
	ck_assert_int_eq(setenv("TEST_KEY", "sk-env", 1), 0);
	ck_assert_ptr_null(finish(NULL, "TEST_KEY", &key, got));
	ck_assert_str_eq(got, "sk-env");
	ck_assert_ptr_nonnull(finish(path, "TEST_KEY", &key, got));
	ck_assert_str_eq(key, "api_key_env");
	ck_assert_int_eq(pwrite(fd, "sk a\x01\n", 6, 0), 6);
	ck_assert_ptr_nonnull(finish(path, NULL, &key, got));
	ck_assert_str_eq(key, "api_key_file");
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	ck_assert_str_eq(finish(path, NULL, &key, got), "the file is empty");
	(void)close(fd);
	(void)unlink(path);
	ck_assert_str_eq(finish(path, NULL, &key, got), "there is no such file");
	ck_assert_str_eq(key, "api_key_file");
	ck_assert_ptr_nonnull(finish("/", NULL, &key, got));
	ck_assert_int_eq(unsetenv("TEST_KEY"), 0);
	ck_assert_ptr_nonnull(finish(NULL, "TEST_KEY", &key, got));
	ck_assert_str_eq(key, "api_key_env");
}
END_TEST

START_TEST(a_client_may_choose_among_the_models_that_are_offered)
{
	struct provider_conf *c = provider_conf_new("p");

	ck_assert(provider_conf_offers(c, "anything"));
	set(&c->model, "main");
	set(&c->models, "one, two,three");
	ck_assert(provider_conf_offers(c, "main"));
	ck_assert(provider_conf_offers(c, "one"));
	ck_assert(provider_conf_offers(c, "two"));
	ck_assert(provider_conf_offers(c, "three"));
	ck_assert(!provider_conf_offers(c, "thre"));
	ck_assert(!provider_conf_offers(c, "three "));
	ck_assert(!provider_conf_offers(c, ""));
	provider_conf_unref(c);
}
END_TEST

/* FAF-2 */
START_TEST(the_demo_knows_no_models_but_those_that_it_was_given)
{
	struct provider_conf *c = provider_conf_new("p");

	set(&c->type, "openai");
	ck_assert(provider_conf_knows(c, "anything"));
	set(&c->type, "demo");
	ck_assert(provider_conf_knows(c, ""));
	ck_assert(provider_conf_knows(c, "demo"));
	ck_assert(!provider_conf_knows(c, "anything"));
	set(&c->model, "main");
	ck_assert(provider_conf_knows(c, "main"));
	ck_assert(!provider_conf_knows(c, "anything"));
	set(&c->models, "one, two");
	ck_assert(provider_conf_knows(c, "two"));
	ck_assert(provider_conf_knows(c, "main"));
	ck_assert(!provider_conf_knows(c, "anything"));
	provider_conf_unref(c);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("provider_conf");

	tcase_add_loop_test(t, a_section_is_checked_as_a_whole_and_the_key_is_named, 0,
			    sizeof(cases) / sizeof(*cases));
	tcase_add_test(t, defaults_are_those_of_the_limits);
	tcase_add_test(t, a_key_comes_from_a_file_a_credential_or_the_environment);
	tcase_add_test(t, a_client_may_choose_among_the_models_that_are_offered);
	tcase_add_test(t, the_demo_knows_no_models_but_those_that_it_was_given);
	return run_cases("provider_conf", t, 20);
}
