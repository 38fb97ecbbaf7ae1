/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net.h"

#include "util/test.h"

static struct net_prefix prefix(const char *text)
{
	struct net_prefix p = { 0 };

	assert_ok(net_parse_prefix(text, &p));
	return p;
}

static uint32_t address(const char *text)
{
	uint32_t a = 0;

	assert_ok(net_parse_address(text, &a));
	return a;
}

static void a_prefix_is_read_and_written_alike(void **state)
{
	static const char *const good[] = { "10.88.0.1/16", "0.0.0.0/0", "255.255.255.255/32" };
	static const char *const bad[] = { "10.88.0.1",  "10.88.0/16", "10.88.0.1/33",
					   "10.88.0.1/", "",           "10.88.0.1/-1" };
	char text[NET_ADDRESS_TEXT];
	struct net_prefix p;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		p = prefix(good[i]);
		assert_string_equal(net_prefix_text(&p, text), good[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_err(net_parse_prefix(bad[i], &p), ERR_INVALID);
}

static void a_mac_is_read_strictly(void **state)
{
	static const char *const bad[] = { "02:42:0a:58:00",    "02:42:0a:58:00:05:06",
					   "01:42:0a:58:00:05", "2:42:0a:58:0:5",
					   "02-42-0a-58-00-05", "" };
	uint8_t mac[NET_MAC_LEN];
	char text[NET_MAC_TEXT];

	(void)state;
	assert_ok(net_parse_mac("02:42:0A:58:00:05", mac));
	assert_string_equal(net_mac_text(mac, text), "02:42:0a:58:00:05");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_err(net_parse_mac(bad[i], mac), ERR_INVALID);
}

static void a_mac_follows_from_the_address(void **state)
{
	uint8_t mac[NET_MAC_LEN];
	char text[NET_MAC_TEXT];

	(void)state;
	net_mac_from_address(address("10.88.1.5"), mac);
	assert_string_equal(net_mac_text(mac, text), "02:42:0a:58:01:05");
}

static void an_interface_name_fits_the_kernel(void **state)
{
	char name[IFNAMSIZ];

	(void)state;
	net_ifname("1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f809", name);
	assert_string_equal(name, "hv1a2b3c4d5e");
}

static void prefixes_overlap_when_one_holds_the_other(void **state)
{
	static const struct {
		const char *a, *b;
		bool want;
	} cases[] = {
		{ "10.0.0.0/8", "10.88.0.0/16", true },
		{ "10.88.0.0/16", "10.0.0.0/8", true },
		{ "10.88.0.0/16", "10.88.4.1/32", true },
		{ "10.88.0.0/16", "10.89.0.0/16", false },
		{ "0.0.0.0/0", "10.89.0.0/16", true },
		{ "192.168.1.0/24", "192.168.1.0/24", true },
		{ "192.168.1.0/25", "192.168.1.128/25", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct net_prefix a = prefix(cases[i].a), b = prefix(cases[i].b);

		assert_int_equal(net_prefixes_overlap(&a, &b), cases[i].want);
	}
}

static void a_subnet_avoids_what_the_host_uses(void **state)
{
	static const struct {
		const char *used[3];
		const char *want; /* NULL: none is left */
	} cases[] = {
		{ { NULL }, "10.88.0.1/16" },
		{ { "0.0.0.0/0", "192.0.2.0/24" }, "10.88.0.1/16" },
		{ { "10.88.0.0/16" }, "10.89.0.1/16" },
		{ { "10.88.3.7/32", "10.89.0.0/24" }, "10.90.0.1/16" },
		{ { "10.0.0.0/8" }, "172.16.0.1/16" },
		{ { "10.0.0.0/8", "172.16.0.0/12" }, "192.168.0.1/24" },
		{ { "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/17" }, "192.168.128.1/24" },
		{ { "10.0.0.0/8", "128.0.0.0/1" }, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct net_prefix used[3], got = { 0 };
		char text[NET_ADDRESS_TEXT];
		size_t n = 0;

		for (; n < 3 && cases[i].used[n]; n++)
			used[n] = prefix(cases[i].used[n]);
		if (!cases[i].want) {
			assert_err(net_subnet_pick(used, n, &got), ERR_LIMIT);
			continue;
		}
		assert_ok(net_subnet_pick(used, n, &got));
		assert_string_equal(net_prefix_text(&got, text), cases[i].want);
	}
}

static bool below(void *arg, uint32_t a)
{
	return a < *(uint32_t *)arg;
}

static void an_address_is_the_next_free_one(void **state)
{
	static const struct {
		const char *bridge, *after, *free_from, *want; /* want NULL: none */
	} cases[] = {
		{ "10.88.0.1/16", "0.0.0.0", "0.0.0.0", "10.88.0.2" },
		{ "10.88.0.1/16", "10.88.0.2", "0.0.0.0", "10.88.0.3" },
		{ "10.88.0.1/16", "10.88.0.2", "10.88.1.0", "10.88.1.0" },
		{ "10.88.0.1/16", "10.88.255.254", "0.0.0.0", "10.88.0.2" },
		{ "10.88.0.1/16", "192.168.0.9", "0.0.0.0", "10.88.0.2" },
		{ "10.88.0.7/29", "10.88.0.5", "0.0.0.0", "10.88.0.6" },
		{ "10.88.0.1/30", "10.88.0.2", "0.0.0.0", "10.88.0.2" },
		{ "10.88.0.1/30", "0.0.0.0", "10.88.0.3", NULL },
		{ "10.88.0.1/32", "0.0.0.0", "0.0.0.0", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct net_prefix bridge = prefix(cases[i].bridge);
		uint32_t from = address(cases[i].free_from), got = 0;
		char text[NET_ADDRESS_TEXT];

		if (!cases[i].want) {
			assert_err(
			    net_address_pick(&bridge, address(cases[i].after), below, &from, &got),
			    ERR_LIMIT);
			continue;
		}
		assert_ok(net_address_pick(&bridge, address(cases[i].after), below, &from, &got));
		assert_string_equal(net_address_text(got, text), cases[i].want);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_prefix_is_read_and_written_alike),
		cmocka_unit_test(a_mac_is_read_strictly),
		cmocka_unit_test(a_mac_follows_from_the_address),
		cmocka_unit_test(an_interface_name_fits_the_kernel),
		cmocka_unit_test(prefixes_overlap_when_one_holds_the_other),
		cmocka_unit_test(a_subnet_avoids_what_the_host_uses),
		cmocka_unit_test(an_address_is_the_next_free_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
