/* SPDX-License-Identifier: Apache-2.0 */
#include "net/plan.h"

#include "util/test.h"

static const char whole[] = "{\"mode\":\"bridge\",\"bridge\":\"hostel0\",\"ifname\":\"eth0\","
			    "\"host_ifname\":\"hv1a2b3c4d5e\",\"mac\":\"02:42:0a:58:00:05\","
			    "\"address\":\"10.88.0.5/16\",\"gateway\":\"10.88.0.1\",\"mtu\":1400,"
			    "\"egress_bps\":50000000,\"ingress_bps\":100000000}";

static void the_plan_gives_link_and_configuration(void **state)
{
	OWN(json) json_t *j = NULL;
	struct net_link l = { 0 };
	struct net_config c = { 0 };
	char text[NET_MAC_TEXT];

	(void)state;
	assert_ok(jx_parse(whole, strlen(whole), &j));
	assert_ok(net_link_from_plan(j, &l));
	assert_string_equal(l.host_ifname, "hv1a2b3c4d5e");
	assert_string_equal(l.bridge, "hostel0");
	assert_string_equal(l.ifname, "eth0");
	assert_string_equal(net_mac_text(l.mac, text), "02:42:0a:58:00:05");
	assert_int_equal(l.mtu, 1400);
	assert_int_equal(l.egress_bps, 50000000);
	assert_int_equal(l.ingress_bps, 100000000);

	assert_ok(net_config_from_plan(j, &c));
	assert_string_equal(c.ifname, "eth0");
	assert_int_equal(c.address.address, 0x0a580005);
	assert_int_equal(c.address.len, 16);
	assert_int_equal(c.gateway, 0x0a580001);
	assert_int_equal(c.mtu, 1400);
	assert_false(c.has_mac);
}

static void no_network_is_lo_alone(void **state)
{
	OWN(json) json_t *none = json_pack("{s:s}", "mode", "none");
	struct net_config c = { .mtu = 1 };

	(void)state;
	assert_ok(net_config_from_plan(none, &c));
	assert_int_equal(c.ifname[0], 0);
	assert_int_equal(c.mtu, 0);
	assert_ok(net_config_from_plan(NULL, &c));
	assert_int_equal(c.ifname[0], 0);
}

static void further_links_follow_the_first(void **state)
{
	OWN(json)
	json_t *j = json_pack("{s:s, s:s, s:[{s:s}]}", "mode", "bridge", "ifname", "eth0", "more",
			      "ifname", "eth1");
	OWN(json) json_t *host = json_pack("{s:s}", "mode", "host");

	(void)state;
	assert_string_equal(jx_str(net_plan_link(j, 0), "ifname", ""), "eth0");
	assert_string_equal(jx_str(net_plan_link(j, 1), "ifname", ""), "eth1");
	assert_null(net_plan_link(j, 2));
	assert_null(net_plan_link(host, 0));
}

static void a_bad_member_is_refused(void **state)
{
	static const struct {
		const char *key, *value;
		bool in_link, in_config;
	} cases[] = {
		{ "host_ifname", "\"hv1a2b3c4d5e678901\"", true, false },
		{ "bridge", "\"\"", true, false },
		{ "ifname", "null", true, true },
		{ "mac", "\"x\"", true, false },
		{ "address", "\"10.88.0.5\"", false, true },
		{ "gateway", "\"x\"", false, true },
		{ "mtu", "1", true, true },
		{ "egress_bps", "-1", true, false },
		{ "mode", "\"host\"", false, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		OWN(json) json_t *j = NULL;
		struct net_link l;
		struct net_config c;
		OWN(err) struct err *of_link = NULL;
		OWN(err) struct err *of_config = NULL;

		assert_ok(jx_parse(whole, strlen(whole), &j));
		json_object_set_new(j, cases[i].key,
				    json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
		of_link = net_link_from_plan(j, &l);
		of_config = net_config_from_plan(j, &c);
		assert_int_equal(of_link != NULL, cases[i].in_link);
		assert_int_equal(of_config != NULL, cases[i].in_config);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_plan_gives_link_and_configuration),
		cmocka_unit_test(no_network_is_lo_alone),
		cmocka_unit_test(further_links_follow_the_first),
		cmocka_unit_test(a_bad_member_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
