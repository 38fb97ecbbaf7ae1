/* SPDX-License-Identifier: Apache-2.0 */
/* What docker compose config prints: into create bodies, each of which create takes or refuses. */
#include "api/docker_spec.h"
#include "cli/compose.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN(mem) char *text = fuzz_copy(data, size);
	OWN(strv) struct strv notes = { 0 };
	OWN(json) json_t *doc = NULL;
	OWN(json) json_t *list = NULL;
	struct err *e = jx_parse(text, size, &doc);
	json_t *one;
	size_t n;

	if (!e)
		e = compose_instances(doc, &list, &notes);
	if (e) {
		check(!list);
		err_free(e);
		return 0;
	}
	check(json_array_size(list) <= 1000);
	json_array_foreach(list, n, one)
	{
		OWN(spec) struct spec *s = NULL;

		check(jx_str(one, "Name", NULL) && json_object_get(one, "Body"));
		if (n < 8)
			err_free(docker_spec_read(NULL, json_object_get(one, "Body"), &s));
	}
	return 0;
}
