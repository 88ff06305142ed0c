/*
 * key_claim.c - which worker of a log is about to store an Idempotency-Key. See key_claim.h.
 *
 * A claim is a lock on one byte of an empty file, BUS_DIR/keys.lock, at the key's hash: nothing is
 * written, it costs one system call, and the kernel frees it with the process. The lock is of the
 * open file (F_OFD_SETLK), not of the process, so that nothing else that opens and closes the file
 * could drop it.
 */
#include "chatd/worker/key_claim.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

int key_claim_open(const char *bus_dir)
{
	char path[PATH_MAX];
	int fd = -1;

	errno = ENAMETOOLONG;
	if (snprintf(path, sizeof(path), "%s/keys.lock", bus_dir) < (int)sizeof(path))
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		log_error("worker.keys",
			  "bus=\"%s\" why=\"%s\": one key may start a turn at each worker",
			  log_safe(bus_dir), strerror(errno));
	return fd;
}

/* FNV-1a: keys that were made to collide only make their senders try again. */
static uint64_t hash(uint64_t h, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * 1099511628211u;
	return h;
}

static int set(int fd, short type, struct str owner, struct str key)
{
	uint64_t h = hash(14695981039346656037u, owner);
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_len = 1};

	h = hash(h * 1099511628211u, key); /* a zero byte between the two */
	lock.l_start = (off_t)(h >> 2);
	return fcntl(fd, F_OFD_SETLK, &lock);
}

int key_claim_take(int fd, struct str owner, struct str key)
{
	static struct log_limit lines;

	if (fd < 0 || set(fd, F_WRLCK, owner, key) == 0)
		return 0;
	if (errno != EAGAIN && errno != EACCES && log_allowed(&lines, 3))
		log_error("worker.keys", "why=\"%s\"", strerror(errno));
	return -1;
}

void key_claim_release(int fd, struct str owner, struct str key)
{
	if (fd >= 0 && set(fd, F_UNLCK, owner, key) < 0)
		log_error("worker.keys", "why=\"%s\"", strerror(errno));
}
