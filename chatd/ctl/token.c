/*
 * token.c - `chatctl token`: streamerd's tokens_file, whose lines are owner:sha256-hex.
 *
 * A token is shown once, when it is made; the file keeps its hash. The file is written anew beside
 * the old one and takes its place whole, with its mode and owner. The packaged streamerd sees a
 * copy of it that systemd makes at a start (LoadCredential=), so a change needs a restart there;
 * one that reads the file itself takes it up on SIGHUP too.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chatd/ctl/ctl.h"
#include "chatd/ctl/rows.h"
#include "common/cleanup.h"
#include "common/require.h"

#define TOKEN_BYTES  32
#define HASH_HEX     (crypto_hash_sha256_BYTES * 2)
#define SHOWN	     12 /* digits of a hash that name a token */
#define FILE_MAX     (1024 * 1024)
#define DEFAULT_FILE "/etc/chatd/access/tokens" /* where streamerd.service looks */

#define TAKEN_UP "`systemctl restart streamerd` takes it up: viewers only reconnect"

static int read_file(const char *path, struct buf *ret, struct stat *st)
{
	FILE *f = fopen(path, "re");
	char part[4096];
	size_t n;

	memset(st, 0, sizeof(*st));
	st->st_mode = 0600;
	if (!f)
		return errno == ENOENT ? 0 : -1;
	(void)fstat(fileno(f), st);
	while (ret->len <= FILE_MAX && (n = fread(part, 1, sizeof(part), f)) > 0)
		buf_add(ret, part, n);
	n = (size_t)ferror(f);
	(void)fclose(f);
	return n ? -1 : 0;
}

static int write_file(const char *path, const struct buf *b, const struct stat *st)
{
	auto_free char *beside = NULL;
	int fd, r;

	REQUIRE(asprintf(&beside, "%s.new", path) >= 0);
	(void)unlink(beside);
	fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	r = write(fd, b->data, b->len) == (ssize_t)b->len ? 0 : -1;
	if (r == 0)
		r = fchmod(fd, st->st_mode & 07777);
	if (r == 0 && (st->st_uid != geteuid() || st->st_gid != getegid()))
		r = fchown(fd, st->st_uid, st->st_gid);
	if (r == 0)
		r = fsync(fd);
	if (close(fd) < 0 || r < 0 || rename(beside, path) < 0) {
		(void)unlink(beside);
		return -1;
	}
	return 0;
}

static bool is_owner(const char *s)
{
	size_t n = strlen(s);

	return n > 0 && n <= 64 &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-") == n;
}

static int add_token(const struct ctl *c, const char *path, const char *owner)
{
	unsigned char secret[TOKEN_BYTES], hash[crypto_hash_sha256_BYTES];
	char token[TOKEN_BYTES * 2 + 1], hex[HASH_HEX + 1];
	auto_buf struct buf b = BUF_INIT;
	struct stat st;

	if (!is_owner(owner))
		return ctl_fail("an owner's name is 1 to 64 letters, digits and . _ @ -");
	if (read_file(path, &b, &st) < 0)
		return ctl_fail("%s: %s", path, strerror(errno));
	randombytes_buf(secret, sizeof(secret));
	(void)sodium_bin2hex(token, sizeof(token), secret, sizeof(secret));
	(void)crypto_hash_sha256(hash, (const unsigned char *)token, strlen(token));
	(void)sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
	if (b.len && b.data[b.len - 1] != '\n')
		buf_addc(&b, '\n');
	buf_addf(&b, "%s:%s\n", owner, hex);
	if (write_file(path, &b, &st) < 0)
		return ctl_fail("%s: %s", path, strerror(errno));
	if (c->json)
		(void)printf("{\"owner\":\"%s\",\"token\":\"%s\",\"id\":\"%.*s\"}\n", owner, token,
			     SHOWN, hex);
	else
		(void)printf("%s\n", token);
	(void)fprintf(stderr, "chatctl: stored its hash in %s; " TAKEN_UP "\n", path);
	return CTL_OK;
}

/* Calls each(arg, line, owner, hash) for each line that holds a token; true keeps the line. */
static void lines(struct buf *b, struct buf *kept,
		  bool (*each)(void *arg, const char *owner, const char *hash), void *arg)
{
	char *save, *line;

	for (line = strtok_r((char *)(uintptr_t)buf_str(b), "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		auto_free char *copy = str_dup(str_of(line));
		char *colon = strchr(copy, ':');
		bool keep = true;

		if (colon && *line != '#') {
			*colon = '\0';
			keep = each(arg, copy, colon + 1);
		}
		if (keep) {
			buf_adds(kept, line);
			buf_addc(kept, '\n');
		}
	}
}

static bool list_one(void *arg, const char *owner, const char *hash)
{
	(void)json_array_append_new(arg,
				    json_pack("{s:s, s:s%}", "owner", owner, "id", hash,
					      strlen(hash) < SHOWN ? strlen(hash) : (size_t)SHOWN));
	return true;
}

static int list_tokens(const struct ctl *c, const char *path)
{
	auto_json json_t *all = json_array();
	auto_buf struct buf b = BUF_INIT, kept = BUF_INIT;
	struct stat st;

	if (read_file(path, &b, &st) < 0)
		return ctl_fail("%s: %s", path, strerror(errno));
	lines(&b, &kept, list_one, all);
	if (c->json)
		rows_print_json(all);
	else
		rows_print(all, "id owner", "no tokens");
	return CTL_OK;
}

struct revocation {
	const char *which; /* an owner, or the first digits of a hash */
	int n;
};

static bool revoke_one(void *arg, const char *owner, const char *hash)
{
	struct revocation *r = arg;
	size_t n = strlen(r->which);
	bool it = strcmp(owner, r->which) == 0 ||
		  (n >= SHOWN && n <= HASH_HEX && strncmp(hash, r->which, n) == 0);

	r->n += it;
	return !it;
}

static int revoke_tokens(const struct ctl *c, const char *path, const char *which)
{
	auto_buf struct buf b = BUF_INIT, kept = BUF_INIT;
	struct revocation r = {which, 0};
	struct stat st;

	if (read_file(path, &b, &st) < 0)
		return ctl_fail("%s: %s", path, strerror(errno));
	lines(&b, &kept, revoke_one, &r);
	if (r.n == 0) {
		(void)ctl_fail("no token of that owner or id");
		return CTL_NOT_FOUND;
	}
	if (write_file(path, &kept, &st) < 0)
		return ctl_fail("%s: %s", path, strerror(errno));
	if (c->json)
		(void)printf("{\"revoked\":%d}\n", r.n);
	else
		(void)printf("revoked %d\n", r.n);
	(void)fprintf(stderr, "chatctl: streamerd lets it in as yet; " TAKEN_UP "\n");
	return CTL_OK;
}

/* Two at a time would lose one's change. The folder is the lock: a file beside the tokens might be
 * taken for tokens. Held until we end. */
static int lock_folder(const char *path)
{
	auto_free char *copy = str_dup(str_of(path));
	int fd;

	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -1 : flock(fd, LOCK_EX);
}

int token_main(struct ctl *c, int argc, char **argv)
{
	static const struct option options[] = {{"file", required_argument, NULL, 'f'},
						CTL_OPTIONS};
	const char *path = DEFAULT_FILE;
	int o, n;

	while ((o = ctl_getopt(c, argc, argv, options)) != -1) {
		if (o != 'f')
			return CTL_FAILED;
		path = optarg;
	}
	n = argc - optind;
	if (sodium_init() < 0)
		return ctl_fail("no random numbers");
	if (n == 2 && lock_folder(path) < 0)
		return ctl_fail("%s: %s", path, strerror(errno));
	if (n == 2 && strcmp(argv[optind], "add") == 0)
		return add_token(c, path, argv[optind + 1]);
	if (n == 1 && strcmp(argv[optind], "list") == 0)
		return list_tokens(c, path);
	if (n == 2 && strcmp(argv[optind], "revoke") == 0)
		return revoke_tokens(c, path, argv[optind + 1]);
	return ctl_fail("usage: chatctl token [--file FILE] add OWNER | list | revoke OWNER|ID");
}
