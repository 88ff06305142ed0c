/*
 * fuzz_conf.c - any bytes as a chatd.conf: options come out whole, or one printable line says why.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "chatd/options.h"
#include "common/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A key file's name is from the input: never a device that would be waited on. */
static int harmless(const uint8_t *data, size_t size)
{
	return !memmem(data, size, "/dev", 4) && !memmem(data, size, "/proc", 5);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_error e = {""};
	struct options *o;
	char path[64];
	int fd;

	if (!harmless(data, size))
		return 0;
	fd = memfd_create("conf", MFD_CLOEXEC);
	REQUIRE(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	o = options_load(path, &e);
	if (o) {
		REQUIRE(o->log_path && *o->log_path && o->bus_dir && o->n_providers > 0);
		REQUIRE(options_provider(o, NULL) && o->workers >= 1 && o->max_turns >= 1);
	} else {
		REQUIRE(strncmp(e.text, path, strlen(path)) == 0);
		REQUIRE(!strchr(e.text, '\n'));
	}
	options_free(o);
	(void)close(fd);
	return 0;
}
