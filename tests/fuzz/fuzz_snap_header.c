/* SPDX-License-Identifier: Apache-2.0 */
/* The first bytes of a file that is said to be a snapshot; what passes has what its readers take.
 */
#include "fuzz.h"
#include "snap/header.h"

/* The checksum is no obstacle: the JSON is read with its own too. */
static void read_json(const uint8_t *data, size_t size)
{
	OWN(json) json_t *j = NULL;
	OWN(json) json_t *again = NULL;
	OWN(mem) char *text = NULL;
	OWN(err) struct err *no_json = jx_parse((const char *)data, size, &j);
	OWN(err) struct err *refused = NULL;

	if (no_json || !json_is_object(j))
		return;
	text = snap_header_text(j);
	refused = snap_header_parse(text, strlen(text), &again);
	if (refused)
		return;
	if (!json_equal(j, again) || !jx_str(again, "name", NULL) || !jx_str(again, "kind", NULL))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN(json) json_t *j = NULL;
	struct err *err = snap_header_parse((const char *)data, size, &j);

	if (!err && !jx_str(j, "name", NULL))
		abort();
	err_free(err);
	read_json(data, size);
	return 0;
}
