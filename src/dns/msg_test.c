/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/msg.h"

#include "util/test.h"

/* id 0x1234, RD, one question: Web.example A IN */
static const uint8_t query[] = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
			       "\x03Web\x07"
			       "example\x00\x00\x01\x00\x01";
#define QUERY_LEN (sizeof(query) - 1)

static void a_query_is_read(void **state)
{
	struct dns_question q;

	(void)state;
	assert_int_equal(dns_read_query(query, QUERY_LEN, &q), DNS_READ_OK);
	assert_string_equal(q.name, "web.example");
	assert_int_equal(q.id, 0x1234);
	assert_int_equal(q.type, DNS_A);
	assert_int_equal(q.end, QUERY_LEN);
	assert_int_equal(q.reply_max, DNS_REPLY_MIN);
	assert_false(q.has_edns);
}

static void every_cut_of_a_query_is_refused(void **state)
{
	struct dns_question q;

	(void)state;
	for (size_t n = 0; n < QUERY_LEN; n++)
		assert_int_equal(dns_read_query(query, n, &q),
				 n < 12 ? DNS_READ_DROP : DNS_READ_BAD);
}

static void what_is_no_plain_query_is_told_apart(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		enum dns_read want;
	} cases[] = {
		{ 2, 0x81, DNS_READ_DROP }, /* a reply */
		{ 2, 0x29, DNS_READ_ODD },  /* dynamic update */
		{ 5, 0, DNS_READ_BAD },     /* no question */
		{ 5, 2, DNS_READ_BAD },     /* two */
		{ 12, 0xc0, DNS_READ_BAD }, /* a pointer */
		{ 12, 64, DNS_READ_BAD },   /* a label too long */
		{ 12, 20, DNS_READ_BAD },   /* one beyond the end */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t m[sizeof(query)];
		struct dns_question q;

		memcpy(m, query, sizeof(m));
		m[cases[i].at] = cases[i].value;
		assert_int_equal(dns_read_query(m, QUERY_LEN, &q), cases[i].want);
	}
}

static void bytes_of_no_host_name_match_nothing(void **state)
{
	static const uint8_t odd[] = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
				     "\x03"
				     "a.b\x02\x00z\x00\x00\x01\x00\x01";
	struct dns_question q;

	(void)state;
	assert_int_equal(dns_read_query(odd, sizeof(odd) - 1, &q), DNS_READ_OK);
	assert_string_equal(q.name, "a?b.?z");
}

static void edns_says_how_much_the_client_takes(void **state)
{
	static const struct {
		const char *size;
		size_t want;
	} cases[] = { { "\x04\xd0", 1232 }, { "\x00\x10", 512 }, { "\xff\xff", DNS_REPLY_MAX } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t m[QUERY_LEN + 11] = { 0 };
		struct dns_question q;

		memcpy(m, query, QUERY_LEN);
		m[11] = 1;
		m[QUERY_LEN + 2] = DNS_OPT;
		memcpy(m + QUERY_LEN + 3, cases[i].size, 2);
		assert_int_equal(dns_read_query(m, sizeof(m), &q), DNS_READ_OK);
		assert_true(q.has_edns);
		assert_int_equal(q.reply_max, cases[i].want);
		assert_int_equal(dns_read_query(m, sizeof(m) - 1, &q), DNS_READ_OK);
		assert_false(q.has_edns);
	}
}

static void addresses_are_answered(void **state)
{
	static const uint8_t want[] =
	    "\x12\x34\x85\x80\x00\x01\x00\x02\x00\x00\x00\x00"
	    "\x03Web\x07"
	    "example\x00\x00\x01\x00\x01"
	    "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04\x0a\x58\x00\x05"
	    "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04\x0a\x58\x00\x06";
	struct dns_found f = { .v = { 0x0a580005, 0x0a580006 }, .n = 2 };
	uint8_t out[DNS_REPLY_MIN];
	struct dns_question q;
	size_t n;

	(void)state;
	assert_int_equal(dns_read_query(query, QUERY_LEN, &q), DNS_READ_OK);
	n = dns_write_reply(query, &q, DNS_NOERROR, &f, out, sizeof(out));
	assert_int_equal(n, sizeof(want) - 1);
	assert_memory_equal(out, want, n);
	assert_true(dns_is_reply(out, n, query, &q));
}

static void what_does_not_fit_is_left_out(void **state)
{
	struct dns_found f = { .n = DNS_FOUND_MAX };
	uint8_t out[DNS_REPLY_MIN];
	struct dns_question q;
	size_t n;

	(void)state;
	assert_int_equal(dns_read_query(query, QUERY_LEN, &q), DNS_READ_OK);
	n = dns_write_reply(query, &q, DNS_NOERROR, &f, out, sizeof(out));
	assert_int_equal(n, QUERY_LEN + 16 * ((DNS_REPLY_MIN - QUERY_LEN) / 16));
	assert_int_equal(out[7], (n - QUERY_LEN) / 16);
}

static void a_name_is_answered_to_ptr(void **state)
{
	static const uint8_t end[] = "\xc0\x0c\x00\x0c\x00\x01\x00\x00\x00\x01\x00\x09"
				     "\x03web\x03net\x00";
	uint8_t m[sizeof(query)], out[DNS_REPLY_MIN];
	struct dns_found f = { .name = "web.net" };
	struct dns_question q;
	size_t n;

	(void)state;
	memcpy(m, query, sizeof(m));
	m[QUERY_LEN - 3] = DNS_PTR;
	assert_int_equal(dns_read_query(m, QUERY_LEN, &q), DNS_READ_OK);
	n = dns_write_reply(m, &q, DNS_NOERROR, &f, out, sizeof(out));
	assert_int_equal(n, QUERY_LEN + sizeof(end) - 1);
	assert_memory_equal(out + QUERY_LEN, end, sizeof(end) - 1);
}

static void an_error_repeats_no_more_than_the_id(void **state)
{
	static const uint8_t want[] = "\x12\x34\x85\x81\x00\x00\x00\x00\x00\x00\x00\x00";
	uint8_t out[DNS_REPLY_MIN];
	struct dns_question q;

	(void)state;
	assert_int_equal(dns_read_query(query, 14, &q), DNS_READ_BAD);
	assert_int_equal(dns_write_reply(query, &q, DNS_FORMERR, NULL, out, sizeof(out)), 12);
	assert_memory_equal(out, want, 12);
}

static void only_the_right_reply_is_one(void **state)
{
	uint8_t m[sizeof(query)];
	struct dns_question q;

	(void)state;
	assert_int_equal(dns_read_query(query, QUERY_LEN, &q), DNS_READ_OK);
	memcpy(m, query, sizeof(m));
	assert_false(dns_is_reply(m, QUERY_LEN, query, &q)); /* a query */
	m[2] |= 0x80;
	assert_true(dns_is_reply(m, QUERY_LEN, query, &q));
	m[13] = 'w'; /* case does not count */
	assert_true(dns_is_reply(m, QUERY_LEN, query, &q));
	assert_false(dns_is_reply(m, QUERY_LEN - 1, query, &q));
	m[13] = 'v';
	assert_false(dns_is_reply(m, QUERY_LEN, query, &q));
	m[13] = 'W';
	m[1] ^= 1;
	assert_false(dns_is_reply(m, QUERY_LEN, query, &q));
}

static void reverse_names_are_read(void **state)
{
	uint32_t a = 0;

	(void)state;
	assert_true(dns_reverse("5.0.88.10.in-addr.arpa", &a));
	assert_int_equal(a, 0x0a580005);
	assert_false(dns_reverse("5.0.88.in-addr.arpa", &a));
	assert_false(dns_reverse("5.0.88.256.in-addr.arpa", &a));
	assert_false(dns_reverse("5.0.88.10.in-addr.arpa.x", &a));
	assert_false(dns_reverse("web", &a));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_query_is_read),
		cmocka_unit_test(every_cut_of_a_query_is_refused),
		cmocka_unit_test(what_is_no_plain_query_is_told_apart),
		cmocka_unit_test(bytes_of_no_host_name_match_nothing),
		cmocka_unit_test(edns_says_how_much_the_client_takes),
		cmocka_unit_test(addresses_are_answered),
		cmocka_unit_test(what_does_not_fit_is_left_out),
		cmocka_unit_test(a_name_is_answered_to_ptr),
		cmocka_unit_test(an_error_repeats_no_more_than_the_id),
		cmocka_unit_test(only_the_right_reply_is_one),
		cmocka_unit_test(reverse_names_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
