/* SPDX-License-Identifier: Apache-2.0 */
/* Image references and platforms: the normalised form of what is taken is taken, and stays. */
#include "fuzz.h"
#include "oci/platform.h"
#include "oci/ref.h"

static void read_ref(const char *text)
{
	OWN(oci_ref) struct oci_ref r = { 0 };
	OWN(oci_ref) struct oci_ref again = { 0 };
	OWN(mem) char *full = NULL;
	OWN(mem) char *full_again = NULL;
	OWN(mem) char *familiar = NULL;
	struct err *e = oci_ref_parse(text, &r);

	if (e) {
		err_free(e);
		return;
	}
	full = oci_ref_text(&r);
	familiar = oci_ref_familiar(&r);
	e = oci_ref_parse(full, &again);
	check(!e);
	full_again = oci_ref_text(&again);
	check(streq(full, full_again));
	check(strlen(familiar) <= strlen(full));
}

static void read_platform(const char *text)
{
	struct oci_platform p = { 0 };
	struct err *e = oci_platform_parse(text, &p);

	if (!e)
		oci_platform_done(&p);
	err_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN(mem) char *text = fuzz_text(data, size);

	read_ref(text);
	read_platform(text);
	return 0;
}
