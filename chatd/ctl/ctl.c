/*
 * ctl.c - common options, and where log and bus are. See ctl.h.
 *
 * Of chatd.conf only two keys matter here, and whether the rest is right is chatd's to judge: it
 * names key files that an operator need not be able to read. So it is read leniently, by inih.
 */
#include "chatd/ctl/ctl.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/require.h"

#define DEFAULT_CONF "/etc/chatd/chatd.conf"
#define DEFAULT_BUS  "/run/chatd" /* as chatd's own */

int ctl_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)fputs("chatctl: ", stderr);
	(void)vfprintf(stderr, fmt, ap);
	(void)fputc('\n', stderr);
	va_end(ap);
	return CTL_FAILED;
}

static void set(char **field, const char *value)
{
	free(*field);
	*field = strdup(value);
	REQUIRE(*field);
}

int ctl_getopt(struct ctl *c, int argc, char **argv, const struct option *options)
{
	int o;

	while ((o = getopt_long(argc, argv, c->in_command ? "c:" : "+c:", options, NULL)) != -1) {
		if (o == 'c')
			set(&c->conf, optarg);
		else if (o == 'd')
			set(&c->log_path, optarg);
		else if (o == 'b')
			set(&c->bus_dir, optarg);
		else if (o == 'j')
			c->json = true;
		else
			return o;
	}
	return -1;
}

static int on_key(void *arg, const char *section, const char *key, const char *value)
{
	struct ctl *c = arg;

	if (!c->log_path && strcmp(section, "log") == 0 && strcmp(key, "path") == 0)
		set(&c->log_path, value);
	if (!c->bus_dir && strcmp(section, "bus") == 0 && strcmp(key, "dir") == 0)
		set(&c->bus_dir, value);
	return 1;
}

int ctl_locate(struct ctl *c)
{
	const char *file = c->conf ? c->conf : DEFAULT_CONF;

	if (c->log_path && c->bus_dir)
		return 0;
	errno = 0;
	if (ini_parse(file, on_key, c) == -1 && (c->conf || !c->log_path))
		return ctl_fail("%s: %s (--config names another one, --db and --bus do without)",
				file, strerror(errno));
	if (!c->log_path)
		return ctl_fail("%s: names no [log] path", file);
	if (!c->bus_dir)
		set(&c->bus_dir, DEFAULT_BUS);
	return 0;
}

void ctl_fini(struct ctl *c)
{
	free(c->conf);
	free(c->log_path);
	free(c->bus_dir);
}
