/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/socket.h>
#include <unistd.h>

#include "net/port_int.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/test.h"

static void a_line_of_proc_names_the_socket(void **state)
{
	static const char v4_any[] = "   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 "
				     "00:00000000 00000000     0        0 4711 1 0000000000000000";
	static const char v4_lo[] = "  12: 0100007F:1F90 00000000:0000 0A 00000000:00000000 "
				    "00:00000000 00000000  1000        0 4712 1 0";
	static const char v4_open[] = "   1: 0100007F:1F90 0100007F:C001 01 00000000:00000000 "
				      "00:00000000 00000000     0        0 4713 1 0";
	static const char v6_any[] =
	    "   0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A "
	    "00000000:00000000 00:00000000 00000000     0        0 4714 1 0";
	static const char udp[] = " 99: 00000000:1F90 00000000:0000 07 00000000:00000000 "
				  "00:00000000 00000000     0        0 4715 2 0";
	static const char head[] = "  sl  local_address rem_address   st tx_queue rx_queue tr";
	static const struct {
		const char *line;
		struct port_query q;
		unsigned long want;
	} cases[] = {
		{ v4_any, { NET_TCP, 0, 8080 }, 4711 },
		{ v4_any, { NET_TCP, 0x7f000001, 8080 }, 4711 },
		{ v4_any, { NET_TCP, 0, 8081 }, 0 },
		{ v4_any, { NET_UDP, 0, 8080 }, 0 },
		{ v4_lo, { NET_TCP, 0, 8080 }, 4712 },
		{ v4_lo, { NET_TCP, 0x7f000001, 8080 }, 4712 },
		{ v4_lo, { NET_TCP, 0x0a000001, 8080 }, 0 },
		{ v4_open, { NET_TCP, 0, 8080 }, 0 },
		{ v6_any, { NET_TCP, 0, 8080 }, 4714 },
		{ udp, { NET_UDP, 0, 8080 }, 4715 },
		{ head, { NET_TCP, 0, 8080 }, 0 },
		{ "", { NET_TCP, 0, 8080 }, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(port_line_inode(cases[i].line, &cases[i].q), cases[i].want);
}

static void a_claimed_port_is_refused_to_the_next_by_name(void **state)
{
	static const enum net_proto protos[] = { NET_TCP, NET_UDP };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(protos); i++) {
		struct net_port_range any = { .proto = protos[i], .address = 0x7f000001 };
		struct net_port_range same = any;
		OWN(fd) int first = -1;
		OWN(fd) int second = -1;
		int port = 0, got = 0;
		char want[32];

		assert_ok(net_port_claim(&any, &port, &first));
		assert_in_range(port, 1, 65535);
		same.first = same.last = port;

		OWN(err) struct err *e = net_port_claim(&same, &got, &second);

		assert_non_null(e);
		assert_int_equal(err_kind(e), ERR_EXISTS);
		snprintf(want, sizeof(want), "(pid %d)", getpid());
		assert_non_null(strstr(err_text(e), want));
		assert_int_equal(second, -1);

		own_fd_release(&first);
		first = -1;
		assert_ok(net_port_claim(&same, &got, &second));
		assert_int_equal(got, port);
	}
}

static void a_range_gives_its_first_free_port(void **state)
{
	struct net_port_range any = { .proto = NET_TCP, .address = 0x7f000001 }, range = any;
	OWN(fd) int first = -1;
	OWN(fd) int second = -1;
	int port = 0, got = 0;

	(void)state;
	assert_ok(net_port_claim(&any, &port, &first));
	range.first = port;
	range.last = port + 20 > 65535 ? 65535 : port + 20;
	assert_ok(net_port_claim(&range, &got, &second));
	assert_in_range(got, port + 1, range.last);
}

static void an_address_that_is_not_the_hosts_is_refused(void **state)
{
	struct net_port_range w = {
		.proto = NET_TCP, .address = 0xc6336401, .first = 80, .last = 80
	};
	int port = 0, fd = -1;

	(void)state;
	assert_err(net_port_claim(&w, &port, &fd), ERR_INVALID);
	w.first = 81;
	assert_err(net_port_claim(&w, &port, &fd), ERR_INVALID);
	assert_int_equal(fd, -1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_of_proc_names_the_socket),
		cmocka_unit_test(a_claimed_port_is_refused_to_the_next_by_name),
		cmocka_unit_test(a_range_gives_its_first_free_port),
		cmocka_unit_test(an_address_that_is_not_the_hosts_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
