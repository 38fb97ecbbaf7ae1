/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/msg.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define HEADER    12
#define TTL_S     1 /* names come and go with their instances */
#define CLASS_IN  1
#define CLASS_ANY 255

#define FLAG_QR 0x8000
#define FLAG_AA 0x0400
#define FLAG_RD 0x0100
#define FLAG_RA 0x0080
#define OPCODE  0x7800

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

/* ---- reading ---- */

static char host_byte(uint8_t c)
{
	return isalnum(c) || c == '-' || c == '_' ? (char)tolower(c) : '?';
}

/*
 * The labels of a name that is not compressed (the first one of a message cannot be).
 * Return: the offset of what follows, or 0.
 */
static size_t read_name(const uint8_t *data, size_t len, size_t at, char ret[DNS_NAME_MAX])
{
	size_t n = 0;

	while (at < len && data[at]) {
		size_t label = data[at++];

		if (label > 63 || label > len - at || n + label + 1 >= DNS_NAME_MAX)
			return 0;
		if (n)
			ret[n++] = '.';
		for (size_t i = 0; i < label; i++)
			ret[n++] = host_byte(data[at + i]);
		at += label;
	}
	ret[n] = '\0';
	return at < len ? at + 1 : 0;
}

/* An OPT record right behind the question; elsewhere it is not looked for. */
static void read_edns(const uint8_t *data, size_t len, struct dns_question *q)
{
	const uint8_t *rr = data + q->end;

	q->reply_max = DNS_REPLY_MIN;
	if (get16(data + 6) || get16(data + 8) || !get16(data + 10) || len - q->end < 11)
		return;
	if (rr[0] || get16(rr + 1) != DNS_OPT)
		return;
	q->has_edns = true;
	if (get16(rr + 3) > DNS_REPLY_MIN)
		q->reply_max = get16(rr + 3) < DNS_REPLY_MAX ? get16(rr + 3) : DNS_REPLY_MAX;
}

enum dns_read dns_read_query(const uint8_t *data, size_t len, struct dns_question *ret)
{
	struct dns_question q = { .reply_max = DNS_REPLY_MIN };
	size_t at;

	if (len < HEADER || get16(data + 2) & FLAG_QR)
		return DNS_READ_DROP;
	q.id = get16(data);
	*ret = q;
	if (get16(data + 2) & OPCODE)
		return DNS_READ_ODD;
	at = get16(data + 4) == 1 ? read_name(data, len, HEADER, q.name) : 0;
	if (!at || len - at < 4)
		return DNS_READ_BAD;
	q.type = get16(data + at);
	q.class = get16(data + at + 2);
	q.end = at + 4;
	read_edns(data, len, &q);
	*ret = q;
	return DNS_READ_OK;
}

bool dns_is_reply(const uint8_t *reply, size_t len, const uint8_t *query,
		  const struct dns_question *q)
{
	if (len < q->end || get16(reply) != get16(query) || !(get16(reply + 2) & FLAG_QR) ||
	    get16(reply + 4) != 1)
		return false;
	for (size_t i = HEADER; i < q->end; i++)
		if (tolower(reply[i]) != tolower(query[i]))
			return false;
	return true;
}

bool dns_reverse(const char *name, uint32_t *ret)
{
	unsigned a, b, c, d;
	int end = 0;

	if (sscanf(name, "%3u.%3u.%3u.%3u.in-addr.arpa%n", &d, &c, &b, &a, &end) != 4 || !end ||
	    name[end] || a > 255 || b > 255 || c > 255 || d > 255)
		return false;
	*ret = a << 24 | b << 16 | c << 8 | d;
	return true;
}

/* ---- writing ---- */

struct out {
	uint8_t *p;
	size_t len, max;
	unsigned answers;
};

/* Name (a pointer to the question's), type, class, TTL, length, data; false: it does not fit. */
static bool add_record(struct out *o, unsigned type, const void *data, size_t n)
{
	uint8_t *p = o->p + o->len;

	if (o->max - o->len < 12 + n)
		return false;
	put16(p, 0xc000 | HEADER);
	put16(p + 2, type);
	put16(p + 4, CLASS_IN);
	put32(p + 6, TTL_S);
	put16(p + 10, (unsigned)n);
	memcpy(p + 12, data, n);
	o->len += 12 + n;
	o->answers++;
	return true;
}

/* "a.b" as labels; Return: their bytes, 0 for a name that has none or is too long. */
static size_t name_wire(const char *name, uint8_t out[DNS_NAME_MAX + 1])
{
	size_t n = 0;

	while (*name) {
		size_t label = strcspn(name, ".");

		if (!label || label > 63 || n + label + 2 > DNS_NAME_MAX)
			return 0;
		out[n++] = (uint8_t)label;
		memcpy(out + n, name, label);
		n += label;
		name += label + (name[label] != '\0');
	}
	if (n)
		out[n++] = 0;
	return n;
}

static void add_found(struct out *o, const struct dns_question *q, const struct dns_found *f)
{
	uint8_t wire[DNS_NAME_MAX + 1], address[4];
	size_t n = q->type == DNS_PTR ? name_wire(f->name, wire) : 0;

	if (n)
		add_record(o, DNS_PTR, wire, n);
	for (size_t i = 0; q->type == DNS_A && i < f->n; i++) {
		put32(address, f->v[i]);
		if (!add_record(o, DNS_A, address, sizeof(address)))
			return;
	}
}

/* So that the client knows that we know it; and what a query may be at most. */
static void add_edns(struct out *o)
{
	uint8_t *p = o->p + o->len;

	memset(p, 0, 11);
	put16(p + 1, DNS_OPT);
	put16(p + 3, DNS_QUERY_MAX);
	o->len += 11;
}

size_t dns_write_reply(const uint8_t *query, const struct dns_question *q, enum dns_rcode rcode,
		       const struct dns_found *f, uint8_t *out, size_t size)
{
	struct out o = { .p = out, .len = q->end ? q->end : HEADER };
	size_t edns = q->has_edns ? 11 : 0;

	o.max = (q->reply_max < size ? q->reply_max : size) - edns;
	memset(out, 0, HEADER);
	if (q->end)
		memcpy(out + HEADER, query + HEADER, q->end - HEADER);
	put16(out, q->id);
	put16(out + 2,
	      FLAG_QR | FLAG_AA | FLAG_RA | (get16(query + 2) & (FLAG_RD | OPCODE)) | rcode);
	put16(out + 4, q->end ? 1 : 0);
	if (f && (q->class == CLASS_IN || q->class == CLASS_ANY))
		add_found(&o, q, f);
	put16(out + 6, o.answers);
	if (edns)
		add_edns(&o);
	put16(out + 10, edns ? 1 : 0);
	return o.len;
}
