/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_DOCKER_TEXT_H
#define API_DOCKER_TEXT_H

/*
 * Texts as dockerd writes and reads them: durations for people, times in queries, filters.
 * Pure: the time is a parameter.
 */

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"
#include "json/json.h"
#include "util/err.h"
#include "util/str.h"

/** docker_duration() - "Less than a second", "3 seconds", "About a minute", "2 weeks"; appended */
void docker_duration(int64_t ns, struct str *out);

/** docker_state() - Docker's state word: created, running, paused, restarting, exited */
const char *docker_state(const struct instance_view *v);

/**
 * docker_status() - STATUS of docker ps: "Up 3 seconds (Paused)", "Exited (0) 2 minutes ago",
 * "Created", "Queued (memory: …)"; appended
 */
void docker_status(const struct instance_view *v, int64_t now_ns, struct str *out);

/**
 * docker_time_read() - since and until of a query
 * @text: unix seconds with a fraction ("1700000000.5"), RFC 3339 (with or without zone), a date,
 *        or a Go duration back from @now_ns ("10m")
 * Return: NULL, or ERR_INVALID.
 */
struct err *docker_time_read(const char *text, int64_t now_ns, int64_t *ret_ns) MUST_USE;

/** docker_bool() - Docker's boolean of a query: absent, "", "0", "no", "false", "none" are false */
bool docker_bool(const char *text);

/* Filters of a query: {"label":["a=b"]} or the older {"label":{"a=b":true}}. */
struct docker_filters {
	struct strv keys, values; /* a pair per value, in order */
};

/**
 * docker_filters_read() - parse the query parameter
 * @text:    NULL or "" is none
 * @allowed: NULL-terminated names
 * Return: NULL, or ERR_INVALID "invalid filter 'x'".
 */
struct err *docker_filters_read(const char *text, const char *const *allowed,
				struct docker_filters *ret) MUST_USE;
/** docker_filters_done() - free all; empty again */
void docker_filters_done(struct docker_filters *f);

static inline void own_filters_release(struct docker_filters *f)
{
	docker_filters_done(f);
}

/** docker_filter_first() - first value under @key, or NULL */
const char *docker_filter_first(const struct docker_filters *f, const char *key);

/**
 * docker_filter_match() - does any value under @key satisfy @fn?  True when there is none.
 */
bool docker_filter_match(const struct docker_filters *f, const char *key,
			 bool (*fn)(const void *thing, const char *value), const void *thing);

/** docker_filter_exact() - is @value under @key, or nothing under it? */
bool docker_filter_exact(const struct docker_filters *f, const char *key, const char *value);

/** docker_filter_labels() - do the labels have all of label= and none of label!=? */
bool docker_filter_labels(const struct docker_filters *f, const struct strmap *labels);

/** docker_progress() - the bar of docker pull: "[=====>    ]  1.2MB/3.4MB"; appended */
void docker_progress(int64_t current, int64_t total, struct str *out);

#endif
