/*
 * provider.h - what answers a step of a turn.
 *
 * A turn asks a question (the conversation so far) and is told, as it comes, what the provider
 * says; at the end exactly one `done` with the result. Kinds of providers (openai, anthropic,
 * demo) stand in one table; a configured provider is one [provider NAME] section.
 *
 * An asking goes on by itself: it connects, retries before the first token was shown (never
 * after), watches its time-outs and reads the stream however it is split.
 */
#pragma once

#include <event2/event.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "proto/fault.h"

/* One [provider NAME]. Reference-counted: askings keep the one that they started with. */
struct provider_conf {
	char *name;	     /* owned, like all texts here */
	char *type;	     /* "openai", "anthropic", "demo" */
	char *base_url;	     /* openai: ".../v1"; anthropic: without /v1. No slash at the end */
	char *model;	     /* default model */
	char *models;	     /* "a, b": models that a client may choose; NULL: any */
	char *api_key_file;  /* absolute, or relative to $CREDENTIALS_DIRECTORY */
	char *api_key_env;   /* name of an environment variable */
	char *api_version;   /* anthropic-version header */
	char *thinking;	     /* anthropic: "", "adaptive" or a budget in tokens */
	char *extra;	     /* a JSON object whose members are merged into each request */
	int max_tokens;	     /* 0: not sent (openai); anthropic needs one and has a default */
	bool stream_options; /* openai: ask for usage */
	bool tools;	     /* offer tools; off for models that can't call any */
	int max_retries;
	int64_t connect_ms, first_byte_ms, idle_ms;
	int rate;      /* demo: chunks a second, 0 as fast as it goes */
	char *api_key; /* read at load time; wiped when freed */
	int refs;
};

struct provider_conf *provider_conf_new(const char *name); /* with defaults; refs 1 */
struct provider_conf *provider_conf_ref(struct provider_conf *c);
void provider_conf_unref(struct provider_conf *c); /* NULL is fine */
/* Checks it as a whole and reads the key. NULL if fine, else why not (static text); *ret_key names
 * the key. */
const char *provider_conf_finish(struct provider_conf *c, const char **ret_key);
/* 1 if a client may ask for this model. */
int provider_conf_offers(const struct provider_conf *c, const char *model);
/* 0 if a client that names this model is wrong whatever the configuration says: the demo has no
 * models but those that it was given, and "demo". What others have, only their servers know. */
int provider_conf_knows(const struct provider_conf *c, const char *model);

/*
 * The conversation, in neutral form, a JSON array of
 *	{"role": "user", "content": "text" |
 *	 [{"type":"text","text"}, {"type":"image","media_type","data"}]}
 *	{"role": "assistant", "content": "text", "reasoning"?,
 *	 "tool_calls"?: [{"id","name","arguments": "raw text"}],
 *	 "echo"?: {"provider": type, "blocks": as in provider_result}}
 *	{"role": "tool", "tool_call_id", "content": "text", "is_error"?: true}
 * tools: a JSON array of {"name","description","parameters": schema}, or NULL.
 */
struct question {
	struct provider_conf *conf;
	const char *model;
	const char *system; /* or NULL */
	json_t *messages;   /* borrowed during provider_ask() */
	json_t *tools;
	const char *session_id, *turn_id; /* for log lines; copied */
	const char *traceparent;	  /* sent on as a header, or NULL */
};

struct provider_usage {
	bool known;
	int64_t input, output, cache_read, cache_write; /* tokens; -1 where not said */
};

/* Adds what u knows. */
void provider_usage_add(struct provider_usage *sum, const struct provider_usage *u);

struct provider_error {
	int http_status;	 /* 0 if there was no HTTP answer; 200 for an error in the stream */
	const char *type, *code; /* the provider's own, or NULL */
	const char *message;	/* the provider's own, or ours; NULL only if there is none at all */
	const char *request_id; /* or NULL */
	bool retryable;
	int64_t retry_after_ms; /* what the provider asked for; -1 if it did not */
};

struct provider_call {
	const char *id, *name;
	struct str arguments; /* the bytes that the model sent; may be cut or invalid */
	bool cut;	      /* never run it: the answer ended inside it */
};

struct provider_result {
	enum fault fault; /* FAULT_NONE, or PROVIDER_UNREACHABLE, _TIMEOUT, _ERROR, _TRUNCATED,
			     _PROTOCOL */
	struct provider_error error; /* when fault is set */
	const char *stop_reason;     /* raw; NULL where the provider never says */
	const char *refusal;	     /* OpenAI's refusal text, or NULL */
	struct provider_usage usage;
	const struct provider_call *calls; /* as received; run none of them if fault is set */
	size_t n_calls;
	json_t *echo; /* borrowed, or NULL: what must go back unchanged with this message */
};

struct answer_ops {
	/* Deltas: valid UTF-8 whole characters, n > 0. */
	void (*text)(void *arg, const char *p, size_t n);
	void (*reasoning)(void *arg, const char *p, size_t n);
	/* What the question has cost as far as the provider has said before the end: it is spent
	 * even if the answer is cut. The sum so far, told when it changes; `done` has the final
	 * one. */
	void (*usage)(void *arg, const struct provider_usage *u);
	/* A try failed and another one follows in wait_ms. */
	void (*retry)(void *arg, const struct provider_error *e, int64_t wait_ms);
	/* The end, once. The asking is gone after it; r is valid during the call. */
	void (*done)(void *arg, const struct provider_result *r);
};

struct asking;
struct provider_env; /* one per worker: the curl multi on the loop */

struct provider_env *provider_env_new(struct event_base *base);
void provider_env_free(struct provider_env *e); /* after the last asking; before the base */

/* Starts to ask. Never fails: what goes wrong is told by `done`. No callback runs inside it. */
struct asking *provider_ask(struct provider_env *e, const struct question *q,
			    const struct answer_ops *ops, void *arg);
/* Ends it at once, connection and all; no callback comes any more. NULL is fine. May be called
 * inside a callback of the same asking. */
void asking_cancel(struct asking *a);
/* Back-pressure: while paused nothing is read from the provider and no delta is told. */
void asking_pause(struct asking *a, bool paused);
