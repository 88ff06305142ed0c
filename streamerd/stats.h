/*
 * stats.h - what /metrics tells about this process: one flat struct of numbers.
 *
 * Counters are bumped where things happen. The struct lies where the other serving processes can
 * read it (shared.h), so that whichever of them is asked tells the sums of all.
 */
#pragma once

#include <stdint.h>

/* name, "counter" or "gauge", labels (without braces, may be empty), metric name, help */
#define STATS(S)                                                                                 \
	S(requests_2xx, "counter", "status=\"2xx\"", "requests_total", "HTTP requests answered") \
	S(requests_3xx, "counter", "status=\"3xx\"", "requests_total", "")                       \
	S(requests_4xx, "counter", "status=\"4xx\"", "requests_total", "")                       \
	S(requests_5xx, "counter", "status=\"5xx\"", "requests_total", "")                       \
	S(requests_gone, "counter", "status=\"gone\"", "requests_total", "")                     \
	S(connections, "gauge", "", "connections", "HTTP connections open, viewers not counted") \
	S(full, "counter", "", "connections_full_total", "times max_connections was reached")    \
	S(crowded, "counter", "", "connections_crowded_total",                                   \
	  "connections turned away by max_connections_per_address")                              \
	S(unread, "counter", "", "answers_unread_total",                                         \
	  "answers cut off because too many waited for their readers")                           \
	S(viewers, "gauge", "", "viewers", "SSE streams open")                                   \
	S(feeds, "gauge", "", "feeds", "sessions subscribed to")                                 \
	S(joins, "counter", "", "joins_total", "SSE streams begun")                              \
	S(events_in, "counter", "", "events_in_total", "events received from workers")           \
	S(deliveries, "counter", "", "deliveries_total", "events delivered to viewers")          \
	S(bytes_out, "counter", "", "bytes_out_total", "bytes written to viewers")               \
	S(writes, "counter", "", "writes_total", "write calls to viewers")                       \
	S(heartbeats, "counter", "", "heartbeats_total", "comment lines sent")                   \
	S(snapshots_in, "counter", "", "snapshots_in_total", "snapshots fetched from workers")   \
	S(pages_in, "counter", "", "replay_pages_total", "replay pages fetched from workers")    \
	S(page_bytes, "gauge", "", "replay_bytes", "memory held by replay pages")                \
	S(ended_left, "counter", "reason=\"left\"", "viewers_ended_total", "SSE streams ended")  \
	S(ended_idle, "counter", "reason=\"idle\"", "viewers_ended_total", "")                   \
	S(ended_cleared, "counter", "reason=\"cleared\"", "viewers_ended_total", "")             \
	S(ended_stalled, "counter", "reason=\"stalled\"", "viewers_ended_total", "")             \
	S(ended_lagged, "counter", "reason=\"lagged\"", "viewers_ended_total", "")               \
	S(ended_shutdown, "counter", "reason=\"shutdown\"", "viewers_ended_total", "")           \
	S(bus_ups, "counter", "", "bus_connects_total", "times that a worker was reached")       \
	S(bus_downs, "counter", "", "bus_losses_total", "times that a worker was lost")          \
	S(bus_timeouts, "counter", "", "bus_unanswered_total", "requests that no worker answered")

struct stats {
#define S(name, type, labels, metric, help) uint64_t name;
	STATS(S)
#undef S
};

extern struct stats *stats; /* this process's own; never NULL */
