/*
 * log.h - one line an event, for an operator and for journald.
 *
 *	log_info("turn.end", "session=%s turn=%s outcome=%s ms=%lld", ...);
 *
 * A line is "<prio>event.name key=value key=value": the prefix is the level as systemd reads it
 * from stderr. Values that came from outside go through log_safe(). Prompts, answers, tool
 * output, keys and bodies are never logged: lengths and ids are.
 *
 * error: something ended that should not have. warning: degraded and going on. notice: life
 * cycle. info: a line per turn and per HTTP request. debug: messages and state changes.
 */
#pragma once

enum log_level {
	LOG_LEVEL_ERR = 3,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

extern enum log_level log_max; /* lines above this level are not written; default info */

/* "error", "warning", "notice", "info", "debug". Returns 0, or -1 and changes nothing. */
int log_set_level(const char *name);
/* Prepended to each event name, e.g. "worker.0"; borrowed for ever. */
void log_set_who(const char *who);

void log_write(enum log_level level, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* A printable copy of up to 120 bytes of s in one of 4 static buffers: for between quotes. */
const char *log_safe(const char *s);
/* The same as one word without "=": for where no quotes stand, so that it adds no field. */
const char *log_word(const char *s);

#define log_at(level, ...)                               \
	do {                                             \
		if ((level) <= log_max)                  \
			log_write((level), __VA_ARGS__); \
	} while (0)
#define log_error(...)	 log_at(LOG_LEVEL_ERR, __VA_ARGS__)
#define log_warning(...) log_at(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)	 log_at(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)	 log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)	 log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)

/*
 * A limiter for lines that a peer can cause: at most `burst` a 10-second window; the first line
 * that is dropped is announced. Returns 1 if the caller may log.
 */
struct log_limit {
	long long window;
	unsigned count;
};
int log_allowed(struct log_limit *l, unsigned burst);
