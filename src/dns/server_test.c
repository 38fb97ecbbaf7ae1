/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/mem.h"
#include "util/test.h"

#define TURNS 2000

/* The server under test, and two sockets of a server beyond it. */
struct rig {
	struct loop *l;
	struct dns_server *s;
	int udp, tcp, port;
	bool has_upstream;
};

static enum dns_verdict look_up(void *arg, uint32_t client, const struct dns_question *q,
				struct dns_found *ret)
{
	(void)arg;
	assert_int_equal(client, INADDR_LOOPBACK);
	if (streq(q->name, "gone"))
		return DNS_NO_NAME;
	if (streq(q->name, "wall"))
		return DNS_FAIL;
	if (strcmp(q->name, "web"))
		return DNS_FORWARD;
	ret->v[0] = 0x0a580005;
	ret->v[1] = 0x0a580006;
	ret->n = 2;
	return DNS_KNOWN;
}

static size_t upstreams(void *arg, uint32_t client, struct dns_upstream ret[DNS_UPSTREAMS_MAX])
{
	struct rig *r = arg;

	(void)client;
	return r->has_upstream && dns_upstream_parse("127.0.0.1", r->port, ret) ? 1 : 0;
}

static int bound(int type, int *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons((uint16_t)*port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*port = ntohs(a.sin_port);
	return fd;
}

static int setup(void **state)
{
	struct rig *r = xnew(struct rig);
	const struct dns_where w = { .address = INADDR_LOOPBACK };
	const struct dns_owner owner = { look_up, upstreams, r };

	assert_ok(loop_new(&r->l));
	assert_ok(dns_server_new(r->l, &w, &owner, &r->s));
	r->udp = bound(SOCK_DGRAM, &r->port);
	r->tcp = bound(SOCK_STREAM, &r->port);
	assert_int_equal(listen(r->tcp, 4), 0);
	r->has_upstream = true;
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	dns_server_free(r->s);
	loop_free(r->l);
	close(r->udp);
	close(r->tcp);
	free(r);
	return 0;
}

static size_t make_query(const char *name, uint8_t *out)
{
	static const uint8_t head[] = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00";
	size_t n = strlen(name);

	memcpy(out, head, 12);
	out[12] = (uint8_t)n;
	memcpy(out + 13, name, n);
	memcpy(out + 13 + n, "\x00\x00\x01\x00\x01", 5);
	return 18 + n;
}

static int ask_from(int type, int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* Turn the loop until something comes. */
static size_t wait_for(struct rig *r, int fd, void *buf, size_t size, struct sockaddr_in *from)
{
	socklen_t len = sizeof(*from);

	for (int i = 0; i < TURNS; i++) {
		ssize_t n = recvfrom(fd, buf, size, MSG_DONTWAIT, (struct sockaddr *)from,
				     from ? &len : NULL);

		if (n >= 0)
			return (size_t)n;
		loop_step(r->l, 0);
		usleep(1000);
	}
	fail_msg("nothing came");
	return 0;
}

static void known_names_are_answered_and_rotated(void **state)
{
	struct rig *r = *state;
	OWN(fd) int fd = ask_from(SOCK_DGRAM, dns_server_port(r->s));
	uint8_t q[64], first[512], second[512];
	size_t len = make_query("web", q), n;

	assert_int_equal(send(fd, q, len, 0), len);
	n = wait_for(r, fd, first, sizeof(first), NULL);
	assert_int_equal(n, len + 32);
	assert_int_equal(send(fd, q, len, 0), len);
	assert_int_equal(wait_for(r, fd, second, sizeof(second), NULL), n);
	assert_memory_equal(first + len + 12, second + len + 28, 4);
	assert_memory_not_equal(first + len + 12, first + len + 28, 4);
}

static void verdicts_have_their_codes(void **state)
{
	static const struct {
		const char *name;
		enum dns_rcode want;
	} cases[] = { { "gone", DNS_NXDOMAIN }, { "wall", DNS_SERVFAIL }, { "far", DNS_SERVFAIL } };
	struct rig *r = *state;
	OWN(fd) int fd = ask_from(SOCK_DGRAM, dns_server_port(r->s));

	r->has_upstream = false;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t q[64], reply[512];
		size_t len = make_query(cases[i].name, q);

		assert_int_equal(send(fd, q, len, 0), len);
		assert_int_equal(wait_for(r, fd, reply, sizeof(reply), NULL), len);
		assert_int_equal(reply[3] & 15, cases[i].want);
	}
}

static void the_rest_is_passed_on_under_another_id(void **state)
{
	struct rig *r = *state;
	OWN(fd) int fd = ask_from(SOCK_DGRAM, dns_server_port(r->s));
	uint8_t q[64], at[64], reply[512];
	size_t len = make_query("far", q);
	struct sockaddr_in from;

	assert_int_equal(send(fd, q, len, 0), len);
	assert_int_equal(wait_for(r, r->udp, at, sizeof(at), &from), len);
	assert_memory_equal(at + 2, q + 2, len - 2);
	/* A guess, then the right one. */
	at[0] ^= 0x55;
	at[2] |= 0x80;
	sendto(r->udp, at, len, 0, (struct sockaddr *)&from, sizeof(from));
	at[0] ^= 0x55;
	at[3] = 3;
	sendto(r->udp, at, len, 0, (struct sockaddr *)&from, sizeof(from));
	assert_int_equal(wait_for(r, fd, reply, sizeof(reply), NULL), len);
	assert_memory_equal(reply, q, 2);
	assert_int_equal(reply[3], 3);
}

static void a_connection_asks_one_after_the_other(void **state)
{
	struct rig *r = *state;
	OWN(fd) int fd = ask_from(SOCK_STREAM, dns_server_port(r->s));
	uint8_t q[64] = { 0 }, reply[512];

	for (int i = 0; i < 2; i++) {
		size_t len = make_query("web", q + 2);

		q[1] = (uint8_t)len;
		/* In two pieces. */
		assert_int_equal(send(fd, q, 5, 0), 5);
		loop_step(r->l, 0);
		assert_int_equal(send(fd, q + 5, len - 3, 0), len - 3);
		assert_int_equal(wait_for(r, fd, reply, sizeof(reply), NULL), len + 34);
		assert_int_equal(reply[1], len + 32);
	}
}

static void a_connection_s_question_is_passed_on_by_one(void **state)
{
	struct rig *r = *state;
	OWN(fd) int fd = ask_from(SOCK_STREAM, dns_server_port(r->s));
	OWN(fd) int up = -1;
	uint8_t q[64] = { 0 }, at[64], reply[512];
	size_t len = make_query("far", q + 2);

	q[1] = (uint8_t)len;
	assert_int_equal(send(fd, q, len + 2, 0), len + 2);
	for (int i = 0; i < TURNS && up < 0; i++) {
		loop_step(r->l, 0);
		up = accept4(r->tcp, NULL, NULL, SOCK_CLOEXEC);
		usleep(1000);
	}
	assert_int_equal(wait_for(r, up, at, sizeof(at), NULL), len + 2);
	at[4] |= 0x80;
	assert_int_equal(send(up, at, len + 2, 0), len + 2);
	assert_int_equal(wait_for(r, fd, reply, sizeof(reply), NULL), len + 2);
	assert_memory_equal(reply + 2, q + 2, 2);
}

static void what_is_too_long_ends_the_connection(void **state)
{
	struct rig *r = *state;
	OWN(fd) int fd = ask_from(SOCK_STREAM, dns_server_port(r->s));
	uint8_t reply[16];

	assert_int_equal(send(fd, "\xff\xff", 2, 0), 2);
	assert_int_equal(wait_for(r, fd, reply, sizeof(reply), NULL), 0);
}

static void a_taken_port_is_told(void **state)
{
	struct rig *r = *state;
	const struct dns_where w = { .address = INADDR_LOOPBACK, .port = r->port };
	const struct dns_owner owner = { look_up, upstreams, r };
	OWN(dns_server) struct dns_server *s = NULL;

	assert_err(dns_server_new(r->l, &w, &owner, &s), ERR_EXISTS);
}

static void upstreams_are_addresses(void **state)
{
	struct dns_upstream u;

	(void)state;
	assert_true(dns_upstream_parse("10.0.0.1", 53, &u));
	assert_true(dns_upstream_parse("fd00::1", 53, &u));
	assert_false(dns_upstream_parse("name", 53, &u));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(known_names_are_answered_and_rotated, setup,
						teardown),
		cmocka_unit_test_setup_teardown(verdicts_have_their_codes, setup, teardown),
		cmocka_unit_test_setup_teardown(the_rest_is_passed_on_under_another_id, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_connection_asks_one_after_the_other, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_connection_s_question_is_passed_on_by_one, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_is_too_long_ends_the_connection, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_taken_port_is_told, setup, teardown),
		cmocka_unit_test(upstreams_are_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
