/* SPDX-License-Identifier: Apache-2.0 */
/* Specs: the stored form is read, and what was read is stored the same again. */
#include "fuzz.h"
#include "model/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN(mem) char *text = fuzz_copy(data, size);
	OWN(json) json_t *j = NULL;
	OWN(json) json_t *once = NULL;
	OWN(json) json_t *twice = NULL;
	OWN(spec) struct spec *s = NULL;
	OWN(spec) struct spec *again = NULL;
	struct err *e = jx_parse(text, size, &j);

	if (!e)
		e = spec_from_json(j, &s);
	if (e) {
		err_free(e);
		return 0;
	}
	err_free(spec_check(s));
	once = spec_to_json(s);
	e = spec_from_json(once, &again);
	check(!e);
	twice = spec_to_json(again);
	check(json_equal(once, twice));
	return 0;
}
