/* SPDX-License-Identifier: Apache-2.0 */
/* Queries of instances and replies of servers. */
#include "dns/msg.h"
#include "fuzz.h"

static void answer(const uint8_t *query, const struct dns_question *q)
{
	struct dns_found f = { .v = { 1, 2, 3 }, .n = 3, .name = "web.net" };
	uint8_t out[DNS_REPLY_MAX];
	struct dns_question again;
	size_t n = dns_write_reply(query, q, DNS_NOERROR, &f, out, sizeof(out));

	check(n >= q->end && n <= q->reply_max);
	check(dns_is_reply(out, n, query, q));
	/* What we repeat reads as what was asked. */
	out[2] = 0;
	check(dns_read_query(out, n, &again) == DNS_READ_OK);
	check(!strcmp(again.name, q->name) && again.type == q->type);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN(mem) char *copy = fuzz_copy(data, size);
	const uint8_t *bytes = (const uint8_t *)copy;
	struct dns_question q;
	uint32_t address;

	if (dns_read_query(bytes, size, &q) == DNS_READ_OK) {
		check(q.end <= size && strlen(q.name) < DNS_NAME_MAX);
		check(q.reply_max >= DNS_REPLY_MIN && q.reply_max <= DNS_REPLY_MAX);
		(void)!dns_reverse(q.name, &address);
		answer(bytes, &q);
	}
	return 0;
}
