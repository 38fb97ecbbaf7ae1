/* SPDX-License-Identifier: Apache-2.0 */
#include "nft/nft_int.h"

#include "util/mem.h"
#include "util/test.h"

static void the_ruleset_is_one_transaction(void **state)
{
	static const char *const parts[] = {
		"add table ip t1\ndelete table ip t1\ntable ip t1 {\n	map ports { ",
		"		iifname @bridges ip daddr 127.0.0.0/8 drop\n",
		"		iifname . oifname @within accept\n"
		"		iifname @internal drop\n"
		"		oifname @internal drop\n"
		"		ct status dnat accept\n"
		"		iifname @bridges oifname @bridges drop\n",
		"		oifname . ip saddr @subnets accept\n"
		"		ip saddr @outward masquerade\n	}\n}\n",
	};
	OWN(str) struct str s = { 0 };

	(void)state;
	nft_ruleset_text("t1", &s);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		assert_non_null(strstr(s.buf, parts[i]));
}

static void a_network_is_elements_of_the_sets(void **state)
{
	static const struct {
		struct nft_network net;
		const char *last;
	} cases[] = {
		{ { .bridge = "br9", .subnet = "10.88.0.0/16" },
		  "add element ip t1 outward { 10.88.0.0/16 }\n" },
		{ { .bridge = "br9", .subnet = "10.88.0.0/16", .is_internal = true },
		  "add element ip t1 internal { \"br9\" }\n" },
		{ { .bridge = "br9", .subnet = "10.88.0.0/16", .keeps_source = true }, "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		OWN(str) struct str s = { 0 }, want = { 0 };

		str_addf(&want,
			 "add element ip t1 bridges { \"br9\" }\n"
			 "add element ip t1 within { \"br9\" . \"br9\" }\n"
			 "add element ip t1 subnets { \"br9\" . 10.88.0.0/16 }\n%s",
			 cases[i].last);
		assert_ok(nft_network_text("t1", "add", &cases[i].net, &s));
		assert_string_equal(s.buf, want.buf);
	}
}

static void a_port_is_one_element(void **state)
{
	static const struct nft_port ports[] = {
		{ "tcp", NULL, 8080, "10.88.0.5", 80 },
		{ "udp", "0.0.0.0", 53, "10.88.0.6", 5353 },
		{ "tcp", "127.0.0.1", 65535, "10.88.0.7", 1 },
	};
	OWN(str) struct str s = { 0 };

	(void)state;
	assert_ok(nft_elements_text("t1", "add", ports, ARRAY_SIZE(ports), &s));
	assert_string_equal(
	    s.buf, "add element ip t1 ports { tcp . 8080 : 10.88.0.5 . 80 }\n"
		   "add element ip t1 ports { udp . 53 : 10.88.0.6 . 5353 }\n"
		   "add element ip t1 addr_ports { 127.0.0.1 . tcp . 65535 : 10.88.0.7 . 1 }\n");
}

static void nothing_but_ports_gets_into_the_text(void **state)
{
	static const struct nft_port bad[] = {
		{ "sctp", NULL, 80, "10.88.0.5", 80 },
		{ NULL, NULL, 80, "10.88.0.5", 80 },
		{ "tcp", NULL, 0, "10.88.0.5", 80 },
		{ "tcp", NULL, 65536, "10.88.0.5", 80 },
		{ "tcp", NULL, 80, "10.88.0.5", -1 },
		{ "tcp", NULL, 80, "10.88.0.5 }; flush ruleset", 80 },
		{ "tcp", "x", 80, "10.88.0.5", 80 },
		{ "tcp", NULL, 80, NULL, 80 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		OWN(str) struct str s = { 0 };

		assert_err(nft_elements_text("t1", "add", &bad[i], 1, &s), ERR_INVALID);
	}
}

static void names_are_checked_before_they_become_rules(void **state)
{
	static const char *const bad[] = { "", "a b", "1x", "a;b", "a\"b" };
	OWN(nft) struct nft *n = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_err(nft_open(bad[i], &n), ERR_INVALID);
	assert_ok(nft_open("t1", &n));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_err(nft_network_add(n, &(struct nft_network) { bad[i], "10.88.0.0/16" }),
			   ERR_INVALID);
	assert_err(nft_network_add(n, &(struct nft_network) { "br9", "10.88.0.0/16 x" }),
		   ERR_INVALID);
	assert_err(nft_network_add(n, &(struct nft_network) { "br9", "x/16" }), ERR_INVALID);
}

static const char closed[] =
    "# Warning: table ip filter is managed by iptables-nft, do not touch!\n"
    "table ip filter {\n"
    "	chain FORWARD { # handle 2\n"
    "		type filter hook forward priority filter; policy drop;\n"
    "		oifname \"br9\" accept comment \"hostel t1\" # handle 41\n"
    "		iifname \"br8\" accept comment \"hostel t12\" # handle 42\n"
    "		counter packets 0 bytes 0 jump DOCKER-USER # handle 43\n"
    "		iifname \"br9\" accept comment \"hostel t1\" # handle 44\n"
    "	}\n"
    "}\n";

static void a_closed_forward_chain_gets_our_rules_anew(void **state)
{
	OWN(str) struct str s = { 0 };
	OWN(strv) struct strv bridges = { 0 };

	(void)state;
	strv_add(&bridges, "br9");
	assert_true(nft_forward_is_closed(closed));
	nft_forward_text("t1", &bridges, closed, &s);
	assert_string_equal(
	    s.buf, "delete rule ip filter FORWARD handle 41\n"
		   "delete rule ip filter FORWARD handle 44\n"
		   "insert rule ip filter FORWARD iifname \"br9\" accept comment \"hostel t1\"\n"
		   "insert rule ip filter FORWARD oifname \"br9\" ct state established,related "
		   "accept comment \"hostel t1\"\n"
		   "insert rule ip filter FORWARD oifname \"br9\" ct status dnat accept "
		   "comment \"hostel t1\"\n");
}

static void an_open_forward_chain_is_left_alone(void **state)
{
	static const char open[] =
	    "table ip filter {\n	chain FORWARD { # handle 2\n"
	    "type filter hook forward priority filter; policy accept;\n}\n}\n";
	OWN(str) struct str s = { 0 };

	(void)state;
	assert_false(nft_forward_is_closed(open));
	nft_forward_text("t1", &(struct strv) { 0 }, open, &s);
	assert_int_equal(s.len, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_ruleset_is_one_transaction),
		cmocka_unit_test(a_network_is_elements_of_the_sets),
		cmocka_unit_test(a_port_is_one_element),
		cmocka_unit_test(nothing_but_ports_gets_into_the_text),
		cmocka_unit_test(a_closed_forward_chain_gets_our_rules_anew),
		cmocka_unit_test(an_open_forward_chain_is_left_alone),
		cmocka_unit_test(names_are_checked_before_they_become_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
