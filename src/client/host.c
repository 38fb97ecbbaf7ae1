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
