/*
 * conf.h - INI files, read strictly.
 *
 * A program lists what it understands; anything else is an error that names file, line and key.
 *
 *	static const struct conf_key keys[] = {
 *		{"log", "path", conf_string, offsetof(struct options, log_path)},
 *		{"provider *", "type", conf_string, ...},
 *	};
 *
 * A section that ends in " *" takes a name ("[provider local]"): the program's `named` callback
 * returns the object whose fields the offsets then mean.
 *
 * A line is a comment (it starts with ; or #), a "[section]", or "key = value"; " ;" ends a value
 * and starts a comment. Leading blanks mean nothing (no continuation lines). A section or a key
 * that stands twice is an error, since one of the two would be lost without a word.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct conf_error {
	char text[512]; /* "FILE:LINE: what is wrong", ready to print */
};

/* Parses value into field; returns NULL if fine, else why not (static text). */
typedef const char *(*conf_parse_fn)(const char *value, void *field);

struct conf_key {
	const char *section;
	const char *key;
	conf_parse_fn parse;
	size_t offset; /* of the field in the program's struct, or in what `named` returned */
};

struct conf_schema {
	const struct conf_key *keys;
	size_t n_keys;
	/*
	 * Returns the object of the named section kind ("provider"), creating it at first sight, or
	 * NULL with *why (static text) set. Called for a section without keys too. May be NULL if
	 * there are no such sections.
	 */
	void *(*named)(void *base, const char *kind, const char *name, const char **why);
};

/* Reads file into base. 0, or -1 with *e filled in. Fields keep their values where no key sets
 * them. */
int conf_load(const char *file, const struct conf_schema *s, void *base, struct conf_error *e);

/*
 * For what is only wrong as a whole, after conf_load(): fills in *e as "FILE:LINE: [section] key:
 * why". LINE is that of the key, or of its section if the key isn't there, and is left out if
 * neither is.
 */
void conf_complain(struct conf_error *e, const char *file, const char *section, const char *key,
		   const char *why);

/* Parsers. Strings are malloc'ed and replace (free) the old value. */
const char *conf_string(const char *value, void *field); /* char * */
/* char *: not empty, and UTF-8, for it is shown to people, stored, or sent as JSON */
const char *conf_text(const char *value, void *field);
const char *conf_bool(const char *value, void *field);	/* bool: yes/no/true/false/on/off/1/0 */
const char *conf_count(const char *value, void *field); /* int >= 0 */
const char *conf_seconds(const char *value,
			 void *field); /* int64_t ms from "30", "0.5", "250ms", "5m", "1h", "7d" */
const char *conf_bytes(const char *value, void *field); /* int64_t from "1024", "64K", "8M", "2G" */
