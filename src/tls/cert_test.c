/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/cert.h"

#include <string.h>

#include "util/mem.h"
#include "util/test.h"

/* registry.example, *.hub.example, 10.1.2.3; from 2026-11-24 to 2036-11-21; made for this test. */
static const char pem[] = "-----BEGIN CERTIFICATE-----\n"
			  "MIIBpjCCAU2gAwIBAgIUZvnDbi8JMf6vRQ5BoBrXNRQe/FcwCgYIKoZIzj0EAwIw\n"
			  "DzENMAsGA1UEAwwEdGVzdDAeFw0yNjExMjQxMjMwMjJaFw0zNjExMjExMjMwMjJa\n"
			  "MA8xDTALBgNVBAMMBHRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQhP2fm\n"
			  "mpNRozfQOfoiFLkyMUVo30SllS8E7GMRQGPpkoCIkoOKAzbdie6y4IXIR2v2XLYi\n"
			  "43yC/XfzzMpGKxL1o4GGMIGDMB0GA1UdDgQWBBSwG8VgM3EHVsI5zEzAuEmjXiTP\n"
			  "IzAfBgNVHSMEGDAWgBSwG8VgM3EHVsI5zEzAuEmjXiTPIzAPBgNVHRMBAf8EBTAD\n"
			  "AQH/MDAGA1UdEQQpMCeCEHJlZ2lzdHJ5LmV4YW1wbGWCDSouaHViLmV4YW1wbGWH\n"
			  "BAoBAgMwCgYIKoZIzj0EAwIDRwAwRAIgH58HWd983Ln49mU/uN2qF6j6Hmvq/Brj\n"
			  "iY9D8Bk+2DICIB+rnD21OEyPGuiX9FcdgzOYiZ8E1qn5k94gd/VV+Jku\n"
			  "-----END CERTIFICATE-----\n";

static void what_is_wrong_is_said_in_words(void **state)
{
	static const struct {
		const char *host;
		int64_t now_s;
		const char *fault;
	} cases[] = {
		{ "registry.example", 1800000000, NULL },
		{ "a.hub.example", 1800000000, NULL },
		{ "10.1.2.3", 1800000000, NULL },
		{ "registry.example", 1700000000, "certificate is not valid before 2026-11-24" },
		{ "registry.example", 2200000000, "certificate has expired on 2036-11-21" },
		{ "other.example", 1800000000,
		  "certificate is valid for registry.example, *.hub.example, 10.1.2.3, not "
		  "other.example" },
		{ "10.1.2.4", 1800000000,
		  "certificate is valid for registry.example, *.hub.example, 10.1.2.3, not "
		  "10.1.2.4" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		OWN(mem)
		char *fault = cert_fault(pem, strlen(pem), cases[i].host, cases[i].now_s);

		if (cases[i].fault)
			assert_string_equal(fault, cases[i].fault);
		else
			assert_null(fault);
	}
}

static void what_is_no_certificate_is_said_too(void **state)
{
	OWN(mem) char *fault = cert_fault("nothing", 7, "x", 0);

	(void)state;
	assert_string_equal(fault, "certificate cannot be read");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_wrong_is_said_in_words),
		cmocka_unit_test(what_is_no_certificate_is_said_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
