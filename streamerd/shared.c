/*
 * shared.c - a few pages of memory that all serving processes of one streamerd have in common. See
 * shared.h.
 *
 * A memfd and not an anonymous mapping, because serving processes are exec'ed (spawn.c). Its size
 * is sealed: nobody can make another's access to it fault.
 *
 * A number is read while its owner may be writing it. Each is 8 aligned bytes, which are read as of
 * one moment; the numbers of one slot need not be of the same moment.
 */
#include "streamerd/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/limits.h"
#include "common/quota.h"
#include "common/require.h"

#define LINE 64 /* of a processor's cache: slots of two processes share none */
#define PAGE 4096

struct slot {
	_Alignas(LINE) struct stats stats;
};

struct shared {
	struct slot slots[LIMIT_PROCESSES];
	_Alignas(LINE) unsigned char tickets[LIMIT_SHARED_TICKETS];
};

/* Behind it, in the memory of several, lies what quota.c uses. */
#define QUOTA_AT ((sizeof(struct shared) + PAGE - 1) / PAGE * PAGE)

static struct shared alone;
static struct shared *shared = &alone;
static struct quota *quota; /* owned, as long as the process lives */
static unsigned n_processes = 1;
static unsigned own;

struct stats *stats = &alone.slots[0].stats;

int shared_new(void)
{
	auto_close int fd = memfd_create("streamerd", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, (off_t)(QUOTA_AT + quota_bytes(LIMIT_PROCESSES))) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	return steal_fd(&fd);
}

static bool is_gauge(const char *type)
{
	return strcmp(type, "gauge") == 0;
}

/* A hole in the file: zero for whoever has it mapped, and the pages are given back. */
int shared_forget(int fd, unsigned index)
{
	size_t at, n;

	quota_area_at(index, &at, &n);
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(QUOTA_AT + at),
			 (off_t)n) < 0
		       ? -errno
		       : 0;
}

int shared_attach(int fd, unsigned index, unsigned processes)
{
	size_t n = QUOTA_AT + quota_bytes(processes);
	unsigned char *p;
	int r;

	REQUIRE(index < processes && processes <= LIMIT_PROCESSES);
	p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	r = shared_forget(fd, index); /* what the parent may have missed */
	if (r < 0) {
		(void)munmap(p, n);
		return r;
	}
	shared = (struct shared *)p;
	quota_free(quota);
	quota = quota_new(p + QUOTA_AT, index, processes);
	own = index;
	n_processes = processes;
	stats = &shared->slots[own].stats;
#define S(name, type, labels, metric, help) \
	if (is_gauge(type))                 \
		stats->name = 0;
	STATS(S)
#undef S
	return 0;
}

unsigned shared_processes(void)
{
	return n_processes;
}

unsigned shared_index(void)
{
	return own;
}

static uint64_t read_number(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

void shared_sum(struct stats *out)
{
	memset(out, 0, sizeof(*out));
	for (unsigned i = 0; i < n_processes; i++) {
		const struct stats *s = &shared->slots[i].stats;

#define S(name, type, labels, metric, help) out->name += read_number(&s->name);
		STATS(S)
#undef S
	}
}

uint64_t shared_least_load(void)
{
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < n_processes; i++) {
		const struct stats *s = &shared->slots[i].stats;
		uint64_t load = read_number(&s->connections) + read_number(&s->viewers);

		if (load < least)
			least = load;
	}
	return least;
}

void *shared_tickets(void)
{
	return shared->tickets;
}

struct quota *shared_quota(void)
{
	if (!quota)
		quota = quota_new(NULL, 0, 1);
	return quota;
}
