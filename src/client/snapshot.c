/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots, restores, forks: requests that are answered by lines, of which the last one counts. */
#include <stdlib.h>
#include <string.h>

#include "client/buf.h"
#include "client/client_int.h"
#include "hostel/hostel.h"

#include <jansson.h>

static int no_memory(struct hostel *h)
{
	return client_fail(h, HOSTEL_NO_MEMORY, "out of memory");
}

static void path_to(struct buf *path, const char *ref, const char *what, const char *snapshot,
		    const char *verb)
{
	buf_adds(path, "/hostel/v1/instances/");
	buf_encode(path, ref);
	buf_adds(path, what);
	if (snapshot) {
		buf_adds(path, "/");
		buf_encode(path, snapshot);
	}
	buf_adds(path, verb);
}

/* One line: 0: it goes on; 1: that was the last one; else what failed. */
static int take_line(struct hostel *h, const char *line, const struct hostel_watch *w,
		     char **ret_json)
{
	json_t *doc = json_loads(line, 0, NULL), *done = json_object_get(doc, "done");
	const char *error = json_string_value(json_object_get(doc, "error"));
	int rc = 0;

	if (error) {
		rc = client_fail(h, HOSTEL_FAILED, "%s", error);
	} else if (done) {
		rc = 1;
		if (ret_json && !(*ret_json = json_dumps(done, JSON_COMPACT)))
			rc = no_memory(h);
	} else if (doc && w && w->progress) {
		w->progress(w->arg, line);
	}
	json_decref(doc);
	return rc;
}

static int follow(struct hostel *h, struct hostel_reply *r, const struct hostel_watch *w,
		  char **ret_json)
{
	int rc = hostel_reply_head(r);

	while (!rc) {
		char *line = NULL;

		rc = hostel_reply_line(r, &line);
		if (!rc && !line)
			return client_fail(h, HOSTEL_FAILED,
					   "hosteld went away before it was done");
		if (!rc)
			rc = take_line(h, line, w, ret_json);
		free(line);
	}
	return rc == 1 ? HOSTEL_OK : rc;
}

/* @body: consumed */
static int ask(struct hostel *h, const struct buf *path, json_t *body, const struct hostel_watch *w,
	       char **ret_json)
{
	OWN(reply) struct hostel_reply *r = NULL;
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	int rc;

	json_decref(body);
	if (!text || path->failed) {
		free(text);
		return no_memory(h);
	}
	rc = hostel_send(
	    h,
	    &(struct hostel_request) {
		.method = "POST", .path = path->p, .body = text, .body_len = strlen(text) },
	    &r);
	free(text);
	return rc ? rc : follow(h, r, w, ret_json);
}

int hostel_snapshot_create(struct hostel *h, const char *ref, const char *name, int stateful,
			   const struct hostel_watch *watch, char **ret_json)
{
	OWN(buf) struct buf path = { 0 };

	path_to(&path, ref, "/snapshots", NULL, "");
	return ask(h, &path, json_pack("{s:b, s:s?}", "stateful", stateful, "name", name), watch,
		   ret_json);
}

int hostel_snapshot_list(struct hostel *h, const char *ref, char **ret_json)
{
	struct buf path = { 0 };

	if (!ref)
		return hostel_call(h, "GET", "/hostel/v1/snapshots", NULL, ret_json);
	path_to(&path, ref, "/snapshots", NULL, "");
	return client_call_buf(h, "GET", &path, NULL, ret_json);
}

int hostel_snapshot_remove(struct hostel *h, const char *ref, const char *name)
{
	struct buf path = { 0 };

	path_to(&path, ref, "/snapshots", name, "");
	return client_call_buf(h, "DELETE", &path, NULL, NULL);
}

int hostel_snapshot_restore(struct hostel *h, const char *ref, const char *name, const char *as,
			    int force, const struct hostel_watch *watch, char **ret_json)
{
	OWN(buf) struct buf path = { 0 };

	path_to(&path, ref, name ? "/snapshots" : "", name, "/restore");
	return ask(h, &path, json_pack("{s:b, s:s?}", "force", force, "as", as), watch, ret_json);
}

int hostel_fork(struct hostel *h, const char *ref, int copies, const struct hostel_watch *watch,
		char **ret_json)
{
	OWN(buf) struct buf path = { 0 };

	path_to(&path, ref, "/fork", NULL, "");
	return ask(h, &path, json_pack("{s:i}", "copies", copies), watch, ret_json);
}
