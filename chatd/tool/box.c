/*
 * box.c - what a tool server can't do although it runs as our user. See box.h.
 *
 * Files: Landlock. Its rules only ever allow, and whole trees at that. So "all but these" is made
 * by going down from / towards each hidden path and allowing everything that stands beside the way:
 *
 *	hidden /var/lib/chatd/events.db:  allow each of /bin /etc /usr ..., /var/cache /var/log ...,
 *	                                  /var/lib/dpkg ..., what else is in /var/lib/chatd
 *
 * Folders may be listed everywhere: names give nothing away, and programs list / for no reason.
 * Links are left out; what they lead to has a rule or has none. What we can't list ourselves is not
 * allowed, nor is what comes into a folder above a hidden path later.
 *
 * A process under Landlock can't trace one that isn't, which is also what guards /proc/PID/environ,
 * mem, fd and root. From version 6 on signals and abstract sockets end at the box too.
 *
 * Capabilities: none, also for a chatd that runs as root. One who may look at performance
 * (CAP_PERFMON) may read environments whatever Landlock says.
 *
 * Sockets: Landlock does not look at connect() by path, and the bus knows peers by their user,
 * which is ours. So a filter refuses new Unix sockets (pairs stay: shells and node pipe by them),
 *and with them io_uring, by which a filter could be gone around. Other processor's calls (x32,
 *i386) do not exist in the box.
 *
 * Not stopped: the network, and using up memory, disk and processors. On a kernel without
 * Landlock only the filter is there, on processors that are not listed below only Landlock; chatd
 * says so when it starts. What is left out by mistake or a limit is counted for the server's log
 *line.
 */
#include "chatd/tool/box.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/limits.h"
#include "common/require.h"

#define RIGHTS_1      ((1ULL << 13) - 1) /* version 1: read, write, execute, make, remove */
#define RIGHT_REFER   (1ULL << 13)	 /* 2: between folders */
#define RIGHT_CUT     (1ULL << 14) /* 3: truncate(2); what follows, devices' ioctls, is left free */
#define SCOPE_SOCKETS (1ULL << 0)  /* 6: abstract Unix sockets */
#define SCOPE_SIGNALS (1ULL << 1)  /* 6 */

/* The kernel's, of version 6; Debian 12's header knows the first member only. */
struct ruleset_attr {
	uint64_t fs, net, scoped;
};

struct walk {
	int ruleset;
	unsigned left_out;	/* see box.h */
	uint64_t all, of_files; /* rights: of a tree, and those of them that a file may be given */
	char **hidden;		/* without links; NULL at the end */
};

int box_landlock(void)
{
	long version =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return version < 0 ? 0 : (int)version;
}

/* ---- the hidden paths ---- */

/* Without links and dots; what isn't there yet keeps its last name. malloc'ed. */
static char *resolve(const char *path)
{
	char *whole = realpath(path, NULL);
	auto_free char *a = str_dup(str_of(path));
	auto_free char *b = str_dup(str_of(path));
	auto_free char *folder = NULL;
	char *out = NULL;

	if (whole)
		return whole;
	folder = realpath(dirname(a), NULL);
	if (asprintf(&out, "%s/%s", folder && strcmp(folder, "/") != 0 ? folder : "", basename(b)) <
	    0)
		out = NULL;
	REQUIRE(out);
	return out;
}

static bool is_hidden(const struct walk *w, const char *path)
{
	for (char **h = w->hidden; *h; h++) {
		size_t n = strlen(*h);

		if (strncmp(path, *h, n) == 0 &&
		    (path[n] == '\0' || path[n] == '-' || path[n] == '.'))
			return true;
	}
	return false;
}

static bool hides_something(const struct walk *w, const char *folder)
{
	size_t n = strlen(folder);

	for (char **h = w->hidden; *h; h++) {
		if (strncmp(*h, folder, n) == 0 && (*h)[n] == '/')
			return true;
	}
	return false;
}

/* ---- the rules ---- */

static void allow(struct walk *w, const char *path, uint64_t rights)
{
	auto_close int fd = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
	struct landlock_path_beneath_attr rule = {.parent_fd = fd, .allowed_access = rights};
	struct stat st;

	if (fd < 0 && errno != ENOENT && errno != EACCES)
		w->left_out++;
	if (fd < 0 || fstat(fd, &st) < 0 || S_ISLNK(st.st_mode))
		return; /* gone meanwhile, or in the reach of nobody */
	if (!S_ISDIR(st.st_mode))
		rule.allowed_access &= w->of_files;
	/* without its rule it is out of reach, which is the safe side */
	if (syscall(SYS_landlock_add_rule, w->ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		w->left_out++;
}

/* Allows what is in the folder ("" is the root) but for what is hidden. */
static void walk(struct walk *w, const char *folder)
{
	char path[PATH_MAX];
	const struct dirent *e;
	DIR *dir = opendir(*folder ? folder : "/");

	for (int i = 0; dir && (e = readdir(dir)); i++) {
		if (i == LIMIT_BOX_ENTRIES) {
			w->left_out++;
			break;
		}
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    snprintf(path, sizeof(path), "%s/%s", folder, e->d_name) >= (int)sizeof(path) ||
		    is_hidden(w, path))
			continue;
		if (hides_something(w, path))
			walk(w, path); /* as deep as the hidden path has names */
		else
			allow(w, path, w->all);
	}
	if (dir)
		(void)closedir(dir);
}

static int make_ruleset(struct walk *w, int version)
{
	struct ruleset_attr attr = {.fs = RIGHTS_1};
	size_t size = version >= 6 ? sizeof(attr) : sizeof(attr.fs);

	if (version >= 2)
		attr.fs |= RIGHT_REFER;
	if (version >= 3)
		attr.fs |= RIGHT_CUT;
	if (version >= 6)
		attr.scoped = SCOPE_SOCKETS | SCOPE_SIGNALS;
	w->all = attr.fs;
	w->of_files = attr.fs & (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |
				 LANDLOCK_ACCESS_FS_READ_FILE | RIGHT_CUT);
	w->ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	return w->ruleset < 0 ? -errno : 0;
}

int box_prepare(struct box *b, const char *const *hidden)
{
	struct walk w = {.ruleset = -1};
	int version = box_landlock();
	size_t n = 0;
	int r = 0;

	b->confines = true;
	if (version == 0)
		return 0;
	while (hidden[n])
		n++;
	w.hidden = calloc(n + 1, sizeof(*w.hidden)); // NOLINT(bugprone-sizeof-expression)
	REQUIRE(w.hidden);
	for (size_t i = 0; i < n; i++)
		w.hidden[i] = resolve(hidden[i]);
	r = make_ruleset(&w, version);
	if (r == 0) {
		allow(&w, "/", LANDLOCK_ACCESS_FS_READ_DIR);
		if (n > 0)
			walk(&w, "");
		else
			allow(&w, "/", w.all);
		b->ruleset = w.ruleset;
		b->left_out = w.left_out;
	}
	for (size_t i = 0; i < n; i++)
		free(w.hidden[i]);
	free(w.hidden);
	return r;
}

void box_fini(struct box *b)
{
	if (b->ruleset >= 0)
		(void)close(b->ruleset); /* the kernel keeps what processes entered */
	b->ruleset = -1;
}

/* ---- entering ---- */

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#endif

#define LOAD(member) \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, member))
#define UNLESS(value, skip)  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), 0, skip)
#define IF_OVER(value, skip) BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (uint32_t)(value), 0, skip)
#define FAIL(error)	     BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)(error))
#define PASS		     BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

bool box_filters(void)
{
#ifdef OUR_ARCH
	return true;
#else
	return false;
#endif
}

/* No filter on processors that are not listed above: their calls may come by other numbers. */
static int enter_filter(void)
{
#ifdef OUR_ARCH
	static struct sock_filter code[] = {
		LOAD(arch),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OUR_ARCH, 1, 0),
		FAIL(ENOSYS),
		LOAD(nr),
		IF_OVER(0x40000000, 1), /* x32; nobody else has such numbers */
		FAIL(ENOSYS),
		UNLESS(SYS_io_uring_setup, 1),
		FAIL(ENOSYS),
		UNLESS(SYS_socket, 3),
		LOAD(args[0]),
		UNLESS(AF_UNIX, 1),
		FAIL(EAFNOSUPPORT),
		PASS,
	};
	static const struct sock_fprog filter = {sizeof(code) / sizeof(*code), code};

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
#else
	return 0;
#endif
}

int box_enter(const struct box *b, int fd)
{
	if (!b->confines)
		return 0;
	for (unsigned long cap = 0; cap < 64; cap++) /* who may not drop them has none to drop */
		(void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	if (fd >= 0 && syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		return -1;
	return enter_filter();
}
