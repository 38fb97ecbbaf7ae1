/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/frame.h"

#include <assert.h>
#include <string.h>

static const char *const names[AGENT_TYPES] = {
	[AGENT_HELLO] = "hello",       [AGENT_TEXT] = "text",       [AGENT_START] = "start",
	[AGENT_DATA] = "data",         [AGENT_END] = "end",         [AGENT_CREDIT] = "credit",
	[AGENT_SIGNAL] = "signal",     [AGENT_RESIZE] = "resize",   [AGENT_QUERY] = "query",
	[AGENT_SHUTDOWN] = "shutdown", [AGENT_STARTED] = "started", [AGENT_FAILED] = "failed",
	[AGENT_EXITED] = "exited",     [AGENT_OOM] = "oom",         [AGENT_ANSWER] = "answer",
	[AGENT_BYE] = "bye",           [AGENT_TIME] = "time",
};

const char *agent_type_name(unsigned type)
{
	return type < AGENT_TYPES && names[type] ? names[type] : "?";
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) | (uint32_t)get16(p + 2) << 16;
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, (uint16_t)v);
	put16(p + 2, (uint16_t)(v >> 16));
}

enum agent_decoded agent_decode(const void *buf, size_t len, struct agent_frame *ret,
				size_t *ret_used)
{
	const uint8_t *p = buf;
	struct agent_frame f;

	if (len && (!p[0] || p[0] >= AGENT_TYPES))
		return AGENT_BAD;
	if (len < AGENT_HEADER)
		return AGENT_MORE;
	f = (struct agent_frame) { .type = p[0],
				   .stream = p[1],
				   .session = get16(p + 2),
				   .len = get32(p + 4),
				   .body = p + AGENT_HEADER };
	if (f.stream >= AGENT_STREAMS || f.len > AGENT_BODY_MAX)
		return AGENT_BAD;
	if (len - AGENT_HEADER < f.len)
		return AGENT_MORE;
	*ret = f;
	*ret_used = AGENT_HEADER + f.len;
	return AGENT_FRAME;
}

size_t agent_frame_size(const void *header)
{
	return AGENT_HEADER + get32((const uint8_t *)header + 4);
}

void agent_encode(struct str *out, const struct agent_frame *f)
{
	uint8_t head[AGENT_HEADER] = { f->type, f->stream };

	assert(f->len <= AGENT_BODY_MAX);
	put16(head + 2, f->session);
	put32(head + 4, f->len);
	str_add(out, head, sizeof(head));
	if (f->len)
		str_add(out, f->body, f->len);
}

size_t agent_put_hello(uint8_t buf[12], const struct agent_hello *h)
{
	put32(buf, AGENT_MAGIC);
	put16(buf + 4, h->oldest);
	put16(buf + 6, h->newest);
	put32(buf + 8, h->window);
	return 12;
}

bool agent_get_hello(const struct agent_frame *f, struct agent_hello *ret)
{
	if (f->len < 12 || get32(f->body) != AGENT_MAGIC)
		return false;
	*ret = (struct agent_hello) { .oldest = get16(f->body + 4),
				      .newest = get16(f->body + 6),
				      .window = get32(f->body + 8) };
	return true;
}

size_t agent_put_start(uint8_t buf[8], const struct agent_start *s)
{
	put32(buf, s->flags);
	put16(buf + 4, s->rows);
	put16(buf + 6, s->cols);
	return 8;
}

bool agent_get_start(const struct agent_frame *f, struct agent_start *ret)
{
	if (f->len < 8)
		return false;
	*ret = (struct agent_start) { .flags = get32(f->body),
				      .rows = get16(f->body + 4),
				      .cols = get16(f->body + 6) };
	return true;
}

size_t agent_put_u32(uint8_t buf[4], uint32_t value)
{
	put32(buf, value);
	return 4;
}

bool agent_get_u32(const struct agent_frame *f, uint32_t *ret)
{
	if (f->len < 4)
		return false;
	*ret = get32(f->body);
	return true;
}

size_t agent_put_u64(uint8_t buf[8], uint64_t value)
{
	put32(buf, (uint32_t)value);
	put32(buf + 4, (uint32_t)(value >> 32));
	return 8;
}

bool agent_get_u64(const struct agent_frame *f, uint64_t *ret)
{
	if (f->len < 8)
		return false;
	*ret = get32(f->body) | (uint64_t)get32(f->body + 4) << 32;
	return true;
}

size_t agent_put_size(uint8_t buf[4], uint16_t rows, uint16_t cols)
{
	put16(buf, rows);
	put16(buf + 2, cols);
	return 4;
}

bool agent_get_size(const struct agent_frame *f, uint16_t *ret_rows, uint16_t *ret_cols)
{
	if (f->len < 4)
		return false;
	*ret_rows = get16(f->body);
	*ret_cols = get16(f->body + 2);
	return true;
}

size_t agent_put_exited(uint8_t buf[8], uint32_t code, uint32_t flags)
{
	put32(buf, code);
	put32(buf + 4, flags);
	return 8;
}

bool agent_get_exited(const struct agent_frame *f, uint32_t *ret_code, uint32_t *ret_flags)
{
	if (f->len < 8)
		return false;
	*ret_code = get32(f->body);
	*ret_flags = get32(f->body + 4);
	return true;
}

bool agent_get_text(const struct agent_frame *f, uint32_t *ret_value, const char **ret_text,
		    size_t *ret_len)
{
	if (!agent_get_u32(f, ret_value))
		return false;
	*ret_text = (const char *)f->body + 4;
	*ret_len = f->len - 4;
	return true;
}

unsigned agent_version_of(const struct agent_hello *peer)
{
	bool ok = peer->oldest <= AGENT_VERSION && peer->newest >= AGENT_VERSION &&
		  peer->window == AGENT_WINDOW;

	return ok ? AGENT_VERSION : 0;
}

bool agent_credit_add(struct agent_credit *c, uint32_t n)
{
	if (n > AGENT_WINDOW || c->may > AGENT_WINDOW - n)
		return false;
	c->may += n;
	return true;
}

bool agent_credit_use(struct agent_credit *c, uint32_t n)
{
	if (n > c->may)
		return false;
	c->may -= n;
	return true;
}

uint32_t agent_credit_consume(struct agent_credit *c, uint32_t n)
{
	uint32_t grant;

	c->owed += n;
	if (c->owed < AGENT_WINDOW / 2)
		return 0;
	grant = c->owed;
	c->owed = 0;
	c->may += grant;
	return grant;
}
