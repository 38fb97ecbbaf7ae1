/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/msg.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

struct shape {
	size_t body;
	bool known;
	bool has_tail;
};

static const struct shape shapes[] = {
	[SHIM_START] = { .known = true },
	[SHIM_ATTACH] = { sizeof(struct shim_attach), true, true },
	[SHIM_EXEC] = { sizeof(struct shim_exec), true, true },
	[SHIM_SIGNAL] = { sizeof(struct shim_signal), true, false },
	[SHIM_RESIZE] = { sizeof(struct shim_resize), true, false },
	[SHIM_FREEZE] = { sizeof(struct shim_freeze), true, false },
	[SHIM_QUERY] = { 0, true, true },
	[SHIM_BYE] = { .known = true },
	[SHIM_CHECKPOINT] = { .known = true },
	[SHIM_RESUME] = { .known = true },
	[SHIM_HELLO] = { sizeof(struct shim_hello), true, false },
	[SHIM_REPLY] = { sizeof(struct shim_reply), true, true },
	[SHIM_STARTED] = { sizeof(struct shim_started), true, false },
	[SHIM_FAILED] = { sizeof(struct shim_reply), true, true },
	[SHIM_EXITED] = { sizeof(struct shim_exited), true, true },
	[SHIM_OOM] = { .known = true },
	[SHIM_EXEC_STARTED] = { sizeof(struct shim_exec_event), true, true },
	[SHIM_EXEC_FAILED] = { sizeof(struct shim_exec_event), true, true },
	[SHIM_EXEC_EXITED] = { sizeof(struct shim_exec_event), true, true },
	[SHIM_DETACHED] = { sizeof(struct shim_exec_event), true, true },
	[SHIM_ATTACH_ENDED] = { sizeof(struct shim_exec_event), true, true },
};

static const struct shape *shape_of(uint32_t type)
{
	return type < ARRAY_SIZE(shapes) && shapes[type].known ? &shapes[type] : NULL;
}

static bool ends(const char id[SHIM_EXEC_ID_MAX + 1])
{
	return memchr(id, '\0', SHIM_EXEC_ID_MAX + 1) != NULL;
}

static bool attach_is_sane(const struct shim_attach *a)
{
	return a->keys_len <= SHIM_KEYS_MAX;
}

/* Every body that holds a name starts with it. */
static bool body_is_sane(const struct shim_msg *m)
{
	switch (m->type) {
	case SHIM_ATTACH:
		return attach_is_sane(&m->body.attach);
	case SHIM_EXEC:
		return ends(m->body.exec.exec_id) && attach_is_sane(&m->body.exec.attach);
	case SHIM_SIGNAL:
		return ends(m->body.signal.exec_id);
	case SHIM_RESIZE:
		return ends(m->body.resize.exec_id);
	case SHIM_EXEC_STARTED:
	case SHIM_EXEC_FAILED:
	case SHIM_EXEC_EXITED:
	case SHIM_DETACHED:
	case SHIM_ATTACH_ENDED:
		return ends(m->body.exec_event.exec_id);
	default:
		return true;
	}
}

enum shim_parse shim_msg_parse(const void *buf, size_t len, struct shim_msg *ret)
{
	const char *p = buf;
	struct shim_msg m = { 0 };
	struct shim_header h;
	const struct shape *s;

	if (len < sizeof(h))
		return SHIM_PARSE_BAD;
	memcpy(&h, p, sizeof(h));
	if (h.version != SHIM_PROTO_VERSION)
		return SHIM_PARSE_BAD;
	m.type = h.type;
	m.seq = h.seq;
	s = shape_of(h.type);
	if (!s) {
		*ret = m;
		return SHIM_PARSE_UNKNOWN;
	}
	p += sizeof(h);
	len -= sizeof(h);
	if (len < s->body || (len > s->body && !s->has_tail))
		return SHIM_PARSE_BAD;
	memcpy(&m.body, p, s->body);
	m.tail = p + s->body;
	m.tail_len = len - s->body;
	if (!body_is_sane(&m))
		return SHIM_PARSE_BAD;
	*ret = m;
	return SHIM_PARSE_OK;
}

size_t shim_msg_room(uint32_t type)
{
	const struct shape *s = shape_of(type);

	return s && s->has_tail ? SHIM_MSG_MAX - sizeof(struct shim_header) - s->body : 0;
}

static size_t tail_of(const struct shim_msg *m)
{
	size_t room = shim_msg_room(m->type);

	return m->tail_len < room ? m->tail_len : room;
}

size_t shim_msg_len(const struct shim_msg *m)
{
	const struct shape *s = shape_of(m->type);

	assert(s);
	return sizeof(struct shim_header) + s->body + tail_of(m);
}

size_t shim_msg_build(const struct shim_msg *m, void *buf)
{
	const struct shape *s = shape_of(m->type);
	struct shim_header h = { .version = SHIM_PROTO_VERSION, .seq = m->seq };
	size_t tail = tail_of(m);
	char *p = buf;

	assert(s);
	h.type = (uint16_t)m->type;
	memcpy(p, &h, sizeof(h));
	memcpy(p + sizeof(h), &m->body, s->body);
	if (tail)
		memcpy(p + sizeof(h) + s->body, m->tail, tail);
	return sizeof(h) + s->body + tail;
}
