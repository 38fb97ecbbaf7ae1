/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers, times and addresses written by people. */
#include "fuzz.h"
#include "net/net.h"
#include "util/clock.h"
#include "util/num.h"

static void read_time(const char *text)
{
	char again[36];
	int64_t ns, back;

	if (!clock_parse_rfc3339(text, &ns) || ns == 0)
		return;
	clock_rfc3339(ns, again);
	check(clock_parse_rfc3339(again, &back) && back == ns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN(mem) char *text = fuzz_text(data, size);
	struct net_prefix prefix;
	uint8_t mac[NET_MAC_LEN];
	uint32_t address;
	int64_t n;
	struct err *e;

	e = num_parse_i64(text, -5, 1000, &n);
	check(e || (n >= -5 && n <= 1000));
	err_free(e);
	e = num_parse_bytes(text, &n);
	check(e || n >= 0);
	err_free(e);
	e = num_parse_milli(text, &n);
	check(e || n >= 0);
	err_free(e);
	e = num_parse_duration(text, &n);
	check(e || n >= 0);
	err_free(e);
	err_free(net_parse_address(text, &address));
	err_free(net_parse_prefix(text, &prefix));
	err_free(net_parse_mac(text, mac));
	read_time(text);
	return 0;
}
