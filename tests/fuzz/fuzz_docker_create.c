/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of POST /containers/create: into a spec, checked, stored, and shown as inspect does. */
#include "api/docker_spec.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN(mem) char *text = fuzz_copy(data, size);
	OWN(json) json_t *body = NULL;
	OWN(json) json_t *config = NULL;
	OWN(json) json_t *host = NULL;
	OWN(json) json_t *stored = NULL;
	OWN(spec) struct spec *s = NULL;
	OWN(spec) struct spec *again = NULL;
	struct err *e = jx_parse(text, size, &body);

	if (!e)
		e = docker_spec_read("x", body, &s);
	if (e) {
		err_free(e);
		return 0;
	}
	err_free(spec_check(s));
	config = docker_config(s);
	host = docker_host_config(s);
	check(config && host);
	stored = spec_to_json(s);
	e = spec_from_json(stored, &again);
	check(!e);
	return 0;
}
