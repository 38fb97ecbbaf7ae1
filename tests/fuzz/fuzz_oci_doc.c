/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests, indexes and image configurations as a registry sends them. */
#include "fuzz.h"
#include "json/json.h"
#include "oci/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN(mem) char *text = fuzz_copy(data, size);
	OWN(json) json_t *j = NULL;
	struct oci_manifest m = { 0 };
	struct oci_index i = { 0 };
	struct oci_config c = { 0 };
	struct err *e = jx_parse(text, size, &j);

	if (e) {
		err_free(e);
		return 0;
	}
	err_free(oci_manifest_read(j, &m));
	oci_manifest_done(&m);
	err_free(oci_index_read(j, &i));
	oci_index_done(&i);
	err_free(oci_config_read(j, &c));
	oci_config_done(&c);
	return 0;
}
