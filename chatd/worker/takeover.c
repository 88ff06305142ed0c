/*
 * takeover.c - one worker of a number at a time. See takeover.h.
 *
 * Under one supervisor a worker is only started when its predecessor is dead. A supervisor that was
 * killed leaves workers behind, which end as soon as they notice; the next supervisor's are there
 * within milliseconds. If both ran, the new one would hold sessions as it read them while the old
 * one still answers a prompt: nothing would be lost, since writes carry the generation, but viewers
 * of the new one would not be told. So it waits, before it reads anything.
 *
 * The kernel frees the lock with the process, however that ends. A predecessor that hangs is waited
 * for only so long: its supervisor would have ended it, and ours would take us for hung.
 */
#include "chatd/worker/takeover.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"

#define POLL_US 2000

int takeover(const char *bus_dir, unsigned index)
{
	char path[PATH_MAX];
	int64_t start = clock_mono_ms();
	int fd;

	if (snprintf(path, sizeof(path), "%s/worker-%u.lock", bus_dir, index) >= (int)sizeof(path))
		return -1; /* the supervisor's socket would not have fitted either */
	/* not to be had by tool servers: they may outlive us */
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EINTR ||
		    (errno == EWOULDBLOCK && clock_mono_ms() - start < LIMIT_TAKEOVER_MS)) {
			(void)usleep(POLL_US);
			continue;
		}
		(void)close(fd);
		fd = -1;
	}
	if (fd < 0)
		log_error("worker.takeover", "file=\"%s\" why=\"%s\": going on without",
			  log_safe(path), strerror(errno));
	else if (clock_mono_ms() - start >= 10)
		log_notice("worker.takeover", "waited_ms=%lld",
			   (long long)(clock_mono_ms() - start));
	return fd;
}
