/*
 * fault_shim.c - the nth call of one libc function fails in one kind of process. For LD_PRELOAD.
 *
 * Where strace can only be attached to what runs already, and sees no allocations, this is there
 * from the first instruction on. FAULT_CONTROL names a file of the layout of struct control, which
 * a test maps and writes: which kind of process, which function, which errno and after how many
 * calls. The count is one for all processes of that kind, so that there is one failure and no
 * more, however often a process that it has ended is started again. See lib/shim.py.
 *
 * READ_ONLY is none of them: until `left` is 0, every pwrite and ftruncate fails, and whatever
 * opens a path that begins with FAULT_READ_ONLY for writing: as on a file system that the kernel
 * made read-only under the open files of a daemon (mount itself refuses that while there are any).
 *
 * glibc's own calls among its functions are not seen, except those to the allocator.
 */
#undef _FILE_OFFSET_BITS /* both names of each function are wanted */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum role { OTHER, WORKER, SUPERVISOR, STREAMERD };
/* The order of FUNCTIONS in lib/shim.py. */
enum function {
	ALLOC = 1,
	OPEN,
	PREAD,
	PWRITE,
	FDATASYNC,
	FTRUNCATE,
	SOCKET,
	BIND,
	LISTEN,
	EPOLL,
	FORK,
	PIPE,
	READ_ONLY
};

struct control {
	uint32_t role, function, error;
	uint32_t left; /* 1: the next one fails; 0: none */
	uint32_t hits;
	uint32_t made[16]; /* calls of each function, failed or not */
};

static struct control *control;
static enum role role;

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

static enum role role_of(const char *line, size_t n)
{
	static const char worker[] = "--worker", serving[] = "--process";
	const char *slash = memrchr(line, '/', strlen(line));
	const char *name = slash ? slash + 1 : line;

	if (strcmp(name, "streamerd") == 0)
		return memmem(line, n, serving, sizeof(serving) - 1) ? STREAMERD : OTHER;
	if (strcmp(name, "chatd") != 0)
		return OTHER;
	return memmem(line, n, worker, sizeof(worker) - 1) ? WORKER : SUPERVISOR;
}

__attribute__((constructor)) static void begin(void)
{
	char line[4096] = "";
	const char *path = getenv("FAULT_CONTROL");
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);
	void *map, *first;

	if (fd >= 0)
		(void)close(fd);
	role = n > 0 ? role_of(line, (size_t)n) : OTHER;
	if (role == OTHER || !path)
		return;
	fd = open(path, O_RDWR | O_CLOEXEC);
	map = fd < 0 ? MAP_FAILED
		     : mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd >= 0)
		(void)close(fd);
	(void)backtrace(&first, 1); /* loads what it needs */
	control = map == MAP_FAILED ? NULL : map;
}

/* Which of thousands of allocations it was, into the daemon's log. */
static void say_where(void)
{
	void *frames[24];

	backtrace_symbols_fd(frames, backtrace(frames, 24), STDERR_FILENO);
}

static int fails(enum function f)
{
	uint32_t left;

	if (!control || control->role != role)
		return 0;
	__atomic_add_fetch(&control->made[f], 1, __ATOMIC_SEQ_CST);
	if (control->function != f)
		return 0;
	left = __atomic_load_n(&control->left, __ATOMIC_SEQ_CST);
	while (left > 0 && !__atomic_compare_exchange_n(&control->left, &left, left - 1, 0,
							__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
	if (left != 1)
		return 0;
	__atomic_add_fetch(&control->hits, 1, __ATOMIC_SEQ_CST);
	if (f == ALLOC)
		say_where();
	errno = (int)control->error;
	return 1;
}

/* Does a call that would write, by path if it is known, meet a read-only file system? */
static int is_read_only(const char *path)
{
	const char *prefix = getenv("FAULT_READ_ONLY");

	if (!control || control->role != role || control->function != READ_ONLY ||
	    __atomic_load_n(&control->left, __ATOMIC_SEQ_CST) == 0 ||
	    (path && (!prefix || strncmp(path, prefix, strlen(prefix)) != 0)))
		return 0;
	__atomic_add_fetch(&control->hits, 1, __ATOMIC_SEQ_CST);
	errno = (int)control->error;
	return 1;
}

void *malloc(size_t n)
{
	return fails(ALLOC) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return fails(ALLOC) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	return fails(ALLOC) ? NULL : __libc_realloc(p, n);
}

#define NEXT(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))
#define SHIM(type, name, function, parameters, arguments)           \
	type name parameters                                        \
	{                                                           \
		static __typeof__(&(name)) next;                    \
                                                                    \
		if (!next)                                          \
			next = NEXT(name);                          \
		return fails(function) ? (type)-1 : next arguments; \
	}

SHIM(ssize_t, pread64, PREAD, (int fd, void *p, size_t n, off64_t at), (fd, p, n, at))
SHIM(ssize_t, pread, PREAD, (int fd, void *p, size_t n, off_t at), (fd, p, n, at))
SHIM(int, fdatasync, FDATASYNC, (int fd), (fd))
SHIM(int, socket, SOCKET, (int domain, int type, int protocol), (domain, type, protocol))
SHIM(int, socketpair, SOCKET, (int domain, int type, int protocol, int fds[2]),
     (domain, type, protocol, fds))
SHIM(int, bind, BIND, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n))
SHIM(int, listen, LISTEN, (int fd, int n), (fd, n))
SHIM(int, epoll_ctl, EPOLL, (int epfd, int op, int fd, struct epoll_event *e), (epfd, op, fd, e))
SHIM(pid_t, fork, FORK, (void), ())
SHIM(int, pipe2, PIPE, (int fds[2], int flags), (fds, flags))

#define SHIM_WRITE(type, name, function, parameters, arguments)                           \
	type name parameters                                                              \
	{                                                                                 \
		static __typeof__(&(name)) next;                                          \
                                                                                          \
		if (!next)                                                                \
			next = NEXT(name);                                                \
		return fails(function) || is_read_only(NULL) ? (type)-1 : next arguments; \
	}

SHIM_WRITE(ssize_t, pwrite64, PWRITE, (int fd, const void *p, size_t n, off64_t at), (fd, p, n, at))
SHIM_WRITE(ssize_t, pwrite, PWRITE, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at))
SHIM_WRITE(int, ftruncate, FTRUNCATE, (int fd, off_t n), (fd, n))
SHIM_WRITE(int, ftruncate64, FTRUNCATE, (int fd, off64_t n), (fd, n))

#define SHIM_OPEN(name)                                                                     \
	int name(const char *path, int flags, ...)                                          \
	{                                                                                   \
		static int (*next)(const char *, int, ...);                                 \
		mode_t mode;                                                                \
		va_list ap;                                                                 \
                                                                                            \
		va_start(ap, flags);                                                        \
		mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(ap, mode_t) : 0;            \
		va_end(ap);                                                                 \
		if (!next)                                                                  \
			next = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name);    \
		if (fails(OPEN) || ((flags & (O_ACCMODE | O_CREAT)) && is_read_only(path))) \
			return -1;                                                          \
		return next(path, flags, mode);                                             \
	}

SHIM_OPEN(open)
SHIM_OPEN(open64)
