/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of a host among others. */
#include <stdlib.h>

#include "client/buf.h"
#include "client/client_int.h"
#include "hostel/hostel.h"

#include <jansson.h>

static int on_trust(struct hostel *h, const char *method, const char *name, const char *body)
{
	struct buf path = { 0 };

	buf_adds(&path, "/hostel/v1/trust/");
	buf_encode(&path, name);
	return client_call_buf(h, method, &path, body, NULL);
}

int hostel_trust_add(struct hostel *h, const char *name, const char *certificate)
{
	json_t *doc = json_pack("{s:s}", "certificate", certificate);
	char *text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
	int rc;

	json_decref(doc);
	if (!text)
		return client_fail(h, HOSTEL_NO_MEMORY, "out of memory");
	rc = on_trust(h, "POST", name, text);
	free(text);
	return rc;
}

int hostel_trust_remove(struct hostel *h, const char *name)
{
	return on_trust(h, "DELETE", name, NULL);
}

int hostel_trust_list(struct hostel *h, char **ret_json)
{
	return hostel_call(h, "GET", "/hostel/v1/trust", NULL, ret_json);
}

int hostel_identity(struct hostel *h, char **ret_json)
{
	return hostel_call(h, "GET", "/hostel/v1/identity", NULL, ret_json);
}

/* ---- migration ---- */

static void migrate_path(struct buf *path, const char *ref, const char *what)
{
	buf_adds(path, "/hostel/v1/instances/");
	buf_encode(path, ref);
	buf_adds(path, what);
}

static char *wish(const char *to, int is_check)
{
	json_t *doc = json_pack("{s:s, s:b, s:b}", "to", to, "check", is_check, "cold", 1);
	char *text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;

	json_decref(doc);
	return text;
}

/* Return: 0 to go on, 1 at the end, or the error that the line says. */
static int take_line(struct hostel *h, const char *line)
{
	json_t *j = json_loads(line, 0, NULL);
	const json_t *error = json_object_get(j, "error");
	const char *text = json_string_value(json_object_get(error, "message"));
	int rc = json_object_get(j, "done") ? 1 : 0;

	if (error)
		rc = client_fail(h, HOSTEL_FAILED, "%s", text ? text : "it failed");
	json_decref(j);
	return rc;
}

static int follow(struct hostel *h, struct hostel_reply *r,
		  void (*progress)(void *arg, const char *message_json), void *arg)
{
	int rc = hostel_reply_head(r);

	while (rc == HOSTEL_OK) {
		char *line = NULL;

		rc = hostel_reply_line(r, &line);
		if (rc == HOSTEL_OK && !line)
			return client_fail(h, HOSTEL_BROKEN, "hosteld's answer has no end");
		if (rc == HOSTEL_OK)
			rc = take_line(h, line);
		if (rc == HOSTEL_OK && progress)
			progress(arg, line);
		free(line);
	}
	return rc == 1 ? HOSTEL_OK : rc;
}

int hostel_migrate(struct hostel *h, const char *ref, const char *to,
		   void (*progress)(void *arg, const char *message_json), void *arg)
{
	struct hostel_reply *r = NULL;
	struct buf path = { 0 };
	char *body = wish(to, 0);
	int rc;

	migrate_path(&path, ref, "/migrate");
	if (!body || !path.p)
		rc = client_fail(h, HOSTEL_NO_MEMORY, "out of memory");
	else
		rc =
		    hostel_send(h,
				&(struct hostel_request) {
				    .method = "POST", .path = path.p, .body = body, .no_reuse = 1 },
				&r);
	if (rc == HOSTEL_OK)
		rc = follow(h, r, progress, arg);
	hostel_reply_close(r);
	own_buf_release(&path);
	free(body);
	return rc;
}

int hostel_migrate_check(struct hostel *h, const char *ref, const char *to, char **ret_json)
{
	struct buf path = { 0 };
	char *body = wish(to, 1);
	int rc;

	migrate_path(&path, ref, "/migrate");
	if (!body) {
		own_buf_release(&path);
		return client_fail(h, HOSTEL_NO_MEMORY, "out of memory");
	}
	rc = client_call_buf(h, "POST", &path, body, ret_json);
	free(body);
	return rc;
}

int hostel_migrate_resolve(struct hostel *h, const char *ref, int here)
{
	struct buf path = { 0 };

	migrate_path(&path, ref, "/resolve");
	return client_call_buf(h, "POST", &path, here ? "{\"here\":true}" : "{\"here\":false}",
			       NULL);
}
