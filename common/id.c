/*
 * id.c - identifiers that can't be guessed. See id.h.
 */
#include "common/id.h"

#include <string.h>
#include <sys/random.h>

#include "common/limits.h"
#include "common/require.h"

void id_new(const char *prefix, char out[ID_LEN])
{
	static const char letters[] = "0123456789abcdefghjkmnpqrstvwxyz";
	unsigned char rnd[26];
	size_t n = strlen(prefix);

	REQUIRE(n <= 4);
	/* up to 256 bytes come whole and uninterrupted once the pool is ready */
	REQUIRE(getrandom(rnd, sizeof(rnd), 0) == (ssize_t)sizeof(rnd));
	memcpy(out, prefix, n);
	out[n++] = '_';
	for (size_t i = 0; i < sizeof(rnd); i++)
		out[n++] = letters[rnd[i] & 31];
	out[n] = '\0';
}

int id_is_plausible(const char *p, size_t n)
{
	if (n < 1 || n > LIMIT_ID)
		return 0;
	for (size_t i = 0; i < n; i++) {
		char c = p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '_' || c == '-'))
			return 0;
	}
	return 1;
}
